"""Another model with knowledge transfer between its encoders and the rest ("+MKTN", Table 2).

V videos, Q queries, T frames, L words, d width. The model's frames are enriched for each video,
so that what it computes of a video is still shared by all its queries; what APA adds for a query
goes into the sentence.

The modules of the transfer were made for features of about one in size: positions and prototypes
are. So it reads the model's features through norms of its own, and what it finds is added to the
features that the model made, by weights for each channel that start small. Put in their place it
outweighed them: 2D-TAN's sentence is the state of an LSTM, some tenths in size, and beside it the
place among the sentences was all that was left to see.
"""

import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from mktn.grouping.batch import PairBatch
from mktn.models.base import GroundingModel, Patches, Pluggable, Text
from mktn.models.config import PluggedConfig
from mktn.models.encoders import Encoded
from mktn.models.transfer import EncodedVideo, KnowledgeTransfer
from mktn.models.variants import PluggedVariant

START = 0.1  # of what the transfer adds


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
            config.feature_dropout,
        )
        self.norm_frames = nn.LayerNorm(config.width)
        self.norm_words = nn.LayerNorm(config.width)
        self.norm_sentences = nn.LayerNorm(config.width)
        self.frame_scale = nn.Parameter(torch.full((config.width,), START))
        self.sentence_scale = nn.Parameter(torch.full((config.width,), START))
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
        own = self.model.encode_frames(batch)
        frames = self.norm_frames(own)
        patches = self.patches(frames, batch)
        video = self.transfer.of_video(frames, patches, batch.frame_mask, matching)
        enriched = own + self.frame_scale * (video.x - frames)
        return PluggedVideo(video, self.model.of_video(enriched, batch.frame_mask))

    def forward(
        self, batch: PairBatch, video: Any = None, matching: bool = True
    ) -> dict[str, Tensor]:
        """The model's answer, and as far as the variant has them csm_span, s_avm, s_op, s_es."""
        if video is None:
            video = self.encode_video(batch, matching)
        encoded = video.transfer
        words, sentences = self.model.encode_sentences(batch)
        mask = batch.word_mask
        read = self.norm_words(words) * mask[..., None], mask, self.norm_sentences(sentences)
        own = Encoded(encoded.frames, encoded.patches, encoded.frame_mask, *read)
        given = self.transfer(own, batch, encoded, matching)
        found = given.sentences if given.activity is None else given.sentences + given.activity
        enriched = sentences + self.sentence_scale * found
        # The model's own words, and behind them the transfer's token of z where there is one.
        joined = torch.cat([words, given.words[:, words.shape[1] :]], dim=1)
        text = Text(joined, given.word_mask, enriched, words, mask, sentences)
        return given.outputs | self.model.ground(video.model, text, batch)


def plugged(model: Pluggable, config: PluggedConfig, variant: PluggedVariant) -> GroundingModel:
    """The model as the variant has it: alone, or with knowledge transfer."""
    return model if variant.transfer is None else Plugged(model, config, variant)
