"""Groups: every usable pair once, clusters within their limits, videos never cut."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mktn.cli import main
from mktn.features.writers import ResampledWriter
from mktn.grouping.groups import ABSENT, GroupSettings, affinities, cluster_videos, group
from tests.grouping.test_relations import SETTINGS, make_pairs, relate


@pytest.fixture(scope="module")
def pairs() -> pl.DataFrame:
    return make_pairs(seed=1, videos=40)


@pytest.fixture(scope="module")
def relations(pairs: pl.DataFrame) -> pl.DataFrame:
    vectors = np.random.default_rng(0).standard_normal((len(pairs), 4)).astype(np.float32)
    return relate(pairs, vectors, SETTINGS)


def test_every_pair_is_in_one_group_with_all_pairs_of_its_video(
    pairs: pl.DataFrame, relations: pl.DataFrame
) -> None:
    groups = group(pairs, relations, GroupSettings(videos=5, queries=12))
    assert groups.columns == ["split", "group", "video_id", "pair_id"]
    assert sorted(groups["pair_id"]) == sorted(pairs["pair_id"])
    by_video = groups.group_by("split", "video_id").agg(pl.col("group").n_unique())
    assert by_video["group"].max() == 1
    sizes = groups.group_by("split", "group").agg(
        videos=pl.col("video_id").n_unique(), queries=pl.len()
    )
    training = sizes.filter(pl.col("split") == "train")
    assert training["videos"].max() == 5
    assert training["queries"].max() <= 12
    assert sizes.filter(pl.col("split") != "train")["videos"].to_list() == [1] * 6
    assert groups.group_by("group").agg(pl.col("split").n_unique())["split"].max() == 1


def test_the_videos_of_a_cluster_are_related(pairs: pl.DataFrame, relations: pl.DataFrame) -> None:
    table = affinities(pairs, relations)
    groups = group(pairs, relations, GroupSettings(videos=4, queries=100))
    for _, rows in groups.filter(pl.col("split") == "train").group_by("group"):
        videos = rows["video_id"].unique().to_list()
        for video in videos:
            assert len(videos) == 1 or any(other in table[video] for other in videos)
    for video, others in table.items():
        assert video not in others
        assert all(table[other][video] == weight for other, weight in others.items())


def test_clusters_follow_from_the_seed(pairs: pl.DataFrame, relations: pl.DataFrame) -> None:
    first = group(pairs, relations, GroupSettings(seed=1))
    assert first.equals(group(pairs, relations, GroupSettings(seed=1)))
    assert not first.equals(group(pairs, relations, GroupSettings(seed=2)))


def test_a_cluster_takes_its_most_related_videos_and_a_large_video_stands_alone() -> None:
    affinity = {
        "a": {"b": 1.0, "c": 2.0, "big": 9.0},
        "b": {"a": 1.0},
        "c": {"a": 2.0},
        "big": {"a": 9.0},
    }
    counts = {"a": 1, "b": 1, "c": 1, "big": 50, "lonely": 2}
    for seed in range(8):
        found = cluster_videos(counts, affinity, GroupSettings(seed=seed, videos=2, queries=10))
        assert ["big"] in found
        assert ["lonely"] in found
        rest = next(set(cluster) for cluster in found if "a" in cluster)
        # b or c may have begun a cluster; then it takes its one neighbour.
        assert rest in ({"a", "c"}, {"a", "b"})
        start = next(cluster[0] for cluster in found if "a" in cluster)
        assert start != "a" or rest == {"a", "c"}


def test_pairs_of_failed_and_absent_videos_are_rejected_with_the_reason(
    tmp_path: Path, pairs: pl.DataFrame, relations: pl.DataFrame, capsys
) -> None:
    pairs.write_parquet(tmp_path / "pairs.parquet")
    relations.write_parquet(tmp_path / "relations.parquet")
    broken = pairs.head(1).with_columns(
        pair_id=pl.lit("train/v0#99"), reason=pl.lit("start_s >= end_s")
    )
    broken.write_parquet(tmp_path / "broken.parquet")
    videos = [v for v in pairs["video_id"].unique(maintain_order=True) if v != "v7"]
    with ResampledWriter(tmp_path / "f-T2.zarr", len(videos), 2, 3) as writer:
        for video in videos:
            if video == "v5":
                writer.fail(video, "no frame decodes", 9.0)
            else:
                writer.append(video, np.zeros((2, 3), np.float16), None, 9.0)
    options = [
        *("--pairs", str(tmp_path / "pairs.parquet")),
        *("--relations", str(tmp_path / "relations.parquet")),
        *("--features", str(tmp_path / "f-T2.zarr")),
        *("--groups", str(tmp_path / "groups.parquet")),
        *("--rejected-pairs", str(tmp_path / "broken.parquet")),
        *("--rejected", str(tmp_path / "rejected.parquet")),
    ]
    assert main(["group", *options]) == 0
    groups = pl.read_parquet(tmp_path / "groups.parquet")
    rejected = pl.read_parquet(tmp_path / "rejected.parquet")
    assert rejected["reason"][0] == "start_s >= end_s"
    rejected = rejected[1:]
    lost = pairs.filter(pl.col("video_id").is_in(["v5", "v7"]))
    assert rejected.columns == [*pairs.columns, "reason"]
    assert rejected["pair_id"].to_list() == lost["pair_id"].to_list()
    reasons = dict(rejected.select("video_id", "reason").iter_rows())
    assert reasons == {"v5": "video: no frame decodes", "v7": f"video: {ABSENT}"}
    assert len(groups) + len(rejected) == len(pairs)
    assert f"{len(lost)} pairs of 2 videos without features" in capsys.readouterr().out
