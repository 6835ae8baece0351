"""Another model with knowledge transfer between its encoders and the rest ("+MKTN", Table 2).

V videos, Q queries, T frames, L words, d width. The model's frames are enriched for each video,
so that what it computes of a video is still shared by all its queries; what APA adds for a query
goes into the sentence.
"""

import dataclasses
from typing import Any

from torch import Tensor

from mktn.grouping.batch import PairBatch
from mktn.models.base import GroundingModel, Patches, Pluggable, Text
from mktn.models.config import PluggedConfig
from mktn.models.encoders import Encoded
from mktn.models.transfer import EncodedVideo, KnowledgeTransfer
from mktn.models.variants import PluggedVariant


@dataclasses.dataclass
class PluggedVideo:
    """What follows from the videos alone: of the transfer, and of the model."""

    transfer: EncodedVideo
    model: Any


class Plugged(GroundingModel):
    """`model` with the modules of `variant.transfer` plugged in; the model's code is untouched."""

    def __init__(self, model: Pluggable, config: PluggedConfig, variant: PluggedVariant) -> None:
        super().__init__()
        if variant.transfer is None:
            raise ValueError("there is nothing to plug in")
        self.model = model
        self.patches = Patches(
            config.dimension,
            config.patch_dimension,
            config.virtual_patches,
            config.width,
            config.dropout,
        )
        self.transfer = KnowledgeTransfer(
            variant.transfer,
            frames=config.frames,
            width=config.width,
            heads=config.heads,
            dropout=config.dropout,
            objects=config.objects,
            phrases=config.phrases,
            activities=config.activities,
            span=variant.span,
            token=model.reads_words,
        )

    def encode_video(self, batch: PairBatch, matching: bool = True) -> PluggedVideo:
        """All that follows from the batch's videos alone; its queries are not read."""
        frames = self.model.encode_frames(batch)
        patches = self.patches(frames, batch)
        video = self.transfer.of_video(frames, patches, batch.frame_mask, matching)
        return PluggedVideo(video, self.model.of_video(video.x, batch.frame_mask))

    def forward(
        self, batch: PairBatch, video: Any = None, matching: bool = True
    ) -> dict[str, Tensor]:
        """The model's answer, and as far as the variant has them csm_span, s_avm, s_op, s_es."""
        if video is None:
            video = self.encode_video(batch, matching)
        encoded = video.transfer
        words, sentences = self.model.encode_sentences(batch)
        mask = batch.word_mask
        own = Encoded(encoded.frames, encoded.patches, encoded.frame_mask, words, mask, sentences)
        given = self.transfer(own, batch, encoded, matching)
        enriched = given.sentences
        if given.activity is not None:
            enriched = enriched + given.activity
        text = Text(given.words, given.word_mask, enriched, words, mask, sentences)
        return given.outputs | self.model.ground(video.model, text, batch)


def plugged(model: Pluggable, config: PluggedConfig, variant: PluggedVariant) -> GroundingModel:
    """The model as the variant has it: alone, or with knowledge transfer."""
    return model if variant.transfer is None else Plugged(model, config, variant)
