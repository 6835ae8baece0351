"""`mktn figure`: one figure from the csv and Parquet files of the runs, as SVG and PNG."""

import argparse
import csv
import dataclasses
import importlib
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mktn.config import fill, read_settings
from mktn.errors import UserError
from mktn.figures.style import styled, write
from mktn.files import write_text

# figure -> module with `INPUTS`, the options that it needs, and `draw(Inputs) -> Figure`. One
# whose data is no other result's has `COLUMNS` and `table(Inputs)`, its rows, as well.
DRAWN = {
    "3a": "mktn.figures.points_figure",
    "3b": "mktn.figures.speeds_figure",
    "3c": "mktn.figures.timelines_figure",
    "ianet5": "mktn.figures.attention_figure",
    "training": "mktn.figures.training_figure",
    "negatives": "mktn.figures.negatives_figure",
    "lengths": "mktn.figures.bins_figure",
    "positions": "mktn.figures.bins_figure",
    "ablations": "mktn.figures.ablations_figure",
}
# option -> what is given to it.
OPTIONS = {
    "data": "csv of mktn figure-data, or of mktn tables",
    "logs": "log.parquet of runs",
    "metrics": "metrics.json of runs",
    "predictions": "predictions.parquet of runs, in the order of --metrics",
    "pairs": "pairs.parquet of the datasets",
    "videos": "of 3c: folders of videos, DATASET=FOLDER",
    "attention": "attention.parquet of runs",
}


@dataclass(frozen=True)
class Inputs:
    """What a figure is drawn from: files by option, in the order given, and its settings."""

    data: Sequence[Path] = ()
    logs: Sequence[Path] = ()
    metrics: Sequence[Path] = ()
    predictions: Sequence[Path] = ()
    pairs: Sequence[Path] = ()
    videos: Sequence[Path] = ()
    attention: Sequence[Path] = ()
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)

    def filled(self, kind: type) -> Any:
        """The settings as a frozen dataclass; raises UserError for others than its own."""
        return fill(kind, self.settings, "--settings")


@dataclass(frozen=True)
class NoSettings:
    """The settings of a figure that has none."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `mktn figure`."""
    parser.add_argument("--figure", required=True, choices=DRAWN)
    for option, help_line in OPTIONS.items():
        parser.add_argument(f"--{option}", nargs="+", type=Path, default=[], help=help_line)
    parser.add_argument("--settings", help="JSON: settings of the figure")
    parser.add_argument("--svg", required=True, type=Path, help="output")
    parser.add_argument("--png", required=True, type=Path, help="output: the same as pixels")
    parser.add_argument("--csv", type=Path, help="output, of 3c and ianet5: what is drawn")


def run(arguments: argparse.Namespace) -> None:
    """Check that everything the figure needs is given, draw and write it."""
    module = importlib.import_module(DRAWN[arguments.figure])
    given = {option: tuple(getattr(arguments, option)) for option in OPTIONS}
    for option in (o for o in OPTIONS if o not in getattr(module, "OPTIONAL", ())):
        if bool(given[option]) != (option in module.INPUTS):
            needed = ", ".join(f"--{name}" for name in module.INPUTS)
            raise UserError(
                f"figure {arguments.figure} is drawn from other files",
                where=f"--{option}",
                found="files" if given[option] else "none",
                expected=needed,
            )
    if (arguments.csv is not None) != hasattr(module, "table"):
        raise UserError(
            f"figure {arguments.figure} has {'a' if arguments.csv is None else 'no'} table of its"
            " own",
            where="--csv",
            found=arguments.csv or "none",
        )
    inputs = Inputs(**given, settings=read_settings(arguments.settings))
    with styled():
        figure = module.draw(inputs)
    if arguments.csv is not None:
        write_csv(arguments.csv, module.COLUMNS, module.table(inputs))
    write(figure, arguments.svg, arguments.png)
    print(f"figure {arguments.figure}: {arguments.svg}, {arguments.png}")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table of text and numbers, these in full."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(text.getvalue(), path)
