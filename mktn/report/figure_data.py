"""`mktn figure-data`: the numbers that figures are drawn from, as tidy csv.

Of Figures 3a and 3b (`speed_points`): R@1, IoU=0.5 against queries a second, a row a system; and
videos a second of each model that takes the plug-in, a row a bar. Of the curves of training and of
the negative set (`training_curves`): a row an epoch and quantity. Of lengths and positions
(`binned_scores`): R@1 of each system, a row a bin.
"""

import argparse
import csv
import io
from dataclasses import dataclass
from pathlib import Path

from mktn.config import fill, read_settings
from mktn.errors import UserError
from mktn.files import write_text
from mktn.report import binned_scores, speed_points, training_curves
from mktn.report.differences import read_scores
from mktn.report.layouts import FIGURES
from mktn.report.lines import Figure
from mktn.report.results import BASELINES, Run, check_runs, read_run

COLUMNS = {
    "3a": speed_points.POINTS,
    "3b": speed_points.BARS,
    "training": training_curves.CURVES,
    "negatives": training_curves.CURVES,
    "lengths": binned_scores.BINS,
    "positions": binned_scores.BINS,
}
# option -> what is given to it.
GIVEN = {
    "metrics": "metrics.json of every run",
    "logs": "log.parquet of the same runs, in the order of --metrics",
    "predictions": "predictions.parquet of the same runs, in the order of --metrics",
    "pairs": "pairs.parquet of every dataset",
    "efficiency": "efficiency.json of every system",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `mktn figure-data`."""
    parser.add_argument("--figure", required=True, choices=FIGURES)
    for option, what in GIVEN.items():
        figures = ", ".join(name for name, of in FIGURES.items() if option in of.made_of)
        parser.add_argument(
            f"--{option}", nargs="+", type=Path, default=[], help=f"of {figures}: {what}"
        )
    parser.add_argument("--reported", type=Path, help="of 3a, 3b: csv of published numbers")
    parser.add_argument(
        "--variants", nargs="+", help="systems that must be there, as mmn/origin; default: all"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the bootstrap of the bins; default: 0"
    )
    parser.add_argument("--settings", help="JSON, of lengths and positions: table_iou, bins")
    parser.add_argument("--csv", required=True, type=Path, help="output")


def run(arguments: argparse.Namespace) -> None:
    """Read, check that the files belong together, write the csv."""
    name = arguments.figure
    figure = FIGURES[name]
    _check_given(arguments, figure)
    binned = "predictions" in figure.made_of
    settings = fill(
        binned_scores.Binning if binned else _NoSettings,
        read_settings(arguments.settings),
        "--settings",
    )
    systems = figure.chosen(arguments.variants)
    runs = [read_run(path) for path in arguments.metrics]
    _check_belong(runs, figure)
    if figure.scored:
        check_runs(runs, systems)
    if "efficiency" in figure.made_of:
        rows = speed_points.speed_rows(
            figure, systems, runs, arguments.efficiency, arguments.reported
        )
    elif isinstance(settings, binned_scores.Binning):
        scores = read_scores([*zip(runs, arguments.predictions, strict=True)], arguments.pairs)
        rows = binned_scores.bin_rows(
            name, figure, scores, arguments.pairs, settings, arguments.seed
        )
    else:
        rows = training_curves.curve_rows(name, runs, arguments.logs)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS[name])
    writer.writerows(rows)
    write_text(text.getvalue(), arguments.csv)
    print(f"figure {name}: {len(rows)} rows: {arguments.csv}")


@dataclass(frozen=True)
class _NoSettings:
    """Of figures that have none."""


def _check_given(arguments: argparse.Namespace, figure: Figure) -> None:
    """Refuse files that the figure is not made of, and missing ones."""
    for option in (*GIVEN, "reported"):
        given, needed = bool(getattr(arguments, option)), option in figure.made_of
        # The published numbers stand beside whatever has them.
        if given != needed and not (given and option == "reported"):
            raise UserError(
                f"figure {arguments.figure} is made of other files",
                where=f"--{option}",
                found="files" if given else "none",
                expected=", ".join(f"--{name}" for name in figure.made_of),
            )
    for option in ("logs", "predictions"):
        if option in figure.made_of and len(getattr(arguments, option)) != len(arguments.metrics):
            raise UserError(
                "not one file a run",
                where=f"--{option}",
                found=len(getattr(arguments, option)),
                expected=f"{len(arguments.metrics)}, in the order of --metrics",
            )


def _check_belong(runs: list[Run], figure: Figure) -> None:
    """Refuse runs of datasets and baselines that the figure does not show."""
    for one in runs:
        known = one.model not in BASELINES or one.model in figure.baselines
        if not known or not figure.holds(one.dataset, one.source):
            shown = dict.fromkeys((*(model for model, _ in figure.systems), *figure.baselines))
            raise UserError(
                "run does not belong in the figure",
                where=one.path,
                found=f"{one.model} on {one.dataset}",
                expected=f"{', '.join(shown)} on {', '.join(figure.datasets)}",
            )
