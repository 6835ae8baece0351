"""Losses of LCNet (Yang et al., TIP 2021), which need no timestamps; a reimplementation.

V videos, Q queries, T frames.
"""

import torch
from torch import Tensor


def ranking(scores: Tensor, video_index: Tensor, positive: Tensor, margin: float) -> Tensor:
    """A query scores higher with its own video than with others, and than others do with it.

    Mean over the pairs (p(q), q) of the mean over unpaired videos v of
    [margin - S[p(q),q] + S[v,q]]_+ plus that over unpaired queries q' of
    [margin - S[p(q),q] + S[p(q),q']]_+. scores S (V,Q); positive (V,Q) bool marks the pairs that
    are no negatives: own videos, and videos with a query of the same text. A direction without a
    negative is 0. Returns a scalar.
    """
    pairs = torch.arange(len(video_index), device=video_index.device)
    paired = scores[video_index, pairs][:, None]  # (Q,1)
    videos = (margin - paired + scores.T).clamp(min=0)  # (Q,V)
    queries = (margin - paired + scores[video_index]).clamp(min=0)  # (Q,Q)
    loss = _mean_where(videos, ~positive.T) + _mean_where(queries, ~positive[video_index])
    return loss.mean()


def cycle(returns: Tensor, started: Tensor, frames: Tensor) -> Tensor:
    """Frame -> soft-nearest word -> soft-nearest frame ends where it started.

    Mean over the queries of the mean over the frames t that start of the expected squared distance
    ((t' - t) / frames)^2 to where t comes back. returns (Q,T,T) probability that t comes back to
    t', started (Q,T) bool, frames (Q,) number of real ones. A query of which no frame starts is 0.
    Returns a scalar.

    A distance, as the frames of one moment look alike: to come back to any of them is near, while
    a probability of the very frame would reward the frames that look like no other.
    """
    place = torch.arange(returns.shape[-1], device=returns.device)
    apart = (place[:, None] - place[None, :]) / frames[:, None, None].to(returns.dtype)  # (Q,T,T)
    return _mean_where((returns * apart.square()).sum(dim=-1), started).mean()


def _mean_where(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of each row (R,N) over mask; 0 where the row has none."""
    # where, not a product: a masked value may be infinite.
    kept = torch.where(mask, values, torch.zeros_like(values))
    return kept.sum(dim=1) / mask.sum(dim=1).clamp(min=1)
