"""The paper's losses, one function a numbered equation; docs/equations.md sets them beside it.

V videos, Q queries, T frames, d width. Similarities are (V,Q) unless said otherwise. S of Eq. 1
is in mktn.models.similarity, the mask of Eq. 5 in mktn.models.apa, the sum of Eq. 11 in
mktn.engine.criterion.
"""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

Schedule = Literal["cosine", "printed", "linear", "fixed"]


def adaptive_threshold(
    progress: float, initial: float, final: float, schedule: Schedule = "cosine"
) -> float:
    """The dynamic threshold phi of Eq. 2 at training progress r in [0,1].

    `cosine` goes from initial to final; `printed` is cos(r pi + 1) as the paper has it, which
    starts and ends at neither; `linear` and `fixed` (final throughout) are the ablations.
    Raises ValueError for another schedule or a progress outside [0,1].
    """
    if not 0 <= progress <= 1:
        raise ValueError(f"{progress = } is outside [0, 1]")
    if schedule == "cosine":
        return final - (final - initial) * (1 + math.cos(math.pi * progress)) / 2
    if schedule == "printed":
        return final - (final - initial) * math.cos(progress * math.pi + 1)
    if schedule == "linear":
        return initial + (final - initial) * progress
    if schedule == "fixed":
        return final
    raise ValueError(f"unknown {schedule = }")


def negatives(similarity: Tensor, positive: Tensor, phi: float) -> Tensor:
    """The negative set of Eq. 1: pairs that are not related and score below phi, detached.

    similarity (V,Q), positive (V,Q) bool -> (V,Q) bool. The paper's S is a matrix a pair; here it
    is a number (frame_word_similarity). Column q holds the negative videos of q, row v the
    negative queries of v, which the paper does not define.
    """
    return ~positive & (similarity.detach() < phi)


def contrast_weight(
    frames: Tensor, words: Tensor, video_index: Tensor, negative: Tensor
) -> Tensor:
    """theta of Eq. 4 for each pair (p(q), q), detached and clamped to [0.05, 0.5].

    frames (V,d) and words (Q,d) are the masked means of G' and W'; negative (V,Q) marks the
    negative queries of each video. d+ = ||g - w+||, d- = mean ||g - w-||;
    theta = 0.5 where there is no negative or d+ = d- = 0. Returns (Q,).
    """
    with torch.no_grad():
        distance = torch.cdist(frames.float(), words.float())  # (V,Q)
        pairs = torch.arange(len(video_index), device=video_index.device)
        positive = distance[video_index, pairs]
        negatives = negative[video_index].to(distance.dtype)  # (Q,Q): row q, queries of p(q)
        count = negatives.sum(dim=1)
        mean = (distance[video_index] * negatives).sum(dim=1) / count.clamp(min=1)
        total = mean + positive
        ratio = ((mean - positive) / total.clamp(min=1e-12)).square()
        theta = (ratio / (1 + ratio)).clamp(0.05, 0.5)
        return torch.where((count == 0) | (total == 0), torch.full_like(theta, 0.5), theta)


def contrastive(
    similarity: Tensor,
    video_index: Tensor,
    negative: Tensor,
    theta: Tensor,
    phi: float,
    *,
    queries: bool = True,
    videos: bool = True,
) -> Tensor:
    """L_CL of Eq. 3: hinges of the pair's similarity against its negatives.

    Mean over the pairs (p(q), q) of theta * mean over negative queries of p(q) of
    [phi - S+ + S-]_+, plus (1 - theta) * the same over negative videos of q. An empty negative
    set contributes 0. similarity, negative (V,Q), theta (Q,); `queries` and `videos` drop
    either hinge (Table 5). Returns a scalar.
    """
    pairs = torch.arange(len(video_index), device=video_index.device)
    positive = similarity[video_index, pairs]  # (Q,)
    loss = torch.zeros_like(positive)
    if queries:
        hinge = (phi - positive[:, None] + similarity[video_index]).clamp(min=0)  # (Q,Q)
        loss = loss + theta * _mean_where(hinge, negative[video_index])
    if videos:
        hinge = (phi - positive[:, None] + similarity.T).clamp(min=0)  # (Q,V)
        loss = loss + (1 - theta) * _mean_where(hinge, negative.T)
    return loss.mean()


def rince(
    similarity: Tensor,
    positive: Tensor,
    temperature: float | Tensor = 0.5,
    q: float | Tensor = 0.5,
    lam: float | Tensor = 0.01,
    *,
    printed: bool = False,
) -> Tensor:
    """Robust InfoNCE of Eqs. 6 and 7, in its published form (Chuang et al., CVPR 2022).

    Mean over rows, of the mean over the row's positives s+, of
    -exp(s+/tau)^q / q + (lam (exp(s+/tau) + sum over negatives exp(s-/tau)))^q / q.
    similarity (R,N) float, positive (R,N) bool; a row's negatives are its non-positives. Returns
    a scalar. Raises ValueError where a row has no positive. `printed` drops the power q of the
    first term, as the paper prints it.

    As q -> 0 it tends to InfoNCE + log(lam), which is blind to a constant added to a row; RINCE
    is not. At S = s throughout its derivative in s is exp(q s/tau)/tau ((lam (1 + N))^q - 1) for
    N negatives: below 0, pulling everything together, where lam (1 + N) < 1, and above 0, pushing
    everything apart, where it is > 1. docs/matching.md says what follows.
    """
    _check_positives(positive)
    scaled = similarity / temperature
    log_negatives = scaled.masked_fill(positive, -torch.inf).logsumexp(dim=1, keepdim=True)
    # Filled in, as the host would wait for a number that it copies to a GPU.
    share = lam.to(scaled) if isinstance(lam, Tensor) else scaled.new_full((), lam)
    log_all = torch.logaddexp(scaled, log_negatives) + share.log()
    if printed:
        values = ((q * log_all).exp() - scaled.exp()) / q
    else:
        # (e^{q b} - e^{q a}) / q by expm1, which stays exact as q -> 0.
        values = (torch.expm1(q * log_all) - torch.expm1(q * scaled)) / q
    return _mean_where(values, positive).mean()


def _check_positives(positive: Tensor) -> None:
    has = positive.any(dim=1)
    if positive.is_cuda:  # without waiting for the device
        torch._assert_async(has.all(), "a row has no positive")
    elif not has.all():
        row = int(has.logical_not().nonzero()[0])
        raise ValueError(f"row {row} of {tuple(positive.shape)} has no positive")


def query_to_video(
    similarity: Tensor, positive: Tensor, *constants: Any, **options: Any
) -> Tensor:
    """Eq. 6, L_{q->v}: RINCE over the videos, each against all queries. (V,Q), (V,Q) -> scalar.

    Printed over a square S with the diagonal as positives; a video has several queries.
    """
    return rince(similarity, positive, *constants, **options)


def video_to_query(
    similarity: Tensor, positive: Tensor, *constants: Any, **options: Any
) -> Tensor:
    """Eq. 7, L_{v->q}: RINCE over the queries, each against all videos. (V,Q), (V,Q) -> scalar."""
    return rince(similarity.T, positive.T, *constants, **options)


def alignment(
    similarities: list[Tensor],
    positive: Tensor,
    temperature: float | Tensor,
    q: float | Tensor,
    lam: float | Tensor,
    *,
    printed: bool = False,
) -> Tensor:
    """L_1 of Eq. 8: Eqs. 6 and 7 of each similarity (S_es, S_op), summed."""
    total = positive.new_zeros((), dtype=torch.float32)
    for similarity in similarities:
        for direction in (query_to_video, video_to_query):
            value = direction(similarity, positive, temperature, q, lam, printed=printed)
            total = total + value
    return total


def boundary_cells(span_frames: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
    """The frames (Q,) int64 in which spans (Q,2), in frames, start and (inclusively) end.

    frames (Q,) is the number of real frames: min(floor(g_s), T-1) and ceil(g_e) - 1.
    """
    last = frames.long() - 1
    start = torch.minimum(span_frames[:, 0].floor().long(), last)
    end = torch.minimum(span_frames[:, 1].ceil().long() - 1, last)
    return start, torch.maximum(end, start)


def span(
    start_logits: Tensor, end_logits: Tensor, start: Tensor, end: Tensor, of: int | None = None
) -> Tensor:
    """L_2 of Eq. 9: cross-entropy of the start and end frames; logits (Q,T), cells (Q,).

    `of`, here and below: these are a part, maybe empty, of so many queries, and the value is
    their part of the mean over all.
    """
    return _mean(functional.cross_entropy, start_logits, start, of=of) + _mean(
        functional.cross_entropy, end_logits, end, of=of
    )


def float_boundary(
    offsets: Tensor, span_frames: Tensor, start: Tensor, end: Tensor, of: int | None = None
) -> Tensor:
    """L_3 of Eq. 10 at the true cells: smooth L1 of the share of the boundary frame covered.

    offsets (Q,T,2) in (0,1), span_frames (Q,2), start and end cells (Q,). Targets
    O_s = 1 - (g_s - s) and O_e = g_e - e. The printed equation regresses the argmax, which
    has no gradient.
    """
    pairs = torch.arange(len(start), device=start.device)
    start_share = (1 - (span_frames[:, 0] - start)).clamp(0, 1)
    end_share = (span_frames[:, 1] - end).clamp(0, 1)
    smooth_l1 = functional.smooth_l1_loss
    return _mean(smooth_l1, offsets[pairs, start, 0], start_share, of=of) + _mean(
        smooth_l1, offsets[pairs, end, 1], end_share, of=of
    )


def csm_span(predicted: Tensor, target: Tensor, of: int | None = None) -> Tensor:
    """L_csm: SmoothL1 + (1 - gIoU) of spans (Q,2) as fractions of the duration."""
    inner = torch.minimum(predicted[:, 1], target[:, 1]) - torch.maximum(
        predicted[:, 0], target[:, 0]
    )
    outer = torch.maximum(predicted[:, 1], target[:, 1]) - torch.minimum(
        predicted[:, 0], target[:, 0]
    )
    overlap = inner.clamp(min=0)
    union = (predicted[:, 1] - predicted[:, 0]) + (target[:, 1] - target[:, 0]) - overlap
    tiny = 1e-8
    g_iou = overlap / union.clamp(min=tiny) - (outer - union) / outer.clamp(min=tiny)
    apart = (1 - g_iou).mean() if of is None else (1 - g_iou).sum() / of
    return _mean(functional.smooth_l1_loss, predicted, target, of=of and 2 * of) + apart


def _mean(loss: Callable[..., Tensor], found: Tensor, target: Tensor, of: int | None) -> Tensor:
    """A loss's mean over its values, or its sum over `of`."""
    if of is None:
        return loss(found, target)
    return loss(found, target, reduction="sum") / of


def _mean_where(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of each row (R,N) over mask; 0 where the row has none."""
    # where, not a product: a masked value may be infinite.
    kept = torch.where(mask, values, torch.zeros_like(values))
    return kept.sum(dim=1) / mask.sum(dim=1).clamp(min=1)
