"""How much of a score is on test sentences that training has seen.

N queries. Sentences are seen or not by query, so subsets are compared, not pairs.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mktn.engine.metrics import bootstrap_interval, paired_bootstrap

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def seen_minus_unseen(
    scores: Floats, seen: Bools, video_ids: Sequence[str], seed: int, bootstraps: int
) -> list[float]:
    """The difference of the two means of scores (N,) with its interval over videos, in points.

    Both sides are drawn together, as their queries share videos: each mean is linearised, as
    deviations from it weighted by one over the subset's share, and the two are paired.
    """

    def of(side: Bools) -> Floats:
        mean = scores[side].mean()
        return np.asarray(mean + (scores - mean) * side / side.mean())

    found = paired_bootstrap(of(seen), of(~seen), video_ids, seed, bootstraps)
    return [found[name] for name in ("difference", "ci_low", "ci_high")]


def shares(
    hits: Floats,
    keys: Sequence[tuple[str, int | None, float | None]],
    seen: Bools,
    video_ids: Sequence[str],
    seed: int,
    bootstraps: int,
) -> Iterator[dict[str, Any]]:
    """Rows: of the queries, and of the hits of each recall, the share on seen sentences.

    hits (N, keys). A recall without a hit has no row.
    """
    asked: list[tuple[str, int | None, float | None, Bools]]
    asked = [("share of queries", None, None, np.ones(len(seen), np.bool_))]
    for column, (metric, n, iou) in enumerate(keys):
        if metric == "R":
            asked.append(("share of hits", n, iou, hits[:, column] > 0))
    for metric, n, iou, of in asked:
        if of.any():
            share = seen[of].astype(np.float64)[:, None]
            videos = np.asarray(video_ids)[of].tolist()
            low, high = bootstrap_interval(share, videos, seed, bootstraps)
            yield {
                "diagnostic": "sentence",
                "setting": "seen",
                "metric": metric,
                "n": n,
                "iou": iou,
                "value": 100 * float(share.mean()),
                "ci_low": float(low[0]),
                "ci_high": float(high[0]),
                "queries": int(of.sum()),
            }
