"""LCNet, the local correspondence network (Yang et al., TIP 2021), weakly supervised.

V videos, Q queries, T frames, L words, N cells, K candidate moments, d width.

A reimplementation: no code is public, and of the paper only its abstract. From that are the
hierarchies of video and text features, the local correspondences between them and the
self-supervised cycle; the rest is this project's reading.
- Levels: frame with word, clip with phrase, video with sentence. A frame's clip is a convolution
  over its neighbours; its video level is the frame after attention to its whole video.
- Relevance r_t of a frame to a query: mean over the three levels of the largest cosine with what
  the text has at that level. Frames are encoded by themselves: where every level of a frame knew
  its whole video, nothing would tell which of them a sentence is about.
- Score of a video and a query: the mean of the largest r_t (ranking loss). Cycle: frame ->
  soft-nearest word, or the sentence -> soft-nearest frame (cycle loss, as a distance in time).
- Answer: 2D-TAN's candidate moments, each scored by mean relevance inside minus mean outside,
  weighed by sqrt(p (1 - p)), p the moment's share of the video: without it (`balance` 0) the
  shortest moments, of which the mean is the least certain, win.

With knowledge transfer. The ranking loss compares a query with other videos, so it reads the raw
text: the enriched text has attended to its own video and would find it by that. What helps there
are the frames, which of_video makes of each video alone (P_f, from the object prototypes of a
frame), and L_CL and L_1, which train the same encoders. The enriched words and sentence are one
further level, in what compares a query with its own video alone: the relevance of the answer, and
the cycle, which is what trains them. There is no L_csm: nothing here reads a timestamp. (The epoch
is selected by the spans of validation, and CSM knows the order of a video's annotations, which in
ActivityNet Captions goes with their times.)
"""

import dataclasses

import torch
from torch import Tensor, nn
from torch.nn import functional

from mktn.grouping.batch import PairBatch
from mktn.models.base import GroundingModel, Pluggable, Text
from mktn.models.config import LCNetConfig
from mktn.models.correspondence import cycle_back, inside_minus_outside, mean_of_top, nearest
from mktn.models.csm import Phrases
from mktn.models.layers import BiGRU, TransformerBlock, masked_mean, sinusoid
from mktn.models.plugged import plugged
from mktn.models.proposals import pool_to_cells, sparse_cells
from mktn.models.similarity import word_relevance
from mktn.models.variants import PluggedVariant


@dataclasses.dataclass
class VideoLevels:
    """A video's features at three levels, each of unit norm."""

    frames: Tensor  # (V,T,d)
    clips: Tensor  # (V,T,d), of the clip around each frame
    videos: Tensor  # (V,T,d), of each frame in its video
    mask: Tensor  # (V,T) bool


@dataclasses.dataclass
class TextLevels:
    """A query's features at three levels, each of unit norm."""

    words: Tensor  # (Q,L,d)
    phrases: Tensor  # (Q,L,d)
    sentences: Tensor  # (Q,d)
    mask: Tensor  # (Q,L) bool


class FrameEncoder(nn.Module):
    """Each frame by itself: (V,T,D) -> (V,T,d)."""

    def __init__(self, config: LCNetConfig) -> None:
        super().__init__()
        width = config.width
        self.layers = nn.Sequential(
            nn.Dropout(config.feature_dropout),
            nn.Linear(config.dimension, width),
            nn.LayerNorm(width),
            nn.GELU(),
            nn.Dropout(config.dropout),
            nn.Linear(width, width),
            nn.LayerNorm(width),
        )

    def forward(self, frames: Tensor) -> Tensor:
        """Features (V,T,D) -> (V,T,d)."""
        encoded: Tensor = self.layers(frames)
        return encoded


class WordEncoder(nn.Module):
    """Word vectors through a bidirectional GRU; the sentence is a map of their mean."""

    def __init__(self, config: LCNetConfig) -> None:
        super().__init__()
        width = config.width
        self.word = nn.Linear(config.word_dimension, width)
        self.gru = BiGRU(width, width)
        self.norm_words = nn.LayerNorm(width)
        self.sentence = nn.Linear(width, width)
        self.norm_sentence = nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Word vectors (Q,L,D_w), mask (Q,L) -> words (Q,L,d), 0 at padding; sentences (Q,d)."""
        x = self.dropout(self.word(words))
        x = self.norm_words(x + self.gru(x, mask)) * mask[..., None]
        return x, self.norm_sentence(self.sentence(masked_mean(x, mask)))


class _Unit(nn.Linear):
    """Into the space where levels are compared: (...,d) -> (...,d) of unit norm."""

    def __init__(self, width: int) -> None:
        super().__init__(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return functional.normalize(super().forward(x), dim=-1)


class LCNet(Pluggable):
    """Local correspondences of three levels, trained by ranking and cycles, not by timestamps."""

    cells: Tensor
    moments: Tensor

    def __init__(self, config: LCNetConfig) -> None:
        super().__init__()
        width, self.config = config.width, config
        self.video = FrameEncoder(config)
        self.text = WordEncoder(config)
        self.clip = nn.Conv1d(width, width, config.clip, padding=config.clip // 2)
        self.context = TransformerBlock(width, config.heads, config.dropout)
        self.to_frame, self.to_clip, self.to_video = (_Unit(width) for _ in range(3))
        self.phrases = Phrases(width)
        self.to_word, self.to_phrase, self.to_sentence = (_Unit(width) for _ in range(3))
        cells = sparse_cells(config.cells, config.counts)
        self.register_buffer("cells", cells, persistent=False)
        moments = (cells + torch.tensor([0, 1])).float() / config.cells
        self.register_buffer("moments", moments, persistent=False)

    def encode_frames(self, batch: PairBatch) -> Tensor:
        """The frames (V,T,d), each by itself."""
        return self.video(batch.frames)

    def encode_sentences(self, batch: PairBatch) -> tuple[Tensor, Tensor]:
        """Words (Q,L,d), zero at padding, and sentences (Q,d), of the word vectors alone."""
        words, sentences = self.text(batch.words, batch.word_mask)
        return words, sentences

    def of_video(self, frames: Tensor, frame_mask: Tensor) -> VideoLevels:
        """The three levels of frames (V,T,d); padding reaches none of them."""
        real = torch.where(frame_mask[..., None], frames, frames.new_zeros(()))
        clips = self.clip(real.transpose(1, 2)).transpose(1, 2)
        place = sinusoid(torch.arange(frames.shape[1], device=frames.device), frames.shape[2])
        videos = self.context(real + place.to(frames.dtype), frame_mask)
        return VideoLevels(
            self.to_frame(real), self.to_clip(real + clips), self.to_video(videos), frame_mask
        )

    def ground(self, video: VideoLevels, text: Text, batch: PairBatch) -> dict[str, Tensor]:
        """Candidates (see GroundingModel), and in training what the two losses are of.

        relevance (Q,T) of each query's own frames by the raw text, scores (V,Q), and returns
        (Q,T,T), probability to come back from frame t to each frame.
        """
        raw = self._levels(text.raw_words, text.raw_mask, text.raw_sentences)
        own = VideoLevels(
            *(x[batch.video_index] for x in (video.frames, video.clips, video.videos, video.mask))
        )
        levels = [
            nearest(own.frames, raw.words, raw.mask),
            nearest(own.clips, raw.phrases, raw.mask),
            (own.videos @ raw.sentences[..., None])[..., 0],
        ]  # (Q,T) each
        relevance = torch.stack(levels).mean(dim=0)
        items, mask = self._items(text)
        if text.sentences is not text.raw_sentences:
            levels.append(nearest(own.frames, items, mask))
        outputs = self.answer(torch.stack(levels).mean(dim=0), own.mask)
        if self.training:
            outputs["relevance"] = relevance
            outputs["scores"] = self.scores(video, raw)
            outputs["returns"] = cycle_back(
                own.frames, own.mask, items, mask, self.config.temperature
            )
        return outputs

    def scores(self, video: VideoLevels, text: TextLevels) -> Tensor:
        """S (V,Q) of every video with every query: the mean of the largest r_t.

        Holds (V,Q,T) of one level at a time, never (V,Q,T,L).
        """
        relevance = word_relevance(video.frames, text.words, text.mask)  # (V,Q,T)
        relevance = relevance + word_relevance(video.clips, text.phrases, text.mask)
        relevance = relevance + torch.einsum("vtd,qd->vqt", video.videos, text.sentences)
        return mean_of_top(relevance / 3, video.mask[:, None], self.config.top)

    def answer(self, relevance: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Candidates by relevance (Q,T) inside minus outside; mask (Q,T)."""
        cells = pool_to_cells(relevance[..., None], mask, self.config.cells)[..., 0]  # (Q,N)
        score = inside_minus_outside(cells, self.cells, self.config.balance)
        # A score is within [-2, 2], as a cosine is within [-1, 1].
        return {"moments": self.moments, "confidence": ((score + 2) / 4).clamp(0, 1)}

    def _levels(self, words: Tensor, mask: Tensor, sentences: Tensor) -> TextLevels:
        phrases = words + self.phrases(words, mask)
        return TextLevels(
            self.to_word(words), self.to_phrase(phrases), self.to_sentence(sentences), mask
        )

    def _items(self, text: Text) -> tuple[Tensor, Tensor]:
        """What a frame's cycle may pass through: words and sentence, (Q,L'+1,d) and mask."""
        words, sentences = self.to_word(text.words), self.to_sentence(text.sentences)
        items = torch.cat([words, sentences[:, None]], dim=1)
        mask = text.word_mask
        return items, torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)


def lcnet(config: LCNetConfig, variant: PluggedVariant) -> GroundingModel:
    """LCNet, alone or with knowledge transfer."""
    return plugged(LCNet(config), config, variant)
