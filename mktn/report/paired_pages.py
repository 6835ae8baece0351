"""What pages of runs beside a reference share: their options, their csv and their cells."""

import argparse
import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from mktn.errors import UserError
from mktn.report.results import Interval, Key
from mktn.report.rows import two_decimals


def add_runs(parser: argparse.ArgumentParser, metrics: str) -> None:
    """Options for the runs, whose `metrics` are described so, and for the two files written."""
    for name, help_line in (
        ("metrics", metrics),
        ("predictions", "their predictions.parquet, in the same order"),
        ("pairs", "pairs.parquet of every dataset"),
    ):
        parser.add_argument(f"--{name}", nargs="+", type=Path, required=True, help=help_line)
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap; default: 0")
    parser.add_argument("--csv", required=True, type=Path, help="output: tidy csv")
    parser.add_argument("--markdown", required=True, type=Path, help="output: a page")


def check_one_a_run(arguments: argparse.Namespace, *names: str) -> None:
    """Raises UserError where an option of `names` has not one value a file of --metrics."""
    for name in names:
        if len(getattr(arguments, name)) != len(arguments.metrics):
            raise UserError(
                "not one a run", where=f"--{name}", found=len(getattr(arguments, name)),
                expected=f"{len(arguments.metrics)}, in the order of --metrics",
            )  # fmt: skip


def csv_text(columns: Sequence[str], records: Iterable[Sequence[object]]) -> str:
    """The csv; lines end in a line feed on every machine."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(records)
    return text.getvalue()


def key_fields(key: Key) -> tuple[str, object, str]:
    """metric, n and iou of a row; empty where the metric has none."""
    metric, n, iou = key
    return metric, "" if n is None else n, "" if iou is None else f"{iou:g}"


def interval_fields(interval: Interval | None) -> Sequence[str]:
    """Value and both ends with two decimals; empty where there is none."""
    return two_decimals(interval) if interval else ("", "", "")


def metric_name(key: Key) -> str:
    """R@1, IoU=0.5, or mIoU."""
    metric, n, iou = key
    return metric if n is None else f"{metric}@{n}, IoU={iou:g}"


def cell(value: Interval, difference: Interval | None) -> str:
    """The value with its interval; behind a semicolon the difference, bold where it excludes 0."""
    said = "{} [{}, {}]".format(*two_decimals(value))
    if difference is None:
        return said
    numbers = two_decimals(difference, sign="+")
    clear = float(numbers[1]) > 0 or float(numbers[2]) < 0  # as it is written
    bold = "**" if clear else ""
    return "{}; {}{} [{}, {}]{}".format(said, bold, *numbers, bold)
