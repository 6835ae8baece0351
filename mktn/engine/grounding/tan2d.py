"""2D-TAN's own answer: the scaled IoU of every candidate moment."""

import dataclasses
from typing import ClassVar

from torch import Tensor

from mktn.grouping.batch import PairBatch
from mktn.losses.proposals import moment_iou, scaled_iou


@dataclasses.dataclass(frozen=True)
class MapLoss:
    """The term `map`. The IoU counts from t_min on, and in full from t_max on."""

    shares: ClassVar[bool] = True
    w_map: float = 1.0
    t_min: float = 0.5
    t_max: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.t_min < self.t_max <= 1:
            raise ValueError(f"0 <= t_min {self.t_min} < t_max {self.t_max} <= 1 must hold")

    def __call__(
        self, outputs: dict[str, Tensor], batch: PairBatch, own: slice, of: int | None
    ) -> dict[str, tuple[float, Tensor]]:
        """The term; outputs hold moments (K,2) and map_logits (Q,K)."""
        frames = batch.frame_mask.sum(dim=1)[batch.video_index, None]
        spans = (batch.span_frames() / frames)[own]
        iou = moment_iou(outputs["moments"], spans)
        logits = outputs["map_logits"][own]
        return {"map": (self.w_map, scaled_iou(logits, iou, self.t_min, self.t_max, of))}
