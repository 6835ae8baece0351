"""KnowledgeTransfer: CSM, AVM, OPM and APA together, the part that plugs into other models.

V videos, Q queries, T frames, L words, d width.
"""

import dataclasses

import torch
from torch import Tensor, nn

from mktn.grouping.batch import PairBatch
from mktn.models.apa import APA
from mktn.models.avm import AVM
from mktn.models.csm import CSM
from mktn.models.encoders import Encoded
from mktn.models.layers import Attention
from mktn.models.opm import OPM
from mktn.models.variants import Variant


@dataclasses.dataclass
class Transferred:
    """A pair's video and sentence, enriched by the other pairs."""

    x: Tensor  # X (Q,T,d)
    frame_mask: Tensor  # (Q,T) bool
    words: Tensor  # W~ (Q,L+1,d) with CSM, else W (Q,L,d)
    word_mask: Tensor
    sentences: Tensor  # z (Q,d)
    outputs: dict[str, Tensor]  # csm_span, s_avm, avm_frames, avm_words, s_op, s_es


class KnowledgeTransfer(nn.Module):
    """The four modules of one variant; a module that the variant leaves out is not built.

    z has attended to its own video, so AVM, OPM and APA compare videos with the raw W and q.
    """

    def __init__(
        self,
        variant: Variant,
        *,
        frames: int,
        width: int,
        heads: int,
        dropout: float,
        objects: int,
        phrases: int,
        activities: int,
    ) -> None:
        super().__init__()
        self.csm = self.token = self.avm = self.opm = self.apa = None
        if variant.csm:
            parts = (variant.temporal, variant.contextual, variant.semantic)
            self.csm = CSM(width, heads, dropout, *parts)
            self.token = nn.Linear(width, width)
        if variant.avm:
            parts_avm = (variant.visual_contrast, variant.textual_contrast)
            self.avm = AVM(width, heads, dropout, *parts_avm)
        if variant.activities is not None or variant.objects in ("prototypes", "raw"):
            self.opm = OPM(width, objects, phrases, variant.objects)
        if variant.activities is not None:
            self.apa = APA(width, frames, activities, variant.activities)
            self.to_activities = Attention(width, heads, dropout)
            self.add_activity = nn.Linear(width, width)
            if variant.activities != "pooled":
                self.add_frame = nn.Linear(width, width)

    def forward(self, encoded: Encoded, batch: PairBatch) -> Transferred:
        """Enrich each query's video frames X, words W~ and sentence z, and match all pairs."""
        outputs: dict[str, Tensor] = {}
        z, words, word_mask = encoded.sentences, encoded.words, encoded.word_mask
        if self.csm is not None and self.token is not None:
            z, outputs["csm_span"] = self.csm(encoded, batch)
            words = torch.cat([words, self.token(z)[:, None]], dim=1)
            word_mask = torch.cat([word_mask, word_mask.new_ones(len(z), 1)], dim=1)
        if self.avm is not None:
            matching = self.avm(encoded)
            outputs["s_avm"] = matching.similarity
            outputs["avm_frames"], outputs["avm_words"] = matching.frames, matching.words
        objects = encoded.patches
        if self.opm is not None:
            objects, s_op = self.opm(encoded)
            if s_op is not None:
                outputs["s_op"] = s_op
        frames, query_part = encoded.frames, None
        if self.apa is not None:
            activity = self.apa(encoded, objects)
            if activity.similarity is not None:
                outputs["s_es"] = activity.similarity
            if activity.frames is not None:
                frames = frames + self.add_frame(activity.frames)
            memory = activity.activities[batch.video_index]  # (Q,E,d)
            everything = torch.ones(memory.shape[:2], dtype=torch.bool, device=memory.device)
            query_part = self.add_activity(self.to_activities(z[:, None], memory, everything))
        x = frames[batch.video_index]  # (Q,T,d)
        if query_part is not None:
            x = x + query_part
        mask = encoded.frame_mask[batch.video_index]
        return Transferred(x, mask, words, word_mask, z, outputs)
