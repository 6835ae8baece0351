"""Which other queries a query is told of: its nearest of other videos, and its place in its own.

N pairs, Q queries of a batch, R related queries at most.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl

from mktn.seeds import named_rng

OrderMode = Literal["annotation", "shuffled", "none"]


def nearest_rows(pair_ids: Sequence[str], relations: pl.DataFrame, most: int) -> np.ndarray:
    """(N,R) int64: the row numbers of each pair's nearest related pairs, -1 where there is none.

    `relations`: pair_a, pair_b, weight and kind; neighbours in time are not meant.
    """
    table = np.full((len(pair_ids), most), -1, np.int64)
    row_of = {pair_id: row for row, pair_id in enumerate(pair_ids)}
    found = (
        relations.filter(pl.col("kind") != "temporal")
        .group_by("pair_a", "pair_b")
        .agg(pl.col("weight").max())
        .sort(["pair_a", "weight", "pair_b"], descending=[False, True, False])
        .group_by("pair_a", maintain_order=True)
        .head(most)
    )
    filled = np.zeros(len(pair_ids), np.int64)
    for a, b in zip(found["pair_a"], found["pair_b"], strict=True):
        if a in row_of and b in row_of:
            row = row_of[a]
            table[row, filled[row]] = row_of[b]
            filled[row] += 1
    return table


def related_among(rows: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """(Q,Q) bool: which queries of a batch are among each query's nearest.

    rows (Q,) of the pairs, nearest (N,R) as of `nearest_rows`.
    """
    column = np.full(len(nearest) + 1, -1, np.int64)
    column[rows] = np.arange(len(rows))
    found = column[nearest[rows]]  # (Q,R); -1 indexes the last, always -1
    seen = np.zeros((len(rows), len(rows) + 1), bool)
    np.put_along_axis(seen, found, True, axis=1)
    return seen[:, :-1].copy()


def told_order(order: np.ndarray, videos: Sequence[str], mode: OrderMode, seed: int) -> np.ndarray:
    """The places (Q,) that queries are told, of their places in the annotation and their videos.

    "none": -1 for all; "shuffled": those of a video among each other, by the seed.
    """
    told = order.copy()
    if mode == "none":
        told[:] = -1
    elif mode == "shuffled":
        owner = np.array(videos)
        for name in dict.fromkeys(videos):
            mine = np.flatnonzero(owner == name)
            told[mine] = named_rng(seed, "order", name).permutation(told[mine])
    return told
