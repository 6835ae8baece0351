"""MKTN: encoders, knowledge transfer, fusion and grounding head.

V videos, Q queries, T frames, C patches, L words, d width.
"""

from torch import Tensor, nn

from mktn.grouping.batch import PairBatch
from mktn.models.config import ModelConfig
from mktn.models.encoders import Encoded, TextEncoder, VideoEncoder
from mktn.models.fusion import Fusion
from mktn.models.heads import SpanHead
from mktn.models.transfer import KnowledgeTransfer
from mktn.models.variants import Variant


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
            config.feature_dropout,
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
