"""Clusters of related videos with all their pairs: `mktn group` -> `groups.parquet`."""

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from mktn.config import fill, read_settings
from mktn.errors import UserError
from mktn.features.pairs_file import read_rejected, read_relations, read_table_of
from mktn.features.store import ResampledStore
from mktn.features.table_checks import check_columns
from mktn.parquet import write_parquet
from mktn.seeds import named_rng

SCHEMA = {"split": pl.String, "group": pl.Int64, "video_id": pl.String, "pair_id": pl.String}
ABSENT = "not in the feature store"
NEEDED = ["split", "video_id", "pair_id"]


@dataclass(frozen=True)
class GroupSettings:
    """How large a cluster of training videos grows."""

    seed: int = 0
    videos: int = 8
    queries: int = 192  # exceeded only by a single video with more

    def __post_init__(self) -> None:
        for name in ("videos", "queries"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected at least 1")


def usable(
    pairs: pl.DataFrame, video_ids: Sequence[str], errors: Mapping[str, str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Pairs of the videos `video_ids`, and the others with a `reason`: `video: why`."""
    reasons = {video_id: f"video: {error}" for video_id, error in errors.items()}
    column = pl.col("video_id")
    has_features = column.is_in(list(video_ids))
    reason = column.replace_strict(reasons, default=f"video: {ABSENT}", return_dtype=pl.String)
    return (
        pairs.filter(has_features),
        pairs.filter(~has_features).with_columns(reason=reason),
    )


def group(pairs: pl.DataFrame, relations: pl.DataFrame, settings: GroupSettings) -> pl.DataFrame:
    """Group of each pair of `pairs`: columns of SCHEMA, groups numbered from 0 over all splits.

    Training videos form clusters by their affinity, the sum of the contextual and semantic
    weights between their queries; a video of another split is a group of its own.
    """
    counts = dict(
        pairs.filter(pl.col("split") == "train")
        .group_by("video_id", maintain_order=True)
        .len()
        .iter_rows()
    )
    found = cluster_videos(counts, affinities(pairs, relations), settings)
    clusters = [("train", cluster) for cluster in found]
    others = pairs.filter(pl.col("split") != "train").select("split", "video_id")
    clusters += [(s, [v]) for s, v in others.unique(maintain_order=True).iter_rows()]
    members = pl.DataFrame(
        [
            (split, number, video_id)
            for number, (split, cluster) in enumerate(clusters)
            for video_id in cluster
        ],
        schema={name: SCHEMA[name] for name in ("split", "group", "video_id")},
        orient="row",
    )
    joined = members.join(
        pairs.select("split", "video_id", "pair_id"),
        on=["split", "video_id"],
        maintain_order="left_right",
    )
    return joined.select(SCHEMA.keys())


def affinities(pairs: pl.DataFrame, relations: pl.DataFrame) -> dict[str, dict[str, float]]:
    """video -> other training video -> affinity above 0, the same both ways."""
    training = pairs.filter(pl.col("split") == "train").select("pair_id", "video_id")
    summed = (
        relations.filter(pl.col("kind") != "temporal")
        .join(training.rename({"pair_id": "pair_a", "video_id": "a"}), on="pair_a")
        .join(training.rename({"pair_id": "pair_b", "video_id": "b"}), on="pair_b")
        .filter(pl.col("a") != pl.col("b"))
        .with_columns(first=pl.min_horizontal("a", "b"), second=pl.max_horizontal("a", "b"))
        .sort("first", "second", "pair_a", "pair_b", "kind")
        .group_by("first", "second", maintain_order=True)
        .agg(pl.col("weight").sum())
    )
    table: dict[str, dict[str, float]] = defaultdict(dict)
    for first, second, weight in summed.iter_rows():
        table[first][second] = table[second][first] = weight
    return table


def cluster_videos(
    counts: Mapping[str, int],
    affinity: Mapping[str, Mapping[str, float]],
    settings: GroupSettings,
) -> list[list[str]]:
    """Greedy clusters of the videos of `counts` (video -> number of its queries).

    Videos begin clusters in a random order that follows from the seed. A cluster takes the free
    video of greatest affinity to its members that still fits, until it is full or none is
    related. Ties go to the smaller video id.
    """
    videos = sorted(counts)
    starts = [videos[i] for i in named_rng(settings.seed, "groups").permutation(len(videos))]
    free = set(videos)
    clusters = []
    for start in starts:
        if start not in free:
            continue
        cluster: list[str] = []
        room = settings.queries
        candidates: dict[str, float] = defaultdict(float)
        chosen: str | None = start
        while chosen is not None:
            cluster.append(chosen)
            free.remove(chosen)
            candidates.pop(chosen, None)
            room -= counts[chosen]
            for neighbour, weight in affinity.get(chosen, {}).items():
                if neighbour in free:
                    candidates[neighbour] += weight
            fitting = [v for v in candidates if counts[v] <= room]
            full = len(cluster) == settings.videos or not fitting
            chosen = None if full else min(fitting, key=lambda v: (-round(candidates[v], 6), v))
        clusters.append(cluster)
    return clusters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pairs", type=Path, required=True, help="pairs.parquet")
    parser.add_argument("--relations", type=Path, required=True, help="relations.parquet")
    parser.add_argument("--features", type=Path, required=True, help="store of T frames a video")
    parser.add_argument("--groups", type=Path, required=True, help="groups.parquet, written")
    parser.add_argument(
        "--rejected-pairs", type=Path, required=True, help="rejected.parquet of the pairs"
    )
    parser.add_argument(
        "--rejected",
        type=Path,
        required=True,
        help="those and the pairs of videos without features, with reasons, written",
    )
    parser.add_argument("--settings", help="JSON: seed, videos, queries")


def run(arguments: argparse.Namespace) -> None:
    settings = fill(GroupSettings, read_settings(arguments.settings))
    store = ResampledStore(arguments.features)
    everything = read_table_of("pairs", arguments.pairs, needed=NEEDED)
    pairs, rejected = usable(everything, store.video_ids, store.errors)
    if pairs.is_empty():
        raise UserError(
            "no pair has video features",
            where=arguments.features,
            found=f"{rejected.height} pairs of other or failed videos",
            do="give the features of these pairs' videos",
        )
    relations = read_relations(arguments.relations, everything["pair_id"])
    groups = group(pairs, relations, settings)
    before = read_rejected(arguments.rejected_pairs)
    check_columns(rejected, before.columns, arguments.pairs, "run `mktn pairs` again")
    both = pl.concat([before, rejected.select(before.columns)])
    for frame, path in ((groups, arguments.groups), (both, arguments.rejected)):
        write_parquet(frame, path)
    training = groups.filter(pl.col("split") == "train")
    print(
        f"groups: {groups['group'].n_unique()}, of training {training['group'].n_unique()} with "
        f"{training['video_id'].n_unique()} videos; {rejected.height} pairs of "
        f"{rejected['video_id'].n_unique()} videos without features are rejected"
    )
