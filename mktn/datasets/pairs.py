"""`mktn pairs`: annotation files, or a user's own table, to pairs.parquet and rejected.parquet."""

import argparse
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Literal

import polars as pl

from mktn.config import fill, read_settings
from mktn.datasets import DATASETS, PARTITIONS, TEST_SETS, check_own_name, own_table, read_table
from mktn.datasets.annotations import PairTable
from mktn.datasets.sentences import normalised
from mktn.errors import UserError
from mktn.files import written_beside
from mktn.parquet import write_parquet


@dataclass(frozen=True)
class PairsSettings:
    """Which of the published versions, validation splits and partitions to take."""

    partition: Literal["standard", "cd", "cg"] = "standard"  # of activitynet and charades
    tacos_version: Literal["2dtan", "tall"] = "2dtan"
    validation: Literal["official", "held_out"] = "official"  # of activitynet, but not cg


@dataclass(frozen=True)
class TableSettings:
    """Of `--format table`: the splits of a table that has none, and the decoding of videos for
    their durations (decode_workers processes, timeout_s without a decoded frame)."""

    fractions: own_table.Fractions = field(default_factory=own_table.Fractions)
    decode_workers: int = 1
    timeout_s: float = 60.0

    def __post_init__(self) -> None:
        if self.decode_workers < 0 or self.timeout_s <= 0:
            raise ValueError("decode_workers of at least 0 and timeout_s above 0 are needed")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `mktn pairs`."""
    parser.add_argument(
        "--dataset", required=True, help=f"{', '.join(DATASETS)}, or the name of your own"
    )
    parser.add_argument(
        "--format",
        choices=("published", "table"),
        default="published",
        help="published: a benchmark's own files; table: a csv or JSON of your own dataset",
    )
    parser.add_argument(
        "--annotations",
        required=True,
        type=Path,
        help="folder of the annotation files, or the table",
    )
    parser.add_argument(
        "--videos", type=Path, help="table: folder of VIDEO.mp4, .mkv, ..., for the durations"
    )
    parser.add_argument("--pairs", required=True, type=Path, help="output: usable pairs, Parquet")
    parser.add_argument(
        "--rejected", required=True, type=Path, help="output: unusable pairs and why, Parquet"
    )
    parser.add_argument("--settings", help="JSON or a file: PairsSettings; table: TableSettings")


def run(arguments: argparse.Namespace) -> None:
    """Read, write both tables, print a line of counts, and of what test sets share."""
    if arguments.format == "table":
        table, partition = own(arguments), "standard"
    else:
        table, partition = published(arguments)
    pairs, rejected = table.frames()
    with written_beside(arguments.pairs) as beside, written_beside(arguments.rejected) as other:
        write_parquet(pairs, beside)
        write_parquet(rejected, other)
    splits = PARTITIONS[partition]
    counted = summary(pairs, rejected, sum(table.clipped.values()), splits)
    print(f"{arguments.dataset}: {counted}")
    if partition != "standard":
        print(f"{arguments.dataset}: {shared(pairs, TEST_SETS[partition])}")


def published(arguments: argparse.Namespace) -> tuple[PairTable, str]:
    """A benchmark's pairs, and their partition."""
    if arguments.dataset not in DATASETS:
        raise UserError(
            "unknown dataset", where="--dataset", found=repr(arguments.dataset[:80]),
            expected=f"one of {', '.join(DATASETS)}", do="--format table reads your own",
        )  # fmt: skip
    if arguments.videos is not None:
        raise UserError(
            "the published files have the durations", where="--videos", found=arguments.videos,
            expected="none without --format table",
        )  # fmt: skip
    settings = fill(PairsSettings, read_settings(arguments.settings))
    options: dict[str, str] = {}
    if arguments.dataset == "tacos":
        options["version"] = settings.tacos_version
    if arguments.dataset == "activitynet":
        options["validation"] = settings.validation
    if settings.partition != "standard":
        if arguments.dataset == "tacos":
            raise UserError(
                "TACoS has one partition", where="settings.partition", found=settings.partition,
                expected="standard",
            )  # fmt: skip
        options["partition"] = settings.partition
    return read_table(arguments.dataset, arguments.annotations, **options), settings.partition


def own(arguments: argparse.Namespace) -> PairTable:
    """The pairs of a user's table; the durations that it lacks come from decoding the videos."""
    check_own_name(arguments.dataset, "--dataset")
    settings = fill(TableSettings, read_settings(arguments.settings))
    table = own_table.read(arguments.annotations)
    lengths: dict[str, float] = {}
    broken: dict[str, str] = {}
    undated = table.undated()
    if arguments.videos is not None:
        # Of a later stage: the one thing that no annotation file says.
        from mktn.features.video_lengths import video_lengths

        if not arguments.videos.is_dir():
            raise UserError("no such folder", where=arguments.videos, expected="VIDEO.mp4 files")
        lengths, broken = video_lengths(
            arguments.videos, table.video_ids(), undated, settings.decode_workers,
            settings.timeout_s,
        )  # fmt: skip
    elif not table.has_durations():
        raise UserError(
            "videos without duration_s", where=table.path,
            found=f"{len(undated)} such as {undated[0]}",
            expected="a number for each, or --videos to measure them",
        )  # fmt: skip
    pairs = own_table.pairs_of(arguments.dataset, table, settings.fractions, lengths, broken)
    for video_id, reason in broken.items():
        print(f"broken video {video_id}: {reason}")
    if table.unread:
        print(f"columns that are not read: {', '.join(table.unread)}")
    return pairs


def summary(
    pairs: pl.DataFrame, rejected: pl.DataFrame, clipped: int, splits: tuple[str, ...]
) -> str:
    """Counts a split, clipped ends, and rejected rows by reason, in one line."""
    counts = []
    for split in splits:
        of_split = pairs.filter(pl.col("split") == split)
        counts.append(
            f"{split} {of_split.height} pairs of {of_split['video_id'].n_unique()} videos"
        )
    # What stands behind a colon is of one row or video.
    kinds = rejected.select(pl.col("reason").str.split(": ").list.first())
    reasons = kinds.group_by("reason").len().sort("reason").iter_rows()
    why = ", ".join(f"{reason}: {count}" for reason, count in reasons)
    rejections = f"{rejected.height} rejected" + (f" ({why})" if why else "")
    return f"{', '.join(counts)}; {clipped} ends clipped; {rejections}"


def shared(pairs: pl.DataFrame, test_sets: tuple[str, ...]) -> str:
    """What each test set shares with training and with the other test sets, in one line.

    Sentences count as the same when their words are; pairs when their span is the same too.
    """
    text = pairs.with_columns(pl.col("sentence").map_elements(normalised, return_dtype=pl.String))
    of = {split: text.filter(pl.col("split") == split) for split in ("train", *test_sets)}
    trained = of["train"]["sentence"].unique().implode()
    parts = [
        f"{of[name].filter(pl.col('sentence').is_in(trained)).height} of {of[name].height}"
        f" sentences of {name} are also in train"
        for name in test_sets
    ]
    pair = ["video_id", "sentence", "start_s", "end_s"]
    for first, second in combinations(test_sets, 2):
        videos = of[first].join(of[second], on="video_id", how="semi")["video_id"].n_unique()
        same = of[first].join(of[second], on=pair, how="semi").height
        if videos:
            parts.append(f"{first} and {second} share {videos} videos, {same} pairs")
    return "; ".join(parts)
