"""MKTN: encoders, knowledge transfer, fusion and grounding head.

V videos, Q queries, T frames, C patches, L words, d width.
"""

from torch import Tensor

from mktn.grouping.batch import PairBatch
from mktn.models.base import GroundingModel
from mktn.models.config import ModelConfig
from mktn.models.encoders import Encoded, TextEncoder, VideoEncoder
from mktn.models.fusion import Fusion
from mktn.models.heads import SpanHead
from mktn.models.transfer import EncodedVideo, KnowledgeTransfer
from mktn.models.variants import Variant


class MKTN(GroundingModel):
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

    def encode_video(self, batch: PairBatch, matching: bool = True) -> EncodedVideo:
        """All that follows from the batch's videos alone; its queries are not read."""
        frames, patches = self.video(batch)
        return self.transfer.of_video(frames, patches, batch.frame_mask, matching)

    def encode_text(self, batch: PairBatch, video: EncodedVideo) -> Encoded:
        """The batch's words and sentences beside these videos."""
        words, sentences = self.text(batch)
        return Encoded(
            video.frames, video.patches, video.frame_mask, words, batch.word_mask, sentences
        )

    def forward(
        self, batch: PairBatch, video: EncodedVideo | None = None, matching: bool = True
    ) -> dict[str, Tensor]:
        """Answer every query of the batch.

        `video`: what `encode_video` made of the same videos earlier; `batch.video_index` counts
        them, and the batch's own frames and patches are not read. `matching`: whether videos and
        queries are matched too, which training needs and an answer does not.

        start_logits, end_logits (Q,T), offsets (Q,T,2) in (0,1); and, as far as the variant has
        them, csm_span (Q,2) as fractions of the duration, and with `matching` s_avm, s_op, s_es
        (V,Q) and the means avm_frames (V,d), avm_words (Q,d) of Eq. 4.
        """
        if video is None:
            video = self.encode_video(batch, matching)
        encoded = self.encode_text(batch, video)
        given = self.transfer(encoded, batch, video, matching)
        fused = self.fusion(given.x, given.frame_mask, given.words, given.word_mask)
        return given.outputs | self.head(fused, given.frame_mask)
