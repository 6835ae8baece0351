"""MKTN: encoders, knowledge transfer, fusion and grounding head.

V videos, Q queries, T frames, C patches, L words, d width.
"""

import dataclasses

from torch import Tensor, nn

from mktn.grouping.batch import PairBatch
from mktn.models.encoders import Encoded, TextEncoder, VideoEncoder
from mktn.models.fusion import Fusion
from mktn.models.heads import SpanHead
from mktn.models.transfer import KnowledgeTransfer
from mktn.models.variants import Variant


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Sizes of a model. The first five follow from the data; the rest are hyperparameters."""

    frames: int  # T
    dimension: int  # width of a frame's global feature
    patch_dimension: int  # width of a patch, 0 where the features have none
    word_dimension: int
    sentence_dimension: int
    width: int = 128  # d
    heads: int = 4
    dropout: float = 0.1
    objects: int = 6  # A
    phrases: int = 4  # P
    activities: int = 3  # E
    virtual_patches: int = 4  # slots made of the global feature where there are no patches

    def __post_init__(self) -> None:
        if self.width % self.heads or self.width % 2:
            raise ValueError(
                f"width {self.width} is not a multiple of 2 and of heads {self.heads}"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout {self.dropout} is outside [0, 1)")


class MKTN(nn.Module):
    """The multi-thread knowledge transfer network, one variant of it."""

    def __init__(self, config: ModelConfig, variant: Variant) -> None:
        super().__init__()
        width, heads, dropout = config.width, config.heads, config.dropout
        self.video = VideoEncoder(
            config.dimension,
            config.patch_dimension,
            config.virtual_patches,
            width,
            heads,
            dropout,
        )
        self.text = TextEncoder(config.word_dimension, config.sentence_dimension, width, dropout)
        self.transfer = KnowledgeTransfer(
            variant,
            frames=config.frames,
            width=width,
            heads=heads,
            dropout=dropout,
            objects=config.objects,
            phrases=config.phrases,
            activities=config.activities,
        )
        self.fusion = Fusion(width, dropout)
        self.head = SpanHead(width, heads, dropout)

    def forward(self, batch: PairBatch) -> dict[str, Tensor]:
        """Answer every query of the batch.

        start_logits, end_logits (Q,T), offsets (Q,T,2) in (0,1); and, as far as the variant has
        them, csm_span (Q,2) as fractions of the duration, s_avm, s_op, s_es (V,Q) and the
        means avm_frames (V,d), avm_words (Q,d) of Eq. 4.
        """
        frames, patches = self.video(batch)
        words, sentences = self.text(batch)
        encoded = Encoded(frames, patches, batch.frame_mask, words, batch.word_mask, sentences)
        given = self.transfer(encoded, batch)
        fused = self.fusion(given.x, given.frame_mask, given.words, given.word_mask)
        return given.outputs | self.head(fused, given.frame_mask)
