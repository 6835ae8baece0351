"""What every grounding model offers, and the parts of one that knowledge transfer plugs into.

V videos, Q queries, T frames, L words, K candidate moments, d width.
"""

import abc
import dataclasses
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mktn.grouping.batch import PairBatch


@dataclasses.dataclass
class Text:
    """A batch's text. The enriched has attended to the frames of its own video.

    What compares a query with other videos, or takes them as negatives, reads the raw: by the
    enriched a query knows its video. Without knowledge transfer both are the same.
    """

    words: Tensor  # (Q,L,d), with knowledge transfer (Q,L+1,d) where the model reads them
    word_mask: Tensor  # bool
    sentences: Tensor  # (Q,d)
    raw_words: Tensor  # (Q,L,d)
    raw_mask: Tensor  # (Q,L) bool
    raw_sentences: Tensor  # (Q,d)


class GroundingModel(nn.Module, abc.ABC):
    """Answers all queries of a batch, each about its own video.

    Its encoders are named `video` and `text`. An answer is either start_logits, end_logits (Q,T)
    and offsets (Q,T,2) of frames; or candidates: `moments` (K,2) or (Q,K,2), fractions of the
    duration in [0,1], and `confidence` (Q,K) in [0,1], below 0 where a query has none such.
    """

    @abc.abstractmethod
    def encode_video(self, batch: PairBatch, matching: bool = True) -> Any:
        """All that follows from the batch's videos alone; its queries are not read."""

    @abc.abstractmethod
    def forward(
        self, batch: PairBatch, video: Any = None, matching: bool = True
    ) -> dict[str, Tensor]:
        """Answer every query of the batch.

        `video`: what `encode_video` made of the same videos earlier; `batch.video_index` counts
        them, and the batch's own frames and patches are not read. `matching`: whether videos and
        queries are matched too, which training needs and an answer does not.
        """


class Pluggable(GroundingModel):
    """A model in four parts, so that knowledge transfer can stand between them.

    Alone, they are called one after the other; mktn.models.plugged puts the transfer between.
    `reads_words`: whether `ground` reads text.words; else the transfer appends none to them, which
    nothing would teach.
    """

    reads_words: ClassVar[bool] = True

    @abc.abstractmethod
    def encode_frames(self, batch: PairBatch) -> Tensor:
        """The frames (V,T,d) of the batch's videos."""

    @abc.abstractmethod
    def encode_sentences(self, batch: PairBatch) -> tuple[Tensor, Tensor]:
        """Words (Q,L,d), zero at padding, and sentences (Q,d)."""

    @abc.abstractmethod
    def of_video(self, frames: Tensor, frame_mask: Tensor) -> Any:
        """All else that follows from frames (V,T,d) and their mask (V,T), for all queries."""

    @abc.abstractmethod
    def ground(self, video: Any, text: Text, batch: PairBatch) -> dict[str, Tensor]:
        """The answer; `video` is what `of_video` made, of pair q its row batch.video_index[q]."""

    def encode_video(self, batch: PairBatch, matching: bool = True) -> Any:
        """All that follows from the batch's videos alone; its queries are not read."""
        return self.of_video(self.encode_frames(batch), batch.frame_mask)

    def forward(
        self, batch: PairBatch, video: Any = None, matching: bool = True
    ) -> dict[str, Tensor]:
        """Answer every query of the batch, see GroundingModel."""
        if video is None:
            video = self.encode_video(batch, matching)
        words, sentences = self.encode_sentences(batch)
        mask = batch.word_mask
        return self.ground(video, Text(words, mask, sentences, words, mask, sentences), batch)


class Patches(nn.Module):
    """Patches beside a model's own frames, for knowledge transfer: (V,T,C+1,d), slot 0 the frame.

    Of features without patches the frame's vector is expanded into `virtual` slots.
    """

    def __init__(
        self,
        dimension: int,
        patch_dimension: int,
        virtual: int,
        width: int,
        dropout: float,
        feature_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.features = nn.Dropout(feature_dropout)
        self.virtual = 0 if patch_dimension else virtual
        self.project = nn.Linear(patch_dimension or dimension, width * max(self.virtual, 1))
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, frames: Tensor, batch: PairBatch) -> Tensor:
        """The model's frames (V,T,d) with the batch's patches behind them."""
        if self.virtual:
            patches = self.project(self.features(batch.frames)).unflatten(-1, (self.virtual, -1))
        elif batch.patches is None:
            raise ValueError("the model was built for patches and the batch has none")
        else:
            patches = self.project(self.features(batch.patches))
        return torch.cat([frames[:, :, None], self.norm(self.dropout(patches))], dim=2)
