"""IA-Net: encoders, iterated interaction blocks, segment localizer (Liu et al., EMNLP 2021).

V videos, Q pairs, T frames, L words, K learned padding rows, W windows, d width.

Beyond the paper: the encoders normalise what goes into their GRU and what comes out of it, and
there is dropout. What the paper leaves open is decided where it stands: mktn.models.interaction,
mktn.models.localizer, mktn.losses.windows.
"""

import dataclasses

import torch
from torch import Tensor, nn

from mktn.errors import UserError
from mktn.grouping.batch import PairBatch
from mktn.models.base import GroundingModel
from mktn.models.config import IANetConfig
from mktn.models.interaction import AttentionMaps, InteractionBlock
from mktn.models.layers import BiGRU, sinusoid
from mktn.models.localizer import SegmentLocalizer, window_spans
from mktn.models.variants import IANetVariant


@dataclasses.dataclass
class EncodedFrames:
    """What follows from the videos alone."""

    frames: Tensor  # V (V,T,d)
    frame_mask: Tensor  # (V,T) bool


class SequenceEncoder(nn.Module):
    """Section 3.1, of frames or of words: linear, position encoding, bidirectional GRU."""

    def __init__(
        self, dimension: int, width: int, dropout: float, feature_dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.features = nn.Dropout(feature_dropout)
        self.project = nn.Linear(dimension, width)
        # Else positions outweigh features of small scale, and the small states of a GRU leave the
        # attention uniform, from where it is slow to learn.
        self.norm = nn.LayerNorm(width)
        self.gru = BiGRU(width, width)
        self.norm_out = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (N,S,D), mask (N,S) bool -> (N,S,d), zero at padding."""
        x = self.norm(self.project(self.features(x)))
        positions = torch.arange(x.shape[1], device=x.device)
        x = x + sinusoid(positions, x.shape[-1]).to(x.dtype)
        x = self.norm_out(self.gru(self.dropout(x), mask))
        return self.dropout(x) * mask[..., None]


class IANet(GroundingModel):
    """The iterative alignment network, one variant of it; frames are encoded once a video.

    Raises UserError where the variant is the configured network itself, or does not fit it.
    """

    def __init__(self, config: IANetConfig, variant: IANetVariant) -> None:
        super().__init__()
        config = _of_variant(config, variant)
        width, dropout = config.width, config.dropout
        self.video = SequenceEncoder(config.dimension, width, dropout, config.feature_dropout)
        self.text = SequenceEncoder(config.word_dimension, width, dropout)
        self.blocks = nn.ModuleList(
            InteractionBlock(
                width,
                config.heads,
                config.padding,
                dropout,
                calibrate_inter=variant.calibrate_inter,
                intra=variant.intra,
                calibrate_intra=variant.calibrate_intra,
            )
            for _ in range(config.blocks)
        )
        sizes = config.window_sizes()
        windows = window_spans(sizes, config.stride, config.frames)
        self.localizer = SegmentLocalizer(width, dropout, windows, sizes)

    def encode_video(self, batch: PairBatch, matching: bool = True) -> EncodedFrames:
        """All that follows from the batch's videos alone; its queries are not read."""
        return EncodedFrames(self.video(batch.frames, batch.frame_mask), batch.frame_mask)

    def forward(
        self, batch: PairBatch, video: EncodedFrames | None = None, matching: bool = True
    ) -> dict[str, Tensor]:
        """Answer every query of the batch, each pair for itself.

        `video`: what `encode_video` made of the same videos earlier; `batch.video_index` counts
        them, and the batch's own frames are not read. `matching` changes nothing.

        moments (Q,W,2), fractions of the duration, and confidence (Q,W) in [0,1], -1 where the
        window does not exist for the pair's video; for the losses window_logits (Q,W), the
        confidence's; windows (Q,W,2) and window_offsets (Q,W,2) in frames.
        """
        frames, frame_mask, words = self._interact(batch, video, None)
        found: dict[str, Tensor] = self.localizer(frames, frame_mask, words, batch.word_mask)
        return found

    def attention_maps(
        self, batch: PairBatch, video: EncodedFrames | None = None
    ) -> list[AttentionMaps]:
        """The averaged maps of each block for the batch's pairs, learned padding included."""
        maps: list[AttentionMaps] = []
        self._interact(batch, video, maps)
        return maps

    def _interact(
        self, batch: PairBatch, video: EncodedFrames | None, maps: list[AttentionMaps] | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Frames (Q,T,d), their mask (Q,T) and words (Q,L,d) after all blocks."""
        if video is None:
            video = self.encode_video(batch)
        words = self.text(batch.words, batch.word_mask)
        frames = video.frames[batch.video_index]
        frame_mask = video.frame_mask[batch.video_index]
        for block in self.blocks:
            frames, words = block(frames, frame_mask, words, batch.word_mask, maps)
        return frames, frame_mask, words


def _of_variant(config: IANetConfig, variant: IANetVariant) -> IANetConfig:
    changed = {
        name: value
        for name in ("padding", "heads", "blocks")
        if (value := getattr(variant, name)) is not None
    }
    for name, value in changed.items():
        if getattr(config, name) == value:
            raise UserError(
                "this ablation is the configured network itself",
                where=f"model.{name}",
                found=value,
                do="configure another number, or leave the variant out",
            )
    try:
        return dataclasses.replace(config, **changed)
    except ValueError as error:
        raise UserError(
            "this ablation does not fit the model", where="model", found=error
        ) from error
