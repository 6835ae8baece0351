"""Temporal IoU, NMS, recall and their intervals; needs NumPy alone.

A moment or span is `(start_s, end_s)`. A ranking is the moments of one query, `(k, 2)`, best
first; `k` may differ between queries. A target is a span `(2,)`, or several annotators' spans
`(A, 2)`, NaN where a query has fewer, and then the annotator who agrees best counts.
"R@n, IoU=m" is the share of queries with at least one of the first n moments whose IoU with the
target is larger than m; mIoU is the mean IoU of the first.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mktn.seeds import named_rng

METRICS_FORMAT = 1  # of metrics.json, described in mktn.report.results
COMPARISONS = (">", ">=")

Ranked = Sequence[npt.ArrayLike]


def temporal_iou(a_s: npt.ArrayLike, b_s: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """IoU of spans `(..., 2)` and `(..., 2)`, broadcast to `(...)`; float64 in [0, 1].

    Empty, reversed and non-finite spans have IoU 0 with everything, never NaN.
    Raises ValueError when the last axis is not start and end.
    """
    a, b = np.asarray(a_s, dtype=np.float64), np.asarray(b_s, dtype=np.float64)
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != 2 or b.shape[-1] != 2:
        raise ValueError(f"spans need a last axis of 2: {a.shape = }, {b.shape = }")
    a, b = _finite_or_empty(a), _finite_or_empty(b)
    overlap = np.minimum(a[..., 1], b[..., 1]) - np.maximum(a[..., 0], b[..., 0])
    overlap = np.maximum(overlap, 0.0)
    union = np.maximum(a[..., 1] - a[..., 0], 0.0) + np.maximum(b[..., 1] - b[..., 0], 0.0)
    union = union - overlap
    return np.where(union > 0, overlap / np.where(union > 0, union, 1.0), 0.0)


def _finite_or_empty(spans: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(np.isfinite(spans).all(axis=-1, keepdims=True), spans, 0.0)


def nms(
    spans_s: npt.ArrayLike, scores: npt.ArrayLike, threshold: float, limit: int | None = None
) -> npt.NDArray[np.int64]:
    """Indices of the spans `(n, 2)` that greedy NMS keeps, best first; at most `limit`.

    A span goes when its IoU with a kept one is > `threshold`. Equal scores keep their order;
    a NaN score ranks last. Raises ValueError when spans and scores differ in number.
    """
    spans = np.asarray(spans_s, dtype=np.float64).reshape(-1, 2)
    score = np.asarray(scores, dtype=np.float64).reshape(-1)
    if len(spans) != len(score):
        raise ValueError(f"{len(spans)} spans but {len(score)} scores")
    remaining = np.argsort(-np.where(np.isnan(score), -np.inf, score), kind="stable")
    kept: list[int] = []
    while remaining.size and (limit is None or len(kept) < limit):
        best, remaining = remaining[0], remaining[1:]
        kept.append(int(best))
        remaining = remaining[temporal_iou(spans[best], spans[remaining]) <= threshold]
    return np.asarray(kept, dtype=np.int64)


def ranked_iou(ranked: Ranked, target_s: npt.ArrayLike, n: int) -> npt.NDArray[np.float64]:
    """IoU `(Q, n)` of each query's first n moments with its target; 0 where there are fewer.

    `target_s` is `(Q, 2)` or, of several annotators, `(Q, A, 2)`: the best of their IoUs.
    Raises ValueError when there is no query, or not one target a query.
    """
    targets = np.asarray(target_s, dtype=np.float64)
    targets = targets if targets.ndim == 3 else targets.reshape(-1, 1, 2)  # (Q,A,2)
    if len(ranked) != len(targets) or not targets.size or n < 1:
        raise ValueError(f"{len(ranked)} rankings, {len(targets)} targets, {n = }")
    if isinstance(ranked, np.ndarray) and ranked.ndim == 3:
        moments = np.full((len(ranked), n, 2), np.nan)
        moments[:, : min(n, ranked.shape[1])] = ranked[:, :n]
    else:
        moments = np.full((len(targets), n, 2), np.nan)
        for row, ranking in zip(moments, ranked, strict=True):
            first = np.asarray(ranking, dtype=np.float64).reshape(-1, 2)[:n]
            row[: len(first)] = first
    return temporal_iou(moments[:, :, None], targets[:, None]).max(axis=2)


def hits_at(
    ranked: Ranked, target_s: npt.ArrayLike, n: int, iou: float, strict: bool = True
) -> npt.NDArray[np.bool_]:
    """Whether each of the Q queries is answered in its first n moments, `(Q,)` bool."""
    return _hits(ranked_iou(ranked, target_s, n), iou, strict)


def _hits(ious: npt.NDArray[np.float64], iou: float, strict: bool) -> npt.NDArray[np.bool_]:
    answered = ious > iou if strict else ious >= iou
    return np.asarray(answered.any(axis=1))


def recall_at(
    ranked: Ranked, target_s: npt.ArrayLike, n: int, iou: float, strict: bool = True
) -> float:
    """R@n, IoU=iou in per cent; `ranked` holds Q rankings (k, 2), `target_s` is (Q, 2)."""
    return float(100.0 * hits_at(ranked, target_s, n, iou, strict).mean())


def evaluate_rankings(
    ranked: Ranked | Mapping[float, Ranked],
    target_s: npt.ArrayLike,
    video_ids: Sequence[str],
    ns: Sequence[int],
    ious: Sequence[float],
    comparison: str = ">",
    seed: int = 0,
    bootstraps: int = 1000,
) -> list[dict[str, Any]]:
    """R@n for each n and iou, then mIoU, in per cent with 95 % intervals over videos.

    `ranked` may be a mapping from each iou to its rankings, where the NMS threshold follows
    the iou; mIoU then takes the first of them. `target_s` is `(Q, 2)` or `(Q, A, 2)`. Rows:
    `metric` ("R" | "mIoU"), `n`, `iou` (None for mIoU), `value`, `ci_low`, `ci_high`. Raises
    ValueError on an unknown comparison.
    """
    if comparison not in COMPARISONS:
        raise ValueError(f"{comparison = }, expected one of {', '.join(COMPARISONS)}")
    rankings = ranked if isinstance(ranked, Mapping) else dict.fromkeys(ious, ranked)
    found = {iou: ranked_iou(rankings[iou], target_s, max(ns)) for iou in ious}
    keys = [(n, iou) for n in ns for iou in ious]
    columns = [_hits(found[iou][:, :n], iou, comparison == ">") for n, iou in keys]
    per_query = np.stack([*columns, found[ious[0]][:, 0]], axis=1).astype(np.float64)
    low, high = bootstrap_interval(per_query, video_ids, seed, bootstraps)
    values = 100.0 * per_query.mean(axis=0)
    names: list[tuple[str, int | None, float | None]] = [("R", n, iou) for n, iou in keys]
    return [
        {
            "metric": metric,
            "n": n,
            "iou": iou,
            "value": float(values[column]),
            "ci_low": float(low[column]),
            "ci_high": float(high[column]),
        }
        for column, (metric, n, iou) in enumerate([*names, ("mIoU", None, None)])
    ]


def bootstrap_interval(
    per_query: npt.NDArray[np.float64], video_ids: Sequence[str], seed: int, bootstraps: int = 1000
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """95 % percentile interval of the column means of `(Q, M)`, in per cent: two `(M,)`.

    Whole videos are drawn with replacement, because the queries of one video are not
    independent. The draws depend on the seed and the number of videos alone.
    """
    means = _resampled_means(per_query, video_ids, seed, bootstraps)
    low, high = np.quantile(100.0 * means, (0.025, 0.975), axis=0)
    return low, high


def paired_bootstrap(
    hits_a: npt.ArrayLike,
    hits_b: npt.ArrayLike,
    video_ids: Sequence[str],
    seed: int,
    bootstraps: int = 1000,
) -> dict[str, float]:
    """The difference a - b of two systems on the same queries, in points, over videos.

    `hits_a`, `hits_b`: `(Q,)` bool or float, in the same order. Returns `difference`, `ci_low`,
    `ci_high` (95 %) and `p_value` (two-sided, that the difference is 0).
    """
    a, b = np.asarray(hits_a, dtype=np.float64), np.asarray(hits_b, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"hits of the same queries are needed: {a.shape = }, {b.shape = }")
    differences = 100.0 * _resampled_means((a - b)[:, None], video_ids, seed, bootstraps)[:, 0]
    low, high = np.quantile(differences, (0.025, 0.975))
    tail = min((differences <= 0).mean(), (differences >= 0).mean())
    return {
        "difference": float(100.0 * (a - b).mean()),
        "ci_low": float(low),
        "ci_high": float(high),
        "p_value": float(min(1.0, 2.0 * max(tail, 1.0 / bootstraps))),
    }


def _resampled_means(
    per_query: npt.NDArray[np.float64], video_ids: Sequence[str], seed: int, bootstraps: int
) -> npt.NDArray[np.float64]:
    """Column means `(bootstraps, M)` over resampled videos of `(Q, M)`."""
    if len(video_ids) != len(per_query) or not len(per_query):
        raise ValueError(f"{len(video_ids)} video ids for {len(per_query)} queries")
    _, video = np.unique(np.asarray(video_ids), return_inverse=True)
    videos = int(video.max()) + 1
    queries = np.bincount(video, minlength=videos).astype(np.float64)
    sums = np.zeros((videos, per_query.shape[1]))
    np.add.at(sums, video, per_query)
    rng = named_rng(seed, "bootstrap over videos")
    means = np.empty((bootstraps, per_query.shape[1]))
    for start in range(0, bootstraps, 200):
        size = min(200, bootstraps - start)
        drawn = rng.integers(videos, size=(size, videos)) + videos * np.arange(size)[:, None]
        times = np.bincount(drawn.ravel(), minlength=size * videos).reshape(size, videos)
        means[start : start + size] = (times @ sums) / (times @ queries)[:, None]
    return means
