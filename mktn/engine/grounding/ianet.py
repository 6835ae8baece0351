"""IA-Net's own answer: L_align and L_b of its windows."""

import dataclasses
from typing import ClassVar

from torch import Tensor

from mktn.grouping.batch import PairBatch
from mktn.losses.windows import window_alignment, window_boundary, window_iou


@dataclasses.dataclass(frozen=True)
class WindowLoss:
    """L_align (align) and L_b (boundary) of Eq. 16."""

    shares: ClassVar[bool] = True
    w_align: float = 1.0
    w_boundary: float = 0.005  # alpha
    positive_iou: float = 0.45  # lambda: a window is positive above it

    def __post_init__(self) -> None:
        if not 0 <= self.positive_iou < 1:
            raise ValueError(f"positive_iou {self.positive_iou} is outside [0, 1)")

    def __call__(
        self, outputs: dict[str, Tensor], batch: PairBatch, own: slice, of: int | None
    ) -> dict[str, tuple[float, Tensor]]:
        """The terms `align` and `boundary`; outputs are IA-Net's."""
        span_frames = batch.span_frames()[own]
        windows, exists = outputs["windows"][own], outputs["confidence"][own] >= 0
        iou = window_iou(windows, span_frames)
        align = window_alignment(outputs["window_logits"][own], iou, exists, of)
        positive = exists & (iou > self.positive_iou)
        offsets = outputs["window_offsets"][own]
        boundary = window_boundary(offsets, windows, span_frames, positive, of)
        return {"align": (self.w_align, align), "boundary": (self.w_boundary, boundary)}
