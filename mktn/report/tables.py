"""`mktn tables`: the paper's tables from `metrics.json` files, as tidy csv and as Markdown."""

import argparse
import csv
import io
from collections.abc import Sequence
from pathlib import Path

from mktn.datasets.annotations import read_csv
from mktn.errors import UserError
from mktn.files import written_beside
from mktn.report.layouts import COLUMNS, DATASET_TITLES, TABLES, Layout, Row
from mktn.report.markdown import as_markdown
from mktn.report.results import BASELINES, Key, Run, check_runs, over_seeds, read_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `mktn tables`."""
    parser.add_argument(
        "--metrics", required=True, nargs="+", type=Path, help="metrics.json of every run"
    )
    parser.add_argument("--reported", required=True, type=Path, help="csv of published numbers")
    parser.add_argument("--table", required=True, type=int, choices=sorted(TABLES))
    parser.add_argument(
        "--variants", nargs="+", help="variants that must be there; default: all of the table"
    )
    parser.add_argument("--csv", required=True, type=Path, help="output: tidy csv")
    parser.add_argument("--markdown", required=True, type=Path, help="output: as the paper prints")


def run(arguments: argparse.Namespace) -> None:
    """Read the metrics, check that they belong together, write both tables."""
    layout = TABLES[arguments.table]
    unknown = [v for v in arguments.variants or () if v not in layout.variants]
    if unknown:
        raise UserError(
            "unknown variant",
            where="--variants",
            found=unknown[0],
            expected=f"one of {', '.join(layout.variants)}",
        )
    wanted = arguments.variants or list(layout.variants)
    variants = [variant for variant in layout.variants if variant in wanted]
    runs = sorted((read_run(path) for path in arguments.metrics), key=lambda run: run.seed)
    for one in runs:
        if one.dataset not in DATASET_TITLES or one.model not in (layout.model, *BASELINES):
            raise UserError(
                "run does not belong in the table",
                where=one.path,
                found=f"{one.model} on {one.dataset}",
                expected=f"{layout.model} on {', '.join(DATASET_TITLES)}",
            )
    check_runs(runs, variants)
    reported = read_reported(arguments.reported, layout, arguments.table)
    rows = table_rows(runs, layout, variants, reported)
    with written_beside(arguments.csv) as beside, written_beside(arguments.markdown) as other:
        beside.write_text(as_csv(rows), encoding="utf-8")
        other.write_text(
            as_markdown(rows, runs, layout, arguments.table, reported), encoding="utf-8"
        )
    datasets = len({row.dataset for row in rows})
    print(
        f"table {arguments.table}: {len(rows)} numbers of {len(runs)} runs on {datasets} datasets"
    )


def read_reported(path: Path, layout: Layout, table: int) -> dict[tuple[str, str, Key], str]:
    """`{(variant, dataset, (metric, n, iou)): as printed}` of one table, in printed order."""
    variant_of = {name: variant for variant, name in layout.variants.items()}
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
        reported[variant_of[row["variant"]], dataset_of[row["dataset"]], key] = printed
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
) -> list[Row]:
    """The rows by dataset, baselines before variants, R by n and IoU before the rest."""
    rows: list[Row] = []
    systems = [(model, "baseline") for model in BASELINES]
    systems += [(layout.model, variant) for variant in variants]
    for dataset in DATASET_TITLES:
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
                joined = over_seeds([run.metrics[key] for run in of_system])
                printed = "" if model in BASELINES else reported.get((variant, dataset, key), "")
                rows.append(
                    Row(
                        model,
                        variant,
                        dataset,
                        key,
                        joined.value,
                        joined.ci_low,
                        joined.ci_high,
                        of_system[0].queries,
                        tuple(run.seed for run in of_system),
                        printed,
                        of_system[0].source,
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
