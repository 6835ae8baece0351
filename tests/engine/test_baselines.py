"""The baselines follow from their seed and beat what they should."""

import numpy as np
import pytest

from mktn.engine.baselines import (
    FEW,
    candidate_moments,
    place_prior,
    places,
    random_moments,
    train_prior,
)
from mktn.engine.metrics import nms, recall_at, temporal_iou
from mktn.seeds import named_rng

QUERIES = [f"test/v{i}#0" for i in range(600)]


def test_candidates_are_the_cells_of_the_map() -> None:
    moments = candidate_moments(4)
    assert len(moments) == 10
    assert moments[0].tolist() == [0.0, 0.25]
    assert [0.0, 1.0] in moments.tolist()
    assert (moments[:, 0] < moments[:, 1]).all()


def test_a_random_query_does_not_depend_on_the_others() -> None:
    moments = random_moments(QUERIES, 5, 0.5, seed=0)
    assert moments.shape == (600, 5, 2)
    np.testing.assert_array_equal(random_moments(QUERIES[7:9], 5, 0.5, seed=0), moments[7:9])
    assert (random_moments(QUERIES, 5, 0.5, seed=1) != moments).any(axis=(1, 2)).mean() > 0.99


def test_random_moments_survive_nms_and_are_uniform() -> None:
    moments = random_moments(QUERIES, 5, 0.4, seed=0)
    assert all(len(nms(row, -np.arange(5), 0.4)) == 5 for row in moments)
    first = moments[:, 0]
    assert first.mean(axis=0) == pytest.approx(candidate_moments().mean(axis=0), abs=0.03)
    assert len({tuple(row) for row in first}) > 300


def test_where_nms_leaves_too_few_the_rest_is_nan() -> None:
    moments = random_moments(QUERIES[:50], 40, 0.0, seed=0)
    kept = np.isfinite(moments).all(axis=2)
    assert kept[:, 0].all()
    assert not kept.all()
    assert (np.diff(kept.astype(int), axis=1) <= 0).all()


def test_train_prior_is_the_best_constant() -> None:
    rng = named_rng(0, "moments")
    start = np.where(rng.random(300) < 0.7, rng.uniform(0.0, 0.1, 300), rng.uniform(0.6, 0.7, 300))
    fractions = np.stack([start, start + 0.25], axis=1)
    prior = train_prior(fractions, 5, 0.5, 0.5)
    assert prior.shape == (5, 2)
    best = (temporal_iou(candidate_moments()[:, None], fractions) > 0.5).mean(axis=1).max()
    assert recall_at(prior[None].repeat(300, axis=0), fractions, 1, 0.5) == pytest.approx(
        100 * best
    )
    assert prior[0][0] < 0.2 < 0.5 < prior[1][0]  # the second covers what the first leaves
    assert nms(prior, -np.arange(5), 0.5).tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(prior, train_prior(fractions[::-1], 5, 0.5, 0.5))
    with pytest.raises(ValueError, match="at least one"):
        train_prior(np.zeros((0, 2)), 5, 0.5, 0.5)


def test_the_place_prior_is_the_train_prior_of_the_same_place() -> None:
    rng = named_rng(0, "places")
    first, last = (
        np.stack([start, start + 0.2], axis=1)
        for start in (rng.uniform(0, 0.1, 2 * FEW), rng.uniform(0.7, 0.8, 2 * FEW))
    )
    fractions = np.concatenate([first, last])
    known = [(2, 0)] * len(first) + [(2, 4)] * len(last)
    found = place_prior(fractions, known, [(2, 4), (2, 0), (3, 0)], 2, 0.5, 0.5)
    for row, (own, expected) in enumerate(((last, 2), (first, 2), (fractions, 2))):
        np.testing.assert_array_equal(found[row], train_prior(own, expected, 0.5, 0.5))
    # A place of few training moments takes those of all.
    rare = place_prior(fractions, [(9, 9), *known[1:]], [(9, 9)], 1, 0.5, 0.5)
    np.testing.assert_array_equal(rare[0], train_prior(fractions, 1, 0.5, 0.5))


def test_places_are_counted_in_a_video_of_a_split() -> None:
    at = places(["val", "val", "test", "val"], ["a", "a", "a", "b"], [0, 1, 0, 0])
    assert at == [(2, 0), (2, 4), (1, 0), (1, 0)]
    assert places(["t"], ["v"], [9]) == [(1, 7)]  # rejected neighbours leave a place behind
