"""2D-TAN (Zhang et al., AAAI 2020), and with knowledge transfer plugged in.

V videos, Q queries, T frames, L words, N cells a video, K valid moments, d width.

Kept of the published model: ReLU features, LSTM over GloVe and its last state, sparse map of
maxima, Hadamard product with L2 norm over the channels, all padding before the first convolution,
division by the number of cells seen, scaled-IoU loss, torch's start of the weights. Deviations:

- The T frames of the store, which every model here is given, are pooled to N cells by the overlap
  mean over the video's own frames; the published code averages a fixed number of clips a cell.
- Features are dropped out where `feature_dropout` says so; 0 is as published.
- The epoch is selected on the validation split, never on test.
- It is optimised as every model here, by AdamW, to the configured rate, decay and clip, in batches
  of whole videos; published are Adam at 1e-4, batches of 32 pairs and a clip of 10.

Of knowledge transfer it takes the videos' frames before the map, and the sentence.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from mktn.grouping.batch import PairBatch
from mktn.models.base import GroundingModel, Pluggable, Text
from mktn.models.config import TAN2DConfig
from mktn.models.layers import full, full_precision
from mktn.models.map_network import MapNetwork
from mktn.models.plugged import plugged
from mktn.models.proposals import ProposalMap, pool_to_cells
from mktn.models.variants import PluggedVariant


class FrameEncoder(nn.Module):
    """A linear map and ReLU of each frame."""

    def __init__(self, dimension: int, width: int, dropout: float) -> None:
        super().__init__()
        self.features = nn.Dropout(dropout)
        self.frame = nn.Linear(dimension, width)

    def forward(self, frames: Tensor) -> Tensor:
        """frames (V,T,D) -> (V,T,d)."""
        return functional.relu(self.frame(self.features(frames)))


class SentenceLSTM(nn.Module):
    """An LSTM over the words; the sentence is its state at the last real word."""

    def __init__(self, dimension: int, width: int, layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(dimension, width, layers, batch_first=True)

    def forward(self, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """words (Q,L,D_w), mask (Q,L) bool, real words first -> (Q,L,d), padding 0, and (Q,d)."""
        words = torch.where(mask[..., None], words, words.new_zeros(()))
        with full_precision(words.device):
            states, _ = self.lstm(full(words))
        last = (mask.sum(dim=1) - 1).clamp(min=0)
        sentences = states[torch.arange(len(states), device=states.device), last]
        return states * mask[..., None], sentences


class TAN2D(Pluggable):
    """2D-TAN without knowledge transfer."""

    reads_words: ClassVar[bool] = False  # the sentence alone

    def __init__(self, config: TAN2DConfig) -> None:
        super().__init__()
        width = config.width
        self.video = FrameEncoder(config.dimension, width, config.feature_dropout)
        self.text = SentenceLSTM(config.word_dimension, width, config.text_layers)
        self.proposals = ProposalMap(config.cells, config.counts)
        self.of_moment = nn.Linear(width, width)
        self.of_sentence = nn.Linear(width, width)
        self.map = MapNetwork(self.proposals, width, config.kernel, config.layers)
        self.score = nn.Linear(width, 1)

    def encode_frames(self, batch: PairBatch) -> Tensor:
        """Frames (V,T,d)."""
        return self.video(batch.frames)

    def encode_sentences(self, batch: PairBatch) -> tuple[Tensor, Tensor]:
        """Words (Q,L,d) and sentences (Q,d), both states of the LSTM."""
        return self.text(batch.words, batch.word_mask)

    def of_video(self, frames: Tensor, frame_mask: Tensor) -> Tensor:
        """The valid moments of the map before the fusion (V,K,d)."""
        cells = pool_to_cells(frames, frame_mask, self.proposals.size)
        return self.of_moment(self.proposals.at_cells(self.proposals(cells)))

    def ground(self, video: Tensor, text: Text, batch: PairBatch) -> dict[str, Tensor]:
        """moments (K,2), confidence and map_logits (Q,K)."""
        sentences = self.of_sentence(text.sentences)
        fused = functional.normalize(video[batch.video_index] * sentences[:, None], dim=-1)
        logits = self.score(self.map(fused))[..., 0]
        return {
            "moments": self.proposals.moments,
            "confidence": logits.sigmoid(),
            "map_logits": logits,
        }


def tan2d(config: TAN2DConfig, variant: PluggedVariant) -> GroundingModel:
    """2D-TAN in one of its variants."""
    return plugged(TAN2D(config), config, variant)
