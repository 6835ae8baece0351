"""What LCNet makes of local correspondences: relevance, cycles, and the score of a moment.

V videos, Q queries, T frames, L words, N cells, K candidate moments, d width. Features are of
unit norm, so that a product is a cosine.
"""

import math

import torch
from torch import Tensor


def nearest(frames: Tensor, words: Tensor, word_mask: Tensor) -> Tensor:
    """The largest cosine of each frame with its own query's words.

    frames (Q,T,d), words (Q,L,d), word_mask (Q,L) with a real word in each row -> (Q,T).
    """
    cosine = frames @ words.transpose(1, 2)  # (Q,T,L)
    return cosine.masked_fill(~word_mask[:, None], -torch.inf).amax(dim=-1)


def top_frames(relevance: Tensor, mask: Tensor, share: float) -> Tensor:
    """The most relevant frames of each row: bool (...,T), ceil(share * real ones) of them.

    relevance (...,T), mask bool that expands to it, share in (0,1].
    """
    places, chosen = _top(relevance, mask, share)
    return torch.zeros_like(relevance, dtype=torch.bool).scatter(-1, places, chosen)


def mean_of_top(relevance: Tensor, mask: Tensor, share: float) -> Tensor:
    """Mean relevance of the most relevant frames of each row, see top_frames -> (...).

    0 for a row without a real frame.
    """
    places, chosen = _top(relevance, mask, share)
    kept = torch.where(chosen, relevance.gather(-1, places), relevance.new_zeros(()))
    return kept.sum(dim=-1) / chosen.sum(dim=-1).clamp(min=1)


def cycle_back(
    frames: Tensor, frame_mask: Tensor, words: Tensor, word_mask: Tensor, temperature: float
) -> Tensor:
    """Frame -> soft-nearest word -> soft-nearest frame: probability to come back to each frame.

    frames (Q,T,d), words (Q,L,d) and masks (Q,T), (Q,L) -> (Q,T,T), row t of frame t; 0 at
    padding. Both choices are a softmax of cosines over the temperature.
    """
    cosine = frames @ words.transpose(1, 2) / temperature  # (Q,T,L)
    weight = cosine.masked_fill(~word_mask[:, None], -torch.inf).softmax(dim=-1)
    word = torch.nn.functional.normalize(weight @ words, dim=-1)  # (Q,T,d)
    back = word @ frames.transpose(1, 2) / temperature  # (Q,T,T)
    return back.masked_fill(~frame_mask[:, None], -torch.inf).softmax(dim=-1)


def inside_minus_outside(relevance: Tensor, cells: Tensor, balance: float = 0.0) -> Tensor:
    """Mean relevance of the cells inside a moment minus that of the cells outside.

    relevance (Q,N), cells (K,2) first and last cell of each moment -> (Q,K). The whole video has
    no outside, and so no contrast: 0. `balance` multiplies by (4 p (1 - p))^balance, p the
    moment's share of the video; at 0.5 it weighs a difference of means by its certainty.
    """
    count = relevance.shape[1]
    sums = torch.nn.functional.pad(relevance.cumsum(dim=1), (1, 0))  # (Q,N+1)
    inside = sums[:, cells[:, 1] + 1] - sums[:, cells[:, 0]]  # (Q,K)
    length = (cells[:, 1] - cells[:, 0] + 1).to(relevance.dtype)  # (K,)
    outside = (sums[:, -1:] - inside) / (count - length).clamp(min=1)
    contrast = torch.where(length < count, inside / length - outside, inside.new_zeros(()))
    if not balance:
        return contrast
    share = length / count
    return contrast * (4 * share * (1 - share)).clamp(min=0).pow(balance)


def _top(relevance: Tensor, mask: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Places of each row's largest values, and which of them count: (...,k) both."""
    mask = mask.expand_as(relevance)
    most = max(1, math.ceil(relevance.shape[-1] * share))
    count = (mask.sum(dim=-1, keepdim=True) * share).ceil()  # (...,1)
    places = relevance.detach().masked_fill(~mask, -torch.inf).topk(most, dim=-1).indices
    return places, torch.arange(most, device=relevance.device) < count
