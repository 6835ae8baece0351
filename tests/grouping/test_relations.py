"""Relations between queries against a slow double loop."""

from collections.abc import Iterable

import numpy as np
import polars as pl
import pytest

from mktn.datasets.sentences import content_words, normalised
from mktn.grouping import relations
from mktn.grouping.relations import RelationSettings, relate

SETTINGS = RelationSettings(nearest=3, cosine=0.5)
ACTORS, VERBS, OBJECTS = ["person", "The man"], ["opens", "closes", "holds"], ["door", "red box"]


def make_pairs(seed: int = 0, videos: int = 14) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for split, number in (("train", videos), ("val", 3), ("test", 3)):
        for video in range(number):
            for order in range(int(rng.integers(1, 5))):
                words = [rng.choice(ACTORS), rng.choice(VERBS), "the", rng.choice(OBJECTS)]
                rows.append(
                    (split, f"v{video}", f"{split}/v{video}#{order}", " ".join(words), order)
                )
    schema = ["split", "video_id", "pair_id", "sentence", "order"]
    return pl.DataFrame(rows, schema=schema, orient="row")


def slow(pairs: pl.DataFrame, vectors: np.ndarray, settings: RelationSettings) -> set[tuple]:
    rows = list(pairs.iter_rows(named=True))
    found: set[tuple] = set()
    for i, a in enumerate(rows):
        for b in rows[i + 1 :]:
            if (a["split"], a["video_id"]) == (b["split"], b["video_id"]):
                first, second = sorted((a, b), key=lambda row: row["order"])
                weight = 1 / (1 + second["order"] - first["order"])
                found.add((first["pair_id"], second["pair_id"], "temporal", weight))
    training = sorted((row["pair_id"], i) for i, row in enumerate(rows) if row["split"] == "train")
    for place, (pair_a, i) in enumerate(training):
        for kind in ("contextual", "semantic"):
            candidates = []
            for k in range(1, len(training)):
                pair_b, j = training[(place + k) % len(training)]
                if rows[i]["video_id"] == rows[j]["video_id"]:
                    continue
                one, two = rows[i]["sentence"], rows[j]["sentence"]
                if kind == "semantic":
                    norm = np.linalg.norm(vectors[i]) * np.linalg.norm(vectors[j])
                    weight = round(float(vectors[i] @ vectors[j] / norm), 6)
                    related = weight >= settings.cosine
                elif normalised(one) == normalised(two):
                    weight, related = 1.0, True
                else:
                    shared = content_words(one) & content_words(two)
                    union = content_words(one) | content_words(two)
                    weight = min(round(len(shared) / max(len(union), 1), 6), 0.99)
                    related = len(shared) >= settings.shared_words
                if related:
                    candidates.append((-weight, k, pair_b))
            for negative, _, pair_b in sorted(candidates)[: settings.nearest]:
                found.add((pair_a, pair_b, kind, -negative))
    return found


@pytest.mark.parametrize("entries", [2**20, 40])
def test_relations_against_a_slow_double_loop(
    entries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relations, "BLOCK_ENTRIES", entries)  # one block, and many
    pairs = make_pairs()
    # Whole numbers, so that a cosine has no last digit to differ in.
    vectors = np.random.default_rng(1).integers(-2, 3, (len(pairs), 4)).astype(np.float32)
    vectors[:, 0] = 3
    found = relate(pairs, vectors, SETTINGS)
    assert found.columns == ["pair_a", "pair_b", "kind", "weight"]
    expected = slow(pairs, vectors, SETTINGS)
    assert {kind for _, _, kind, _ in expected} == {"temporal", "contextual", "semantic"}

    def table(rows: Iterable[tuple]) -> dict[tuple, float]:
        return {row[:3]: row[3] for row in rows}

    assert table(found.iter_rows()) == pytest.approx(table(expected), abs=2e-6)
    assert len(found) == len(expected)


def test_only_training_queries_of_different_videos_are_related_across_videos() -> None:
    pairs = make_pairs(3)
    vectors = np.ones((len(pairs), 4), np.float32)
    found = relate(pairs, vectors, SETTINGS).filter(pl.col("kind") != "temporal")
    video = dict(pairs.select("pair_id", "video_id").iter_rows())
    for a, b in found.select("pair_a", "pair_b").iter_rows():
        assert a.startswith("train/")
        assert b.startswith("train/")
        assert video[a] != video[b]
    assert found.group_by("pair_a", "kind").len()["len"].max() == 3


def test_many_equal_texts_do_not_all_choose_the_same_few() -> None:
    rows = [("train", f"v{i}", f"train/v{i}#0", "person opens the door", 0) for i in range(40)]
    schema = ["split", "video_id", "pair_id", "sentence", "order"]
    pairs = pl.DataFrame(rows, schema=schema, orient="row")
    found = relate(pairs, np.eye(40, dtype=np.float32), SETTINGS)
    assert found["kind"].unique().to_list() == ["contextual"]
    assert found.group_by("pair_b").len()["len"].to_list() == [3] * 40
    assert (found["weight"] == 1.0).all()


def test_queries_of_two_splits_with_one_video_id_are_not_temporal() -> None:
    rows = [
        ("val", "v", "val/v#0", "person runs", 0),
        ("test", "v", "test/v#0", "person runs", 0),
        ("test", "v", "test/v#2", "person stops", 2),
    ]
    schema = ["split", "video_id", "pair_id", "sentence", "order"]
    pairs = pl.DataFrame(rows, schema=schema, orient="row")
    found = relate(pairs, np.ones((3, 2), np.float32), SETTINGS)
    assert found.rows() == [("test/v#0", "test/v#2", "temporal", pytest.approx(1 / 3))]


def test_relations_do_not_depend_on_the_order_of_the_pairs() -> None:
    pairs = make_pairs(5)
    vectors = np.random.default_rng(2).standard_normal((len(pairs), 4)).astype(np.float32)
    order = np.random.default_rng(3).permutation(len(pairs))
    one = relate(pairs, vectors, SETTINGS)
    two = relate(pairs[order.tolist()], vectors[order], SETTINGS)
    keys = ["kind", "pair_a", "pair_b"]
    assert one.sort(keys).equals(two.sort(keys))
