"""`mktn tables`: the papers' tables from the runs' scores, as tidy csv, Markdown and LaTeX."""

import argparse
import contextlib
from collections.abc import Sequence
from pathlib import Path

from mktn.errors import UserError
from mktn.files import written_beside
from mktn.report.differences import differences, read_scores
from mktn.report.latex import as_latex
from mktn.report.layouts import TABLES
from mktn.report.lines import Layout, name_of
from mktn.report.markdown import as_markdown
from mktn.report.reported import read_reported
from mktn.report.results import BASELINES, Run, check_runs, read_run
from mktn.report.rows import as_csv
from mktn.report.speeds import read_speeds
from mktn.report.table_grid import table_of
from mktn.report.table_rows import table_rows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `mktn tables`."""
    parser.add_argument(
        "--metrics", nargs="+", type=Path, default=[], help="metrics.json of every run"
    )
    parser.add_argument(
        "--predictions",
        nargs="+",
        type=Path,
        default=[],
        help="predictions.parquet of every run, in the order of --metrics",
    )
    parser.add_argument(
        "--efficiency",
        nargs="+",
        type=Path,
        default=[],
        help="efficiency.json of the systems, of a table that shows speed",
    )
    parser.add_argument(
        "--pairs", nargs="+", type=Path, default=[], help="pairs.parquet of every dataset"
    )
    parser.add_argument("--reported", required=True, type=Path, help="csv of published numbers")
    parser.add_argument(
        "--table", required=True, choices=TABLES, help="of MKTN by its number; ianet4: of IA-Net"
    )
    parser.add_argument(
        "--variants",
        nargs="+",
        help="what must be there, as `full`, in a table of several models as `mmn/origin`;"
        " default: all of the table",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the bootstrap of the differences; default: 0"
    )
    parser.add_argument("--csv", required=True, type=Path, help="output: tidy csv")
    parser.add_argument("--markdown", required=True, type=Path, help="output: as the paper prints")
    parser.add_argument("--latex", type=Path, help="output: the same, to \\input in a document")


def run(arguments: argparse.Namespace) -> None:
    """Read the metrics, check that they belong together, write the table in each format."""
    layout = TABLES[arguments.table]
    systems = layout.chosen(arguments.variants)
    needed = {"metrics": layout.scored, "pairs": layout.scored, "efficiency": layout.quantities}
    for name, wanted in needed.items():
        if wanted and not getattr(arguments, name):
            raise UserError(
                f"{layout.stem} is made of these too",
                where=f"--{name}",
                found="none",
                expected=f"of {', '.join(name_of(system, layout.systems) for system in systems)}",
            )
    reported = read_reported(arguments.reported, layout)
    read = read_runs(arguments.metrics, arguments.predictions)
    runs = [one for one, _ in read]
    check_belong(runs, layout)
    check_runs(runs, systems)
    scores = read_scores(read, arguments.pairs) if layout.scored else []
    speeds = read_speeds(arguments.efficiency, layout, systems, runs)
    to_reference = differences(scores, layout.reference_of, arguments.seed)
    rows = table_rows(runs, speeds, layout, systems, reported, to_reference)
    table = table_of(rows, runs, speeds, layout, systems, reported)
    written = {arguments.csv: as_csv(rows, layout), arguments.markdown: as_markdown(table)}
    if arguments.latex:
        written[arguments.latex] = as_latex(table)
    with contextlib.ExitStack() as all_or_none:
        for path, text in written.items():
            beside = all_or_none.enter_context(written_beside(path))
            beside.write_text(text, encoding="utf-8")
    datasets = len({row.dataset for row in rows})
    print(f"{layout.stem}: {len(rows)} numbers of {len(runs)} runs on {datasets} datasets")


def read_runs(metrics: Sequence[Path], predictions: Sequence[Path]) -> list[tuple[Run, Path]]:
    """Each run with the path of its predictions, by seed."""
    if len(predictions) != len(metrics):
        raise UserError(
            "not one file a run",
            where="--predictions",
            found=len(predictions),
            expected=f"{len(metrics)}, in the order of --metrics",
        )
    read = [(read_run(path), beside) for path, beside in zip(metrics, predictions, strict=True)]
    return sorted(read, key=lambda of_run: of_run[0].seed)


def check_belong(runs: Sequence[Run], layout: Layout) -> None:
    """Refuse runs of models and datasets that a table does not hold."""
    models = dict.fromkeys(model for model, _ in layout.systems)
    for one in runs:
        if not layout.scored:
            raise UserError(
                "a table of efficiency has no scores", where=one.path, do="give --efficiency alone"
            )
        held = layout.holds(one.dataset, one.source)
        if not held or one.model not in (*models, *BASELINES):
            raise UserError(
                "run does not belong in the table",
                where=one.path,
                found=f"{one.model} on {one.dataset}",
                expected=f"{', '.join(models)} on {', '.join(layout.datasets)}",
            )
