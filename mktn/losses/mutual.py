"""Mutual matching, the contrastive losses of MMN; that of overlap is in mktn.losses.proposals.

V videos, Q queries, K moments, P positive moments a query. `similarity` (Q,V,K) is the cosine of
a query's sentence with each moment of each video; `positive` (Q,P) int64 are the moments of the
query's own video that overlap it most.
"""

import torch
from torch import Tensor
from torch.nn import functional

from mktn.losses.proposals import moment_iou


def best_moments(iou: Tensor, count: int) -> Tensor:
    """The `count` moments (Q,P) of each query with the largest IoU (Q,K), fewer where K is."""
    return iou.topk(min(count, iou.shape[1]), dim=1).indices


def negative_moments(
    iou: Tensor, positive: Tensor, related: Tensor, video_index: Tensor, below: float
) -> Tensor:
    """(Q,V,K) bool: moments of other, unrelated videos; own ones with an IoU under `below`.

    iou (Q,K) with the moments of the query's own video, related (V,Q) bool. Positive moments are
    no negatives, however little they overlap.
    """
    pairs = torch.arange(len(iou), device=iou.device)
    negative = ~related.T[:, :, None].expand(-1, -1, iou.shape[1])  # (Q,V,K)
    own = (iou < below).scatter(1, positive, False)
    return negative.contiguous().index_put((pairs, video_index), own)


def negative_sentences(
    spans: Tensor,
    related: Tensor,
    video_index: Tensor,
    text_index: Tensor | None,
    below: float,
) -> Tensor:
    """(Q,Q) bool: row q, the sentences that are no match for the moments of query q.

    Of other videos all but those that are related (V,Q) to q's video; of its own those whose
    spans (Q,2) have an IoU under `below` with q's. Never one of the same text, nor q itself.
    """
    same_video = video_index[:, None] == video_index[None, :]
    apart = moment_iou(spans, spans) < below
    negative = torch.where(same_video, apart, ~related[video_index])
    if text_index is not None:
        negative &= (text_index[:, None] != text_index[None, :]) | (text_index < 0)
    return negative & ~torch.eye(len(spans), dtype=torch.bool, device=spans.device)


def sentence_to_moments(
    similarity: Tensor,
    positive: Tensor,
    video_index: Tensor,
    negative: Tensor,
    temperature: float,
    margin: float,
) -> Tensor:
    """A sentence finds its moments among those of all videos. A scalar.

    Mean over queries and their positive moments of
    -log(e^{(s+ - m)/tau} / (e^{(s+ - m)/tau} + sum over negative moments (Q,V,K) e^{s-/tau})).
    """
    pairs = torch.arange(len(positive), device=positive.device)
    found = similarity[pairs, video_index].gather(1, positive)  # (Q,P)
    others = _log_sum(similarity.flatten(1) / temperature, negative.flatten(1))  # (Q,)
    return _cross_entropy((found - margin) / temperature, others[:, None]).mean()


def moment_to_sentences(
    similarity: Tensor,
    positive: Tensor,
    video_index: Tensor,
    negative: Tensor,
    temperature: float,
    margin: float,
) -> Tensor:
    """A moment finds its sentence among those of the batch: as above, negative (Q,Q). A scalar."""
    videos, moments = similarity.shape[1:]
    flat = video_index[:, None] * moments + positive  # (Q,P) into the moments of all videos
    columns = similarity.reshape(-1, videos * moments)[:, flat.flatten()]
    columns = columns.unflatten(1, flat.shape).permute(1, 2, 0)  # (Q,P,Q): row q, its moments
    pairs = torch.arange(len(positive), device=positive.device)
    found = columns[pairs, :, pairs]  # (Q,P)
    others = _log_sum(columns / temperature, negative[:, None].expand_as(columns))
    return _cross_entropy((found - margin) / temperature, others).mean()


def _log_sum(logits: Tensor, mask: Tensor) -> Tensor:
    """log of the sum of exponents over the mask, along the last axis; lowest where it is empty."""
    # The lowest number and not -inf, whose gradient is no number where a row has nothing else.
    return logits.masked_fill(~mask, torch.finfo(logits.dtype).min).logsumexp(dim=-1)


def _cross_entropy(positive: Tensor, log_negatives: Tensor) -> Tensor:
    return functional.softplus(log_negatives - positive)
