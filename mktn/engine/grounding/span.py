"""MKTN's own answer: L_2 of the boundary frames and L_3 of the boundaries inside them."""

import dataclasses
from typing import ClassVar

from torch import Tensor

from mktn import losses
from mktn.grouping.batch import PairBatch


@dataclasses.dataclass(frozen=True)
class SpanLoss:
    """L_2 (span) and L_3 (float)."""

    shares: ClassVar[bool] = True
    w_span: float
    w_float: float

    def __call__(
        self, outputs: dict[str, Tensor], batch: PairBatch, own: slice, of: int | None
    ) -> dict[str, tuple[float, Tensor]]:
        """The terms `span` and `float`; outputs hold start_logits, end_logits and offsets."""
        span_frames = batch.span_frames()[own]
        frames = batch.frame_mask.sum(dim=1)[batch.video_index][own]
        start, end = losses.boundary_cells(span_frames, frames)
        logits = outputs["start_logits"][own], outputs["end_logits"][own]
        floats = outputs["offsets"][own]
        return {
            "span": (self.w_span, losses.span(*logits, start, end, of)),
            "float": (self.w_float, losses.float_boundary(floats, span_frames, start, end, of)),
        }
