"""What a model must beat: random moments, and the moments that fit the training set best.

None knows anything of video and sentence; one knows a sentence's place in the annotation file. A
moment is a fraction of the duration: (start, end) in [0, 1]; multiplied by the duration it is in
seconds. Candidates are the cells of a 32 x 32 map.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from mktn.engine.metrics import temporal_iou
from mktn.seeds import named_rng

CELLS = 32
PLACES, COUNTS = 8, 6  # of a query among its video's, and how many those are, at most
FEW = 20  # training moments of a place, below which it takes those of all places
CHUNK = 4096  # queries or moments at a time: bounds memory, changes no result


def candidate_moments(cells: int = CELLS) -> npt.NDArray[np.float64]:
    """All `(cells * (cells + 1) / 2, 2)` moments: cell (i, j), i <= j, covers [i, j+1] / cells."""
    start, end = np.triu_indices(cells)
    return np.stack([start, end + 1], axis=1) / cells


def random_moments(
    queries: Sequence[str], n: int, nms_threshold: float, seed: int
) -> npt.NDArray[np.float64]:
    """`(Q, n, 2)` random moments, fractions of the duration, one row a query.

    `queries` are pair ids: the draw of a query follows from the seed and its id alone. Uniform
    over the candidates, then NMS. NaN where NMS leaves fewer than n.
    """
    candidates = candidate_moments()
    suppresses = _suppresses(candidates, nms_threshold)
    moments = np.full((len(queries), n, 2), np.nan)
    for first in range(0, len(queries), CHUNK):
        pair_ids = queries[first : first + CHUNK]
        priority = np.stack(
            [named_rng(seed, "random baseline", name).random(len(candidates)) for name in pair_ids]
        )
        rows = np.arange(len(pair_ids))
        for rank in range(n):
            best = priority.argmax(axis=1)
            left = priority[rows, best] >= 0  # -1 marks what NMS took
            moments[first + rows[left], rank] = candidates[best[left]]
            priority[suppresses[best]] = -1.0
    return moments


def train_prior(
    fractions: npt.ArrayLike, n: int, iou: float, nms_threshold: float
) -> npt.NDArray[np.float64]:
    """The `(<= n, 2)` moments, best first, that cover most training moments at IoU > `iou`.

    `fractions` (N, 2): training moments as fractions of their durations. Greedy: each moment
    covers most of what those before it leave; ties go to the one that covers more in all, then
    to the higher mean IoU. NMS as for a model. Raises ValueError when there is no moment.
    """
    targets = np.asarray(fractions, dtype=np.float64).reshape(-1, 2)
    if not len(targets):
        raise ValueError("train_prior needs at least one training moment")
    candidates = candidate_moments()
    covers = np.empty((len(candidates), len(targets)), dtype=bool)
    summed_iou = np.zeros(len(candidates))
    for first in range(0, len(targets), CHUNK):
        overlap = temporal_iou(candidates[:, None], targets[None, first : first + CHUNK])
        covers[:, first : first + CHUNK] = overlap > iou
        summed_iou += overlap.sum(axis=1)
    suppresses = _suppresses(candidates, nms_threshold)
    in_all = covers.sum(axis=1)
    uncovered = np.ones(len(targets), dtype=bool)
    left = np.ones(len(candidates), dtype=bool)
    chosen: list[int] = []
    while len(chosen) < n and left.any():
        gain = np.where(left, covers[:, uncovered].sum(axis=1), -1)
        best = int(np.lexsort((summed_iou, in_all, gain))[-1])
        chosen.append(best)
        uncovered &= ~covers[best]
        left &= ~suppresses[best]
    return candidates[chosen]


def places(
    splits: Sequence[str], video_ids: Sequence[str], order: Sequence[int]
) -> list[tuple[int, int]]:
    """Of each pair: how many queries its video has in the split, and its place among them."""
    owners = list(zip(splits, video_ids, strict=True))
    counts = Counter(owners)
    return [
        (min(counts[owner], COUNTS), min(PLACES - 1, PLACES * int(at) // counts[owner]))
        for owner, at in zip(owners, order, strict=True)
    ]


def place_prior(
    fractions: npt.ArrayLike,
    of_fractions: Sequence[tuple[int, int]],
    of_queries: Sequence[tuple[int, int]],
    n: int,
    iou: float,
    nms_threshold: float,
) -> npt.NDArray[np.float64]:
    """`(Q, n, 2)`: `train_prior` of the training queries that stand where each query stands.

    `fractions` (N, 2) as there; `of_fractions` and `of_queries` are their `places`. What it scores
    above the train prior is knowledge of the annotation's order and number alone. NaN where fewer
    than n.
    """
    targets = np.asarray(fractions, dtype=np.float64).reshape(-1, 2)
    members: dict[tuple[int, int], list[int]] = {}
    for row, place in enumerate(of_fractions):
        members.setdefault(place, []).append(row)
    priors: dict[tuple[int, int], npt.NDArray[np.float64]] = {}
    moments = np.full((len(of_queries), n, 2), np.nan)
    for query, place in enumerate(of_queries):
        if place not in priors:
            rows = members.get(place, [])
            chosen = targets if len(rows) < FEW else targets[rows]
            priors[place] = train_prior(chosen, n, iou, nms_threshold)
        moments[query, : len(priors[place])] = priors[place]
    return moments


def _suppresses(candidates: npt.NDArray[np.float64], threshold: float) -> npt.NDArray[np.bool_]:
    """`(cells, cells)`: whether keeping the one removes the other, itself included."""
    suppresses = temporal_iou(candidates[:, None], candidates[None]) > threshold
    np.fill_diagonal(suppresses, True)
    return suppresses
