"""Sentences seen in training: differences of subsets, and the share of the hits."""

import numpy as np
import pytest

from mktn.engine.seen import seen_minus_unseen, shares
from mktn.seeds import named_rng


def test_shares_of_queries_and_of_hits_are_counted_by_hand() -> None:
    seen = np.array([True, True, True, False, False, True, False, False])
    hits = np.array([[1, 1, 0, 1, 0, 1, 0, 0], [0] * 8], float).T
    keys = [("R", 1, 0.5), ("R", 1, 0.7), ("mIoU", None, None)]
    hits = np.concatenate([hits, np.full((8, 1), 0.3)], axis=1)
    found = list(shares(hits, keys, seen, list("aaabbccd"), 0, 50))
    names = ("metric", "n", "iou", "value", "queries")
    assert [tuple(row[name] for name in names) for row in found] == [
        ("share of queries", None, None, 50.0, 8),
        ("share of hits", 1, 0.5, 75.0, 4),
    ]
    assert all(row["ci_low"] <= row["value"] <= row["ci_high"] for row in found)


def test_the_interval_of_the_difference_covers_the_truth_as_often_as_it_says() -> None:
    rng = named_rng(0, "coverage")
    videos, covered = np.repeat(np.arange(60), 4), 0
    for _ in range(200):
        seen = rng.random(len(videos)) < 0.3
        scores = (rng.random(len(videos)) < np.where(seen, 0.6, 0.5)).astype(float)
        value, low, high = seen_minus_unseen(scores, seen, list(map(str, videos)), 0, 200)
        assert value == pytest.approx(100 * (scores[seen].mean() - scores[~seen].mean()))
        covered += low <= 10 <= high
    assert 0.90 <= covered / 200 <= 0.99
