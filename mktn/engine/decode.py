"""From what a model says of moments to ranked moments in seconds, batched over queries.

Q queries, T frames, K candidates, n moments a query.
"""

import torch
from torch import Tensor

from mktn.grouping.batch import PairBatch


def moments_of(
    outputs: dict[str, Tensor], batch: PairBatch, n: int, nms_threshold: float
) -> tuple[Tensor, Tensor]:
    """The n best moments of each query of the batch, of whichever kind the model's answer is.

    Returns spans (Q,n,2) in seconds, within the video, and scores (Q,n), best first; where fewer
    than n are left, the span is NaN and the score 0.
    """
    duration_s = batch.duration_s[batch.video_index]
    if "confidence" in outputs:
        return decode_candidates(
            outputs["moments"], outputs["confidence"], duration_s, n, nms_threshold
        )
    logits = outputs["start_logits"], outputs["end_logits"], outputs["offsets"]
    frames = batch.frame_mask.sum(dim=1)[batch.video_index]
    return decode(*logits, frames, duration_s, n, nms_threshold)


def decode_candidates(
    moments: Tensor, confidence: Tensor, duration_s: Tensor, n: int, nms_threshold: float
) -> tuple[Tensor, Tensor]:
    """The n best candidates of each query after greedy NMS over all of them.

    moments (K,2) or (Q,K,2), fractions of the duration, cut to [0,1]; confidence (Q,K), below 0
    where a query has no such candidate; duration_s (Q,). A moment without length is no candidate.
    Returns what `moments_of` does.
    """
    # In seconds before they are compared: what is stored is what was ranked.
    spans_s = moments.float().clamp(0, 1) * duration_s[:, None, None]
    start_s, end_s = spans_s.expand(*confidence.shape, 2).unbind(dim=-1)
    scores = confidence.float().masked_fill(end_s <= start_s, -1.0)
    return _greedy(scores, start_s, end_s, n, nms_threshold)


def decode(
    start_logits: Tensor,
    end_logits: Tensor,
    offsets: Tensor,
    frames: Tensor,
    duration_s: Tensor,
    n: int,
    nms_threshold: float,
) -> tuple[Tensor, Tensor]:
    """The n best moments of each query after greedy NMS over all valid cells.

    start_logits, end_logits (Q,T) with masked frames lowest, offsets (Q,T,2), frames (Q,) the
    real frames, duration_s (Q,). Cell (s,e), s <= e, scores P_s[s] P_e[e] and covers
    [s + 1 - O_s[s], e + O_e[e]] frames. A moment goes when its IoU with a kept one is larger
    than the threshold. Returns spans (Q,n,2) in seconds and scores (Q,n), best first; where
    fewer than n are left, the span is NaN and the score 0.
    """
    width = start_logits.shape[1]
    start_p = start_logits.float().softmax(dim=1)
    end_p = end_logits.float().softmax(dim=1)
    index = torch.arange(width, device=start_p.device)
    start, end = torch.triu_indices(width, width, device=start_p.device)  # (K,) cells, s <= e
    scores = start_p[:, start] * end_p[:, end]  # (Q,K)
    real = end[None] < frames[:, None]
    scores = scores.masked_fill(~real, -1.0)
    second = (duration_s / frames)[:, None]  # seconds a frame
    offsets = offsets.float()
    start_s = ((index + 1 - offsets[..., 0]) * second)[:, start].clamp(min=0)
    end_s = ((index + offsets[..., 1]) * second)[:, end]
    # In one cell the two may cross: such a cell holds no moment.
    scores = scores.masked_fill(end_s <= start_s, -1.0)
    end_s = torch.minimum(end_s, duration_s[:, None])
    return _greedy(scores, start_s, end_s, n, nms_threshold)


def _greedy(
    scores: Tensor, start_s: Tensor, end_s: Tensor, n: int, nms_threshold: float
) -> tuple[Tensor, Tensor]:
    """Greedy NMS of candidates (Q,K), all rows at once; a score below 0 is no candidate."""
    queries = len(scores)
    rows = torch.arange(queries, device=scores.device)
    spans = scores.new_full((queries, n, 2), torch.nan)
    kept_scores = scores.new_zeros(queries, n)
    for rank in range(n):
        best_score, best = scores.max(dim=1)
        kept_start, kept_end = start_s[rows, best], end_s[rows, best]
        left = best_score >= 0
        kept = torch.stack([kept_start, kept_end], dim=-1)
        spans[:, rank] = torch.where(left[:, None], kept, spans[:, rank])
        kept_scores[:, rank] = best_score.clamp(min=0)
        if rank + 1 == n:
            break
        overlap = torch.minimum(end_s, kept_end[:, None]) - torch.maximum(
            start_s, kept_start[:, None]
        )
        overlap = overlap.clamp(min=0)
        union = (end_s - start_s) + (kept_end - kept_start)[:, None] - overlap
        scores = scores.masked_fill(overlap > nms_threshold * union, -1.0)
        scores[rows, best] = -1.0
    return spans, kept_scores
