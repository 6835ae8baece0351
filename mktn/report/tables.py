"""`mktn tables`: the paper's tables from the runs' scores, as tidy csv and as Markdown."""

import argparse
import csv
import io
from collections.abc import Sequence
from pathlib import Path

from mktn.datasets.annotations import read_csv
from mktn.errors import UserError
from mktn.files import written_beside
from mktn.report.differences import differences, read_scores
from mktn.report.layouts import COLUMNS, DATASET_TITLES, TABLES, Layout, Row, titles
from mktn.report.markdown import as_markdown
from mktn.report.results import BASELINES, Interval, Key, Run, check_runs, over_seeds, read_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `mktn tables`."""
    parser.add_argument(
        "--metrics", required=True, nargs="+", type=Path, help="metrics.json of every run"
    )
    parser.add_argument(
        "--predictions",
        required=True,
        nargs="+",
        type=Path,
        help="predictions.parquet of every run, in the order of --metrics",
    )
    parser.add_argument(
        "--pairs", required=True, nargs="+", type=Path, help="pairs.parquet of every dataset"
    )
    parser.add_argument("--reported", required=True, type=Path, help="csv of published numbers")
    parser.add_argument("--table", required=True, type=int, choices=sorted(TABLES))
    parser.add_argument(
        "--variants", nargs="+", help="variants that must be there; default: all of the table"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="of the bootstrap of the differences; default: 0"
    )
    parser.add_argument("--csv", required=True, type=Path, help="output: tidy csv")
    parser.add_argument("--markdown", required=True, type=Path, help="output: as the paper prints")


def run(arguments: argparse.Namespace) -> None:
    """Read the metrics, check that they belong together, write both tables."""
    layout = TABLES[arguments.table]
    variants = _chosen(layout, arguments.variants)
    if len(arguments.predictions) != len(arguments.metrics):
        raise UserError(
            "not one file a run",
            where="--predictions",
            found=len(arguments.predictions),
            expected=f"{len(arguments.metrics)}, in the order of --metrics",
        )
    read = [
        (read_run(path), predictions)
        for path, predictions in zip(arguments.metrics, arguments.predictions, strict=True)
    ]
    read.sort(key=lambda of_run: of_run[0].seed)
    runs = [one for one, _ in read]
    for one in runs:
        known = one.source == "own" or one.dataset in layout.datasets
        if not known or one.model not in (layout.model, *BASELINES):
            raise UserError(
                "run does not belong in the table",
                where=one.path,
                found=f"{one.model} on {one.dataset}",
                expected=f"{layout.model} on {', '.join(layout.datasets)}",
            )
    check_runs(runs, variants)
    against_full = differences(read_scores(read, arguments.pairs), arguments.seed)
    reported = read_reported(arguments.reported, layout, arguments.table)
    rows = table_rows(runs, layout, variants, reported, against_full)
    with written_beside(arguments.csv) as beside, written_beside(arguments.markdown) as other:
        beside.write_text(as_csv(rows), encoding="utf-8")
        other.write_text(
            as_markdown(rows, runs, layout, arguments.table, reported), encoding="utf-8"
        )
    datasets = len({row.dataset for row in rows})
    print(
        f"table {arguments.table}: {len(rows)} numbers of {len(runs)} runs on {datasets} datasets"
    )


def _chosen(layout: Layout, wanted: Sequence[str] | None) -> list[str]:
    """The variants of the table that are wanted, in printed order; all where none is named."""
    unknown = [variant for variant in wanted or () if variant not in layout.variants]
    if unknown:
        raise UserError(
            "unknown variant",
            where="--variants",
            found=unknown[0],
            expected=f"one of {', '.join(layout.variants)}",
        )
    return [variant for variant in layout.variants if not wanted or variant in wanted]


def read_reported(path: Path, layout: Layout, table: int) -> dict[tuple[str, str, Key], str]:
    """`{(variant, dataset, (metric, n, iou)): as printed}` of one table, in printed order."""
    variant_of = {line.reported: line.variant for line in layout.lines}
    dataset_of = {title: dataset for dataset, title in DATASET_TITLES.items()}
    columns = ("paper", "table", "dataset", "variant", "metric", "iou", "value")
    reported: dict[tuple[str, str, Key], str] = {}
    for line_number, row in read_csv(path, columns):
        if (row["paper"], row["table"]) != (layout.paper, str(table)):
            continue
        if row["variant"] not in variant_of or row["dataset"] not in dataset_of:
            continue
        metric, _, n = row["metric"].partition("@")
        try:
            key = (metric, int(n) if n else None, float(row["iou"]) if row["iou"] else None)
            printed = f"{float(row['value']):.2f}" if row["value"] else ""
        except ValueError as error:
            raise UserError(
                "broken number", where=f"{path}, line {line_number}", found=error
            ) from error
        at = variant_of[row["variant"]], dataset_of[row["dataset"]], key
        # Table 5 prints the full model twice.
        if reported.setdefault(at, printed) != printed:
            raise UserError(
                "a number is published twice and differs",
                where=f"{path}, line {line_number}",
                found=printed,
                expected=reported[at],
            )
    if not reported:
        raise UserError(
            "no published numbers", where=path, expected=f"rows of {layout.paper}, table {table}"
        )
    return reported


def table_rows(
    runs: Sequence[Run],
    layout: Layout,
    variants: Sequence[str],
    reported: dict[tuple[str, str, Key], str],
    against_full: dict[tuple[str, str, Key], Interval],
) -> list[Row]:
    """The rows by dataset, baselines before variants, R by n and IoU before the rest."""
    rows: list[Row] = []
    systems = [(model, "baseline") for model in BASELINES]
    systems += [(layout.model, variant) for variant in variants]
    for dataset in titles(run.dataset for run in runs):
        for model, variant in systems:
            of_system = [
                run
                for run in runs
                if (run.dataset, run.model, run.variant) == (dataset, model, variant)
            ]
            if not of_system:
                continue
            order = sorted(
                of_system[0].metrics, key=lambda k: (k[0] != "R", k[0], k[1] or 0, k[2] or 0)
            )
            for key in order:
                printed = "" if model in BASELINES else reported.get((variant, dataset, key), "")
                rows.append(
                    Row(
                        model,
                        variant,
                        dataset,
                        key,
                        over_seeds([run.metrics[key] for run in of_system]),
                        of_system[0].queries,
                        tuple(run.seed for run in of_system),
                        printed,
                        of_system[0].source,
                        against_full.get((dataset, variant, key)),
                        of_system[0].features,
                    )
                )
    return rows


def as_csv(rows: Sequence[Row]) -> str:
    """The tidy csv with its header; lines end in a line feed on every machine."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(row.cells() for row in rows)
    return text.getvalue()
