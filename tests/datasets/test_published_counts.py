"""The counts of the published annotation files, exactly."""

from pathlib import Path

import polars as pl
import pytest

from mktn.datasets import read_pairs, read_table


@pytest.mark.parametrize(
    ("dataset", "options", "counts", "rejected_count"),
    [
        ("activitynet", {}, (37417, 17505, 17031), 4),
        ("activitynet", {"validation": "held_out"}, (33453, 3964, 17031), 4),
        ("charades", {}, (11189, 1215, 3720), 4),
        ("tacos", {}, (9790, 4436, 4001), 0),
        ("tacos", {"version": "tall"}, (10146, 4589, 4083), 0),
    ],
)
def test_published_counts(
    shared_data: Path,
    dataset: str,
    options: dict[str, str],
    counts: tuple[int, int, int],
    rejected_count: int,
) -> None:
    pairs, rejected = read_pairs(dataset, shared_data, **options)
    split = pairs["split"]
    assert tuple((split == name).sum() for name in ("train", "val", "test")) == counts
    assert split.rle().struct.field("value").to_list() == ["train", "val", "test"]
    assert rejected["reason"].to_list() == ["start_s >= end_s"] * rejected_count
    assert pairs["pair_id"].is_unique().all()
    assert pairs.null_count().sum_horizontal().item() == 0
    spans = pairs.select(
        fine=(pl.col("start_s") >= 0)
        & (pl.col("start_s") < pl.col("end_s"))
        & (pl.col("end_s") <= pl.col("duration_s"))
    )
    assert spans["fine"].all()


def test_published_clipping_and_shared_sentences(shared_data: Path) -> None:
    clipped = read_table("activitynet", shared_data).clipped
    assert clipped == {"train": 261, "val": 134, "test": 111}
    clipped = read_table("charades", shared_data).clipped
    assert (clipped["train"] + clipped["val"], clipped["test"]) == (1802, 562)
    pairs, rejected = read_pairs("charades", shared_data)
    trained = pl.concat([pairs.filter(pl.col("split") != "test"), rejected.drop("reason")])
    tested = pairs.filter(split="test")
    assert tested["sentence"].is_in(trained["sentence"].to_list()).sum() == 1571


def test_published_duplicates_within_a_video(shared_data: Path) -> None:
    expected = {"2dtan": (1710, 796, 839), "tall": (1727, 726, 778)}
    for version, counts in expected.items():
        pairs, _ = read_pairs("tacos", shared_data, version=version)
        queries = pairs.with_columns(pl.col("sentence").str.to_lowercase())
        assert counts == tuple(
            rows.height - rows.select("video_id", "sentence").n_unique()
            for rows in (queries.filter(split=split) for split in ("train", "val", "test"))
        )


@pytest.mark.parametrize("version", ["2dtan", "tall"])
def test_tacos_reads_the_same_without_the_derived_durations(
    shared_data: Path, tmp_path: Path, version: str
) -> None:
    for kind in ("2dtan_*", "tall_*"):
        for path in (shared_data / "tacos").glob(kind):
            (tmp_path / path.name).symlink_to(path)
    given, _ = read_pairs("tacos", shared_data, version=version)
    derived, _ = read_pairs("tacos", tmp_path, version=version)
    assert not list(tmp_path.glob("video_meta*"))
    assert derived.equals(given)
