"""`mktn pairs`: annotation files to `pairs.parquet` and `rejected.parquet`."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from mktn.config import fill, read_settings
from mktn.datasets import DATASETS, read_table
from mktn.datasets.annotations import SPLITS
from mktn.files import written_beside


@dataclass(frozen=True)
class PairsSettings:
    """Which of the published versions and validation splits to take."""

    tacos_version: Literal["2dtan", "tall"] = "2dtan"
    validation: Literal["official", "held_out"] = "official"  # of activitynet


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
    """Read, write both tables, print one line of counts."""
    settings = fill(PairsSettings, read_settings(arguments.settings))
    options: dict[str, str] = {}
    if arguments.dataset == "tacos":
        options["version"] = settings.tacos_version
    if arguments.dataset == "activitynet":
        options["validation"] = settings.validation
    table = read_table(arguments.dataset, arguments.annotations, **options)
    pairs, rejected = table.frames()
    with written_beside(arguments.pairs) as beside, written_beside(arguments.rejected) as other:
        pairs.write_parquet(beside)
        rejected.write_parquet(other)
    print(f"{arguments.dataset}: {summary(pairs, rejected, sum(table.clipped.values()))}")


def summary(pairs: pl.DataFrame, rejected: pl.DataFrame, clipped: int) -> str:
    """Counts a split, clipped ends, and rejected rows by reason, in one line."""
    counts = []
    for split in SPLITS:
        of_split = pairs.filter(pl.col("split") == split)
        counts.append(
            f"{split} {of_split.height} pairs of {of_split['video_id'].n_unique()} videos"
        )
    reasons = rejected.group_by("reason").len().sort("reason").iter_rows()
    why = ", ".join(f"{reason}: {count}" for reason, count in reasons)
    rejections = f"{rejected.height} rejected" + (f" ({why})" if why else "")
    return f"{', '.join(counts)}; {clipped} ends clipped; {rejections}"
