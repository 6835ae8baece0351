"""Retrieval against brute force, and chance against simulation."""

from math import comb

import numpy as np
import pytest

from mktn.engine.retrieval import chance_at, found_at, groups_of, positives_of, retrieved


def random_case(videos: int, queries: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    positive = rng.random((videos, queries)) < 0.2
    positive[rng.integers(videos, size=queries), np.arange(queries)] = True
    return rng.standard_normal((videos, queries)), positive


def test_a_query_finds_a_video_as_a_sorted_list_does() -> None:
    similarity, positive = random_case(12, 40, 0)
    found = found_at(similarity, positive, (1, 5, 10))
    for q in range(40):
        ranking = sorted(range(12), key=lambda v: -similarity[v, q])
        for column, rank in enumerate((1, 5, 10)):
            assert found[q, column] == any(positive[v, q] for v in ranking[:rank])


def test_a_similarity_that_says_nothing_finds_nothing() -> None:
    _, positive = random_case(12, 40, 0)
    assert not found_at(np.ones((12, 40)), positive, (1,)).any()
    assert found_at(positive.astype(float), positive, (1,)).all()
    with pytest.raises(ValueError, match="without positive"):
        found_at(np.ones((2, 1)), np.zeros((2, 1)), (1,))


@pytest.mark.parametrize(
    ("positives", "videos", "rank"), [(1, 48, 1), (3, 48, 5), (2, 6, 5), (4, 4, 1)]
)
def test_chance_is_hypergeometric(positives: int, videos: int, rank: int) -> None:
    none = comb(videos - positives, rank) / comb(videos, rank)
    assert chance_at([positives], videos, [rank])[0, 0] == pytest.approx(1 - none)


def test_a_random_similarity_is_near_chance_and_ranks_beyond_the_videos_are_certain() -> None:
    similarity, positive = random_case(30, 5000, 1)
    found = found_at(similarity, positive, (1, 5)).mean(axis=0)
    chance = chance_at(positive.sum(axis=0), 30, (1, 5)).mean(axis=0)
    assert found == pytest.approx(chance, abs=0.02)
    assert chance_at([1], 4, (10,))[0, 0] == 1


def test_every_video_is_scored_once_in_a_group_of_the_asked_size() -> None:
    videos = [f"v{i}" for i in range(100)]
    groups = groups_of(videos, 48, 0)
    assert sorted(v for scored, _ in groups for v in scored) == sorted(videos)
    for scored, candidates in groups:
        assert len(set(candidates)) == len(candidates) == 48
        assert set(scored) <= set(candidates)
    assert groups == groups_of(videos, 48, 0) != groups_of(videos, 48, 1)
    assert [len(c) for _, c in groups_of(videos[:5], 48, 0)] == [5]


def test_a_video_with_the_same_sentence_is_a_positive() -> None:
    positive = positives_of(["a", "b", "c"], ["a", "a", "b", "c"], np.array([7, 3, 7, 9]))
    assert positive.astype(int).tolist() == [[1, 1, 1, 0], [1, 0, 1, 0], [0, 0, 0, 1]]


def test_a_group_is_a_retrieval_of_its_own() -> None:
    similarity, _ = random_case(10, 30, 2)
    videos = [f"v{i}" for i in range(10)]
    owners = [videos[q % 10] for q in range(30)]
    positive = positives_of(videos, owners, np.arange(30))
    hits, chances = retrieved(similarity, positive, videos, owners, 4, 0)
    assert chances[:, 0] == pytest.approx(0.25)
    for scored, candidates in groups_of(videos, 4, 0):
        for q in range(30):
            if owners[q] in scored:
                best = max(candidates, key=lambda v: similarity[videos.index(v), q])
                assert hits[q, 0] == (best == owners[q])
