"""IA-Net's losses of its windows, Eqs. 14 and 15 of Liu et al., EMNLP 2021.

Q queries, W windows. The equations are of one query: each is a mean over its windows, and a batch
is the mean over its queries, so that no query counts more for having more windows.
"""

import torch
from torch import Tensor
from torch.nn import functional


def window_iou(windows: Tensor, span_frames: Tensor) -> Tensor:
    """o of Eq. 14: IoU (Q,W) of windows (Q,W,2) with annotated spans (Q,2), all in frames."""
    start, end = span_frames[:, None].unbind(dim=-1)  # (Q,1)
    inner = torch.minimum(windows[..., 1], end) - torch.maximum(windows[..., 0], start)
    overlap = inner.clamp(min=0)
    union = (windows[..., 1] - windows[..., 0]) + (end - start) - overlap
    return overlap / union.clamp(min=1e-8)


def window_alignment(logits: Tensor, iou: Tensor, exists: Tensor, of: int | None = None) -> Tensor:
    """L_align of Eq. 14: cross-entropy of the confidences with the IoUs.

    logits (Q,W), whose sigmoid is cs; iou (Q,W) in [0,1]; exists (Q,W) bool. `of`, here and
    below: these are a part, maybe empty, of so many queries, and the value is their part of the
    mean over all.
    """
    values = functional.binary_cross_entropy_with_logits(logits, iou, reduction="none")
    return _mean_of_queries(values, exists, of)


def window_boundary(
    offsets: Tensor, windows: Tensor, span_frames: Tensor, positive: Tensor, of: int | None = None
) -> Tensor:
    """L_b of Eq. 15: smooth L1 of the offsets of the positive windows from the annotated span.

    offsets (Q,W,2), windows (Q,W,2), span_frames (Q,2), all in frames; positive (Q,W) bool. A
    query without a positive window contributes 0.
    """
    target = span_frames[:, None] - windows
    values = functional.smooth_l1_loss(offsets, target, reduction="none").sum(dim=-1)
    return _mean_of_queries(values, positive, of)


def _mean_of_queries(values: Tensor, mask: Tensor, of: int | None) -> Tensor:
    """Mean over rows, or sum over `of`, of each row's mean over mask; 0 where it has none."""
    rows = (values * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
    return rows.mean() if of is None else rows.sum() / of
