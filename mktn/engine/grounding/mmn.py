"""What MMN is trained for, beside what the transfer adds."""

import dataclasses
from typing import ClassVar

from torch import Tensor

from mktn.grouping.batch import PairBatch
from mktn.losses import mutual
from mktn.losses.proposals import moment_iou, scaled_iou


@dataclasses.dataclass(frozen=True)
class MutualLoss:
    """Overlap (`map`) and mutual matching (`mutual`), with the settings of Charades-STA.

    Published elsewhere: ActivityNet margin .3, w_mutual .1; TACoS margin .1, w_mutual .1,
    t_min .3, t_max .7, positives 3.
    """

    shares: ClassVar[bool] = False  # batch norm sees the videos of one process

    w_map: float = 1.0
    w_mutual: float = 0.05
    t_min: float = 0.5  # IoU up to which a moment's target is 0
    t_max: float = 1.0  # and from which it is 1
    temperature: float = 0.1
    margin: float = 0.4  # taken from a positive's cosine
    positives: int = 1  # moments a query
    negative_iou: float = 0.5  # below it a moment of the own video is a negative
    sentence_iou: float = 0.5  # below it another sentence of the own video is a negative

    def __post_init__(self) -> None:
        if not 0 <= self.t_min < self.t_max <= 1:
            raise ValueError(f"0 <= t_min {self.t_min} < t_max {self.t_max} <= 1 must hold")
        if self.temperature <= 0 or self.positives < 1:
            raise ValueError(
                f"temperature {self.temperature} > 0 and positives {self.positives} >= 1 must hold"
            )

    def __call__(
        self, outputs: dict[str, Tensor], batch: PairBatch, own: slice, of: int | None
    ) -> dict[str, tuple[float, Tensor]]:
        """Term -> (weight, unweighted value); the batch is whole (`shares`)."""
        if batch.span_s is None:
            raise ValueError("this batch has no annotated spans")
        where = batch.video_index
        spans = (batch.span_s / batch.duration_s[where, None]).clamp(0, 1)  # (Q,2)
        iou = moment_iou(outputs["moments"], spans)  # (Q,K)
        positive = mutual.best_moments(iou, self.positives)
        related, similarity = batch.positive(), outputs["similarity"]
        moments = mutual.negative_moments(iou, positive, related, where, self.negative_iou)
        sentences = mutual.negative_sentences(
            spans, related, where, batch.text_index, self.sentence_iou
        )
        constants = (self.temperature, self.margin)
        matching = mutual.sentence_to_moments(similarity, positive, where, moments, *constants)
        matching = matching + mutual.moment_to_sentences(
            similarity, positive, where, sentences, *constants
        )
        overlap = scaled_iou(outputs["overlap_logits"], iou, self.t_min, self.t_max)
        return {"map": (self.w_map, overlap), "mutual": (self.w_mutual, matching)}
