"""`mktn pairs`: annotation files to `pairs.parquet` and `rejected.parquet`."""

import argparse
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

import polars as pl

from mktn.config import fill, read_settings
from mktn.datasets import DATASETS, PARTITIONS, TEST_SETS, read_table
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


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `mktn pairs`."""
    parser.add_argument("--dataset", required=True, choices=DATASETS)
    parser.add_argument(
        "--annotations", required=True, type=Path, help="folder of the annotation files"
    )
    parser.add_argument("--pairs", required=True, type=Path, help="output: usable pairs, Parquet")
    parser.add_argument(
        "--rejected", required=True, type=Path, help="output: unusable pairs and why, Parquet"
    )
    parser.add_argument("--settings", help="JSON, or a YAML or JSON file, with PairsSettings")


def run(arguments: argparse.Namespace) -> None:
    """Read, write both tables, print a line of counts, and of what test sets share."""
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
    table = read_table(arguments.dataset, arguments.annotations, **options)
    pairs, rejected = table.frames()
    with written_beside(arguments.pairs) as beside, written_beside(arguments.rejected) as other:
        write_parquet(pairs, beside)
        write_parquet(rejected, other)
    splits = PARTITIONS[settings.partition]
    counted = summary(pairs, rejected, sum(table.clipped.values()), splits)
    print(f"{arguments.dataset}: {counted}")
    if settings.partition != "standard":
        print(f"{arguments.dataset}: {shared(pairs, TEST_SETS[settings.partition])}")


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
    reasons = rejected.group_by("reason").len().sort("reason").iter_rows()
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
