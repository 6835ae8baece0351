"""Which pairs are a batch: whole groups of related videos up to a budget of queries."""

from collections.abc import Sequence

import numpy as np

from mktn.seeds import named_rng


def packed(
    rows: np.ndarray, group: np.ndarray, queries: int, shuffled: Sequence[int] | None = None
) -> list[np.ndarray]:
    """The row numbers of each batch, in order.

    rows (N,) int64 and the group (N,) of each. A group larger than the budget `queries` is a batch
    alone. Groups come in the order of their first row; `shuffled`: the seed and the epoch of a
    training, by which they are shuffled.
    """
    ids, first = np.unique(group, return_index=True)
    ids = ids[np.argsort(first)]
    if shuffled is not None:
        seed, epoch = shuffled
        named_rng(seed, "batches", epoch).shuffle(ids)
    by_group = _split(rows, group)
    batches: list[list[np.ndarray]] = []
    room = 0
    for group_id in ids:
        members = by_group[int(group_id)]
        if not batches or len(members) > room:
            batches.append([])
            room = queries
        batches[-1].append(members)
        room -= len(members)
    return [np.concatenate(parts) for parts in batches]


def _split(rows: np.ndarray, group: np.ndarray) -> dict[int, np.ndarray]:
    if not len(rows):
        return {}
    by = np.argsort(group, kind="stable")
    ids, starts = np.unique(group[by], return_index=True)
    parts = np.split(rows[by], starts[1:])
    return {int(g): part for g, part in zip(ids, parts, strict=True)}
