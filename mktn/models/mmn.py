"""MMN, the mutual matching network (Wang et al., "Negative Sample Matters", AAAI 2022).

Moments and sentences are embedded twice: in one space their cosine tells how well a moment of the
sentence's own video overlaps it, in the other it matches moments of all videos with all sentences
(mktn.losses.mutual). Kept of the published model: ReLU features, sparse map of maxima, map network
with batch norm and division by the number of cells seen, both joint spaces and the score. It
deviates in these:

- Text is GloVe through a bidirectional GRU, its mean over the words, in place of DistilBERT; the
  layer norm and the two projections behind it are as published.
- The T frames of the store are pooled to N cells by the overlap mean over the video's own frames.
- L2-normalised features are multiplied by sqrt(D), which gives frames the scale that knowledge
  transfer expects; a constant that the linear map behind it absorbs.
- The published code computes maps of up to 44 cells a side for 16, most of them zero or outside
  what the last layer keeps. Here a layer's map holds what the kept cells read: the same answers by
  three fifths of the products; in training, batch norm's statistics are those of smaller maps.
- In matching, moments of the own video that are no negatives leave the sum, where published their
  cosine is set to 0 and stays in it; positive moments, and videos and sentences of the same text,
  are never negatives; there is no epsilon in the logarithm.
- The weight of matching is constant: published, it falls to a hundredth after 7 of 18 epochs
  (ActivityNet 6 of 18, TACoS 100 of 250).
- Batches are counted in queries; one schedule for all parameters, in place of steps at two epochs.
- Dropout of the words, and of features where `feature_dropout` says so.

Of knowledge transfer it takes the videos' frames before the map, and, for the overlap alone, the
sentence and the mean of the words.

V videos, Q queries, T frames, L words, d width, N cells, K moments (valid cells of the map),
J joint width.
"""

import dataclasses
import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from mktn.grouping.batch import PairBatch
from mktn.models.base import GroundingModel, Pluggable, Text
from mktn.models.config import MMNConfig
from mktn.models.layers import BiGRU, masked_mean
from mktn.models.plugged import plugged
from mktn.models.proposals import ProposalMap, pool_to_cells
from mktn.models.variants import PluggedVariant

OVERLAP_SCALE = 10.0  # of the cosine, before the sigmoid


@dataclasses.dataclass
class Moments:
    """A video's candidate moments in both joint spaces, of length 1."""

    overlap: Tensor  # (V,K,J), in which own moments are ranked by overlap
    contrast: Tensor  # (V,K,J), in which moments of all videos are told apart


class MMNVideoEncoder(nn.Module):
    """L2-normalised features, a linear layer and ReLU."""

    def __init__(self, dimension: int, width: int, feature_dropout: float) -> None:
        super().__init__()
        self.frame = nn.Linear(dimension, width)
        self.dropout = nn.Dropout(feature_dropout)

    def forward(self, batch: PairBatch) -> Tensor:
        """Frames (V,T,d)."""
        frames = functional.normalize(batch.frames.float(), dim=-1)
        return self.frame(self.dropout(frames * math.sqrt(frames.shape[-1]))).relu()


class MMNTextEncoder(nn.Module):
    """GloVe vectors through a bidirectional GRU; the sentence is their mean."""

    def __init__(self, dimension: int, width: int, dropout: float) -> None:
        super().__init__()
        self.gru = BiGRU(dimension, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, batch: PairBatch) -> tuple[Tensor, Tensor]:
        """Words (Q,L,d), zero at padding, and sentences (Q,d)."""
        words = self.dropout(self.gru(batch.words, batch.word_mask))
        return words, masked_mean(words, batch.word_mask)


class MapNetwork(nn.Module):
    """Convolution, batch norm and ReLU over the map, `layers` times.

    Behind each layer a cell is divided by how many cells with content its window holds, and is
    zero where that is none. A layer's map spans the cells with content that the N x N kept ones
    read: it grows by kernel-1 a layer up to half the layers, and shrinks from there.
    """

    def __init__(self, width: int, kernel: int, layers: int, mask: Tensor) -> None:
        super().__init__()
        reach = kernel - 1
        half = layers // 2
        pads = [reach] * half + [reach // 2] * (layers % 2) + [0] * half
        self.convolutions = nn.ModuleList(
            nn.Conv2d(width, width, kernel, padding=pad) for pad in pads
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in pads)
        content = mask[None, None].float()  # (1,1,N,N)
        window = torch.ones(1, 1, kernel, kernel)
        for layer, pad in enumerate(pads):
            count = functional.conv2d(content, window, padding=pad).round()
            content = (count > 0).float()
            self.register_buffer(f"share{layer}", content / count.clamp(min=1), persistent=False)

    def forward(self, proposals: Tensor) -> Tensor:
        """(V,d,N,N) -> (V,d,N,N)."""
        x = proposals
        for layer, (convolve, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x = norm(convolve(x)).relu() * self.get_buffer(f"share{layer}")
        return x


class MMN(Pluggable):
    """The mutual matching network; its map is of the video alone, shared by all its queries."""

    def __init__(self, config: MMNConfig) -> None:
        super().__init__()
        width, joint = config.width, config.joint
        self.video = MMNVideoEncoder(config.dimension, width, config.feature_dropout)
        self.text = MMNTextEncoder(config.word_dimension, width, config.dropout)
        self.power = config.power
        self.proposals = ProposalMap(config.cells, config.counts)
        self.network = MapNetwork(width, config.kernel, config.layers, self.proposals.mask)
        self.moment_overlap = nn.Linear(width, joint)
        self.moment_contrast = nn.Linear(width, joint)
        self.norm_sentence = nn.LayerNorm(width)
        self.sentence_overlap = nn.Linear(width, joint)
        self.sentence_contrast = nn.Linear(width, joint)

    def encode_frames(self, batch: PairBatch) -> Tensor:
        """Frames (V,T,d)."""
        return self.video(batch)

    def encode_sentences(self, batch: PairBatch) -> tuple[Tensor, Tensor]:
        """Words (Q,L,d) and sentences (Q,d)."""
        return self.text(batch)

    def of_video(self, frames: Tensor, frame_mask: Tensor) -> Moments:
        """The moments of frames (V,T,d), mask (V,T): the map, its network, both projections."""
        cells = pool_to_cells(frames, frame_mask, self.proposals.size)  # (V,N,d)
        hidden = self.proposals.at_cells(self.network(self.proposals(cells)))  # (V,K,d)
        return Moments(
            functional.normalize(self.moment_overlap(hidden), dim=-1),
            functional.normalize(self.moment_contrast(hidden), dim=-1),
        )

    def ground(self, video: Moments, text: Text, batch: PairBatch) -> dict[str, Tensor]:
        """Score each query's moments: (0.5 c + 0.5)^p sigmoid(10 cos).

        moments (K,2) as fractions of the duration, confidence (Q,K) in [0,1]; for the losses
        overlap_logits (Q,K), and similarity (Q,V,K), the cosine c of a query's raw sentence with
        the moments of every video. The enriched sentence has seen its own video, so it is
        compared with no other.
        """
        pairs = torch.arange(len(batch.video_index), device=batch.video_index.device)
        # Alone both are the mean of the words: twice it, which the norm undoes.
        enriched = text.sentences + masked_mean(text.words, text.word_mask)
        enriched = self.sentence_overlap(self.norm_sentence(enriched))
        raw = self.sentence_contrast(self.norm_sentence(text.raw_sentences))
        # Of all videos, then of the query's own: a copy of the moments for each query is larger.
        cosine = _cosines(enriched, video.overlap)[pairs, batch.video_index]  # (Q,K)
        similarity = _cosines(raw, video.contrast)  # (Q,V,K)
        logits = OVERLAP_SCALE * cosine
        matched = (0.5 * similarity[pairs, batch.video_index] + 0.5).clamp(min=0)
        return {
            "moments": self.proposals.moments,
            "confidence": matched.pow(self.power).detach() * logits.sigmoid(),
            "overlap_logits": logits,
            "similarity": similarity,
        }


def _cosines(sentences: Tensor, moments: Tensor) -> Tensor:
    """Sentences (Q,J) of any length with moments (V,K,J) of length 1 -> (Q,V,K)."""
    return torch.einsum("qj,vkj->qvk", functional.normalize(sentences, dim=-1), moments)


def mmn(config: MMNConfig, variant: PluggedVariant) -> GroundingModel:
    """MMN in one of its variants."""
    return plugged(MMN(config), config, variant)
