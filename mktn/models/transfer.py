"""KnowledgeTransfer: CSM, AVM, OPM and APA together, the part that plugs into other models.

V videos, Q queries, T frames, L words, d width.
"""

import dataclasses

import torch
from torch import Tensor, nn

from mktn.grouping.batch import PairBatch
from mktn.grouping.share import Share
from mktn.models import exchange
from mktn.models.apa import APA
from mktn.models.avm import AVM
from mktn.models.csm import CSM
from mktn.models.encoders import Encoded
from mktn.models.layers import Attention
from mktn.models.opm import OPM
from mktn.models.variants import Variant


@dataclasses.dataclass
class EncodedVideo:
    """All that follows from the videos alone, so that it is computed once for all queries."""

    frames: Tensor  # G (V,T,d)
    patches: Tensor  # (V,T,C+1,d)
    frame_mask: Tensor  # (V,T) bool
    x: Tensor  # the video's part of X (V,T,d)
    activities: Tensor | None  # P_e (V,E,d)
    objects: Tensor | None  # P_a (V,T,A,d); as the next, of use in matching alone
    matched: Tensor | None  # G' of AVM (V,T,d)


@dataclasses.dataclass
class ComparedText:
    """What videos are compared with: of a batch's queries, or of those of all processes."""

    sentences: Tensor  # q (Q,d)
    words: Tensor | None  # W' of AVM (Q,L,d)
    word_mask: Tensor  # (Q,L) bool
    phrases: Tensor | None  # P_p (Q,P,d)
    phrase_mask: Tensor  # (Q,P) bool


@dataclasses.dataclass
class Transferred:
    """A pair's video and sentence, enriched by the other pairs."""

    x: Tensor  # X (Q,T,d)
    frame_mask: Tensor  # (Q,T) bool
    words: Tensor  # W~ (Q,L+1,d) with CSM and its token, else W (Q,L,d)
    word_mask: Tensor
    sentences: Tensor  # z (Q,d)
    activity: Tensor | None  # (Q,d), what APA adds to each frame of X for this query
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
        span: bool = True,
        token: bool = True,
    ) -> None:
        """`span`: whether CSM predicts a span too, which only annotated spans can teach.

        `token`: whether z stands among the words too.
        """
        super().__init__()
        self.csm = self.token = self.avm = self.opm = self.apa = None
        self.to_activities = self.add_frame = None
        if variant.csm:
            parts = (variant.temporal, variant.contextual, variant.semantic)
            self.csm = CSM(width, heads, dropout, *parts, span=span)
            self.token = nn.Linear(width, width) if token else None
        if variant.avm:
            parts_avm = (variant.visual_contrast, variant.textual_contrast)
            self.avm = AVM(width, heads, dropout, *parts_avm)
        if variant.activities is not None or variant.objects in ("prototypes", "raw"):
            self.opm = OPM(width, objects, phrases, variant.objects)
        if variant.activities is not None:
            self.apa = APA(width, frames, activities, variant.activities)
            self.add_activity = nn.Linear(width, width)
            if variant.activities != "pooled":  # one activity: nothing to attend to
                self.to_activities = Attention(width, heads, dropout)
                self.add_frame = nn.Linear(width, width)

    def of_video(
        self, frames: Tensor, patches: Tensor, frame_mask: Tensor, matching: bool = True
    ) -> EncodedVideo:
        """G (V,T,d), patches (V,T,C+1,d) and their mask (V,T), with what APA, OPM, AVM add.

        Without `matching` what only the similarities need is left out.
        """
        matched = objects = activities = None
        if self.avm is not None and matching:
            matched = self.avm.of_video(frames, frame_mask)
        if self.opm is not None:
            objects = self.opm.of_video(patches)
        x = frames
        if self.apa is not None:
            given = patches if objects is None else objects
            prototypes = self.apa.of_video(frames, frame_mask, given)
            activities = prototypes.activities
            if prototypes.frames is not None and self.add_frame is not None:
                x = frames + self.add_frame(prototypes.frames)
        if not matching:
            objects = None
        return EncodedVideo(frames, patches, frame_mask, x, activities, objects, matched)

    def forward(
        self, encoded: Encoded, batch: PairBatch, video: EncodedVideo, matching: bool = True
    ) -> Transferred:
        """Enrich each query's video frames X, words W~ and sentence z, and match all pairs.

        Without `matching` the outputs hold no s_avm, s_op, s_es: no answer needs them.
        """
        text = self.of_text(encoded, batch.share) if matching else None
        outputs = {} if text is None else self.compare(encoded, video, text, batch.share)
        z, words, word_mask = encoded.sentences, encoded.words, encoded.word_mask
        if self.csm is not None:
            z, span = self.csm(encoded, batch, None if text is None else text.sentences)
            if span is not None:
                outputs["csm_span"] = span
        if self.token is not None:
            words = torch.cat([words, self.token(z)[:, None]], dim=1)
            word_mask = torch.cat([word_mask, word_mask.new_ones(len(z), 1)], dim=1)
        activity = None
        x = video.x[batch.video_index]  # (Q,T,d)
        if video.activities is not None:
            memory = video.activities[batch.video_index]  # (Q,E,d)
            if self.to_activities is not None:
                everything = torch.ones(memory.shape[:2], dtype=torch.bool, device=memory.device)
                memory = self.to_activities(z[:, None], memory, everything)  # (Q,1,d)
            memory = self.add_activity(memory)
            x, activity = x + memory, memory[:, 0]
        mask = encoded.frame_mask[batch.video_index]
        return Transferred(x, mask, words, word_mask, z, activity, outputs)

    def match(self, encoded: Encoded, video: EncodedVideo) -> dict[str, Tensor]:
        """s_avm, s_op, s_es (V,Q), as far as the variant has them, and the means of Eq. 4.

        Videos are compared with the raw words and sentences; no query has to be of these videos.
        """
        return self.compare(encoded, video, self.of_text(encoded))

    def of_text(self, encoded: Encoded, share: Share | None = None) -> ComparedText:
        """What videos are compared with; of the whole batch where there is a share of it."""
        mask, words, phrases = encoded.word_mask, None, None
        phrase_mask = mask
        if self.avm is not None:
            words = self.avm.of_text(encoded.words, mask)
        if self.opm is not None and self.opm.matches:
            phrases, phrase_mask = self.opm.of_text(encoded.words, mask)
        if share is None:
            return ComparedText(encoded.sentences, words, mask, phrases, phrase_mask)
        parts = [part for part in (encoded.sentences, words, phrases) if part is not None]
        gathered = iter(exchange.of_queries(share, *parts))
        if phrase_mask is mask:
            phrase_mask = share.whole.word_mask
        else:  # prototypes: each is real
            phrase_mask = mask.new_ones(len(share.whole.words), phrase_mask.shape[1])
        return ComparedText(
            next(gathered),
            None if words is None else next(gathered),
            share.whole.word_mask,
            None if phrases is None else next(gathered),
            phrase_mask,
        )

    def compare(
        self,
        encoded: Encoded,
        video: EncodedVideo,
        text: ComparedText,
        share: Share | None = None,
    ) -> dict[str, Tensor]:
        """`match` of these videos, or of those of all processes, with a text."""
        outputs: dict[str, Tensor] = {}
        if self.avm is not None and text.words is not None:
            frames = video.matched
            if frames is None:
                frames = self.avm.of_video(encoded.frames, encoded.frame_mask)
            matching = self.avm(frames, encoded.frame_mask, text.words, text.word_mask)
            outputs["s_avm"] = matching.similarity
            outputs["avm_frames"], outputs["avm_words"] = matching.frames, matching.words
        if self.opm is not None and text.phrases is not None:
            objects = (
                self.opm.of_video(encoded.patches) if video.objects is None else video.objects
            )
            outputs["s_op"] = self.opm(objects, encoded.frame_mask, text.phrases, text.phrase_mask)
        if self.apa is not None and video.activities is not None:
            s_es = self.apa(video.activities, text.sentences)
            if s_es is not None:
                outputs["s_es"] = s_es
        if share is None:
            return outputs
        rows = {name: value for name, value in outputs.items() if name != "avm_words"}
        everyone = exchange.of_videos(share, *rows.values())
        return outputs | dict(zip(rows, everyone, strict=True))
