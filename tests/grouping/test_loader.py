"""Batches: whole groups up to the budget, every pair once, shuffled from the seed."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mktn.errors import UserError
from mktn.features.word_vectors import seeded
from mktn.features.writers import ResampledWriter
from mktn.grouping.loader import LoaderConfig, PairData


def data_of(folder: Path, **config) -> PairData:
    names = ("pairs.parquet", "groups.parquet", "t.zarr", "text.zarr", "relations.parquet")
    return PairData(*(folder / name for name in names), LoaderConfig(**config))


def test_every_pair_comes_once_in_whole_groups_within_the_budget(small_dataset: Path) -> None:
    data = data_of(small_dataset, queries=7)
    batches = list(data.batches("train", epoch=0, seed=1))
    seen = [pair for batch in batches for pair in batch.pair_ids]
    assert sorted(seen) == sorted(p for p in data.pair_ids if p.startswith("train"))
    group = dict(zip(data.pair_ids, data.pairs["group"], strict=True))
    for batch in batches:
        groups = {group[pair] for pair in batch.pair_ids}
        members = [p for p in data.pair_ids if group[p] in groups]
        assert sorted(members) == sorted(batch.pair_ids)
        assert len(batch.pair_ids) <= 7 or len(groups) == 1


def test_epochs_differ_and_follow_from_the_seed(small_dataset: Path) -> None:
    data = data_of(small_dataset, queries=5)

    def order(epoch: int | None, seed: int = 0) -> list[str]:
        return [p for b in data.batches("train", epoch=epoch, seed=seed) for p in b.pair_ids]

    assert order(3) == order(3)
    assert len({tuple(order(epoch)) for epoch in range(6)}) > 1
    assert len({tuple(order(0, seed)) for seed in range(6)}) > 1
    assert order(None) == [p for p in data.pair_ids if p.startswith("train")]


def test_a_batch_holds_what_its_pairs_say(small_dataset: Path) -> None:
    data = data_of(small_dataset)
    batch = next(iter(data.batches("train", epoch=0)))
    store = {name: row for row, name in enumerate(data.store.video_ids)}
    ball = seeded("ball", 2, data.text.attributes["median_norm"])
    for q, pair_id in enumerate(batch.pair_ids):
        row = data.pairs.row(by_predicate=pl.col("pair_id") == pair_id, named=True)
        video = int(batch.video_index[q])
        assert batch.video_ids[video] == row["video_id"]
        assert (batch.frames[video] == store[row["video_id"]]).all()
        assert (batch.patches[video] == -store[row["video_id"]]).all()
        assert batch.order[q] == row["order"]
        assert batch.span_s[q].tolist() == [row["start_s"], row["end_s"]]
        assert batch.word_mask[q].sum() == 4
        assert batch.words[q, 0].tolist() == [0.0, 1.0]  # "the"
        np.testing.assert_array_equal(batch.words[q, 2], ball)  # unknown
    texts = [data.pairs.filter(pair_id=p)["sentence"].item() for p in batch.pair_ids]
    same = np.equal.outer(np.array(texts), np.array(texts))
    assert (batch.text_index[:, None] == batch.text_index[None]).numpy().tolist() == same.tolist()


def test_related_queries_are_seen_in_training_only_and_nearest_first(small_dataset: Path) -> None:
    def seen(related: int, epoch: int | None) -> set[str]:
        data = data_of(small_dataset, queries=99, related=related)
        batch = next(iter(data.batches("train", epoch=epoch)))
        row = batch.pair_ids.index("train/train0#0")
        visible = batch.visible()[row].numpy()
        return {p for p, sees in zip(batch.pair_ids, visible, strict=True) if sees}

    own = {"train/train0#0", "train/train0#1"}
    assert seen(8, 0) == own | {"train/train2#0", "train/train1#1"}
    assert seen(1, 0) == own | {"train/train2#0"}
    assert seen(8, None) == own


def test_order_may_be_shuffled_within_a_video_or_withheld(small_dataset: Path) -> None:
    data = data_of(small_dataset, queries=99)
    plain = next(iter(data.batches("train")))
    none = next(iter(data.batches("train", order="none")))
    assert (none.order == -1).all()
    shuffled = [next(iter(data.batches("train", order="shuffled", seed=s))) for s in range(4)]
    for batch in shuffled:
        for video in range(len(plain.frames)):
            mine = plain.video_index == video
            assert sorted(batch.order[mine].tolist()) == plain.order[mine].tolist()
    assert any((batch.order != plain.order).any() for batch in shuffled)


def test_features_are_read_by_batch_when_they_exceed_the_memory(small_dataset: Path) -> None:
    held, read = data_of(small_dataset), data_of(small_dataset, memory_gb=0.0)
    for a, b in zip(held.batches("val"), read.batches("val"), strict=True):
        assert (a.frames == b.frames).all()
        assert (a.patches == b.patches).all()


def test_groups_of_other_features_are_refused(small_dataset: Path, tmp_path: Path) -> None:
    with ResampledWriter(tmp_path / "t.zarr", 1, 5, 3) as writer:
        writer.append("train0", np.zeros((5, 3)), None, 10)
    with pytest.raises(UserError, match="grouped videos have no features"):
        PairData(
            small_dataset / "pairs.parquet",
            small_dataset / "groups.parquet",
            tmp_path / "t.zarr",
            small_dataset / "text.zarr",
        )
