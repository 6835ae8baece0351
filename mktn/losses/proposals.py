"""Losses of models that score candidate moments (2D-TAN).

Q queries, K candidate moments; moments and spans are (start, end) as fractions of the duration.
"""

import torch
from torch import Tensor
from torch.nn import functional


def moment_iou(moments: Tensor, spans: Tensor) -> Tensor:
    """IoU of each span (Q,2) with each moment (K,2) or (Q,K,2) -> (Q,K) in [0,1]."""
    start, end = moments.unbind(dim=-1)
    first, last = spans[:, None].unbind(dim=-1)  # (Q,1)
    overlap = (torch.minimum(end, last) - torch.maximum(start, first)).clamp(min=0)
    union = (end - start) + (last - first) - overlap
    return overlap / union.clamp(min=1e-12)


def scaled_iou(
    logits: Tensor, iou: Tensor, t_min: float, t_max: float, of: int | None = None
) -> Tensor:
    """2D-TAN's loss: binary cross-entropy of each moment's score with its scaled IoU (Eqs. 5, 6).

    logits, iou (Q,K). The target is 0 up to t_min, 1 from t_max on, linear between. A mean over
    all moments of all queries; `of`: these are a part, maybe empty, of so many queries, and the
    value is their part of the mean over all. Returns a scalar.
    """
    target = ((iou - t_min) / (t_max - t_min)).clamp(0, 1)
    total = functional.binary_cross_entropy_with_logits(logits, target, reduction="sum")
    return total / ((len(logits) if of is None else of) * logits.shape[1])
