"""`mktn diagnostics`: what reviewers ask of `full`, of all datasets and seeds, in one csv.

Read from `metrics.json` and `predictions.parquet` (baselines, full, and full trained blind) and
from the `diagnoses.json` of `mktn diagnose`.
"""

import argparse
import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mktn.checksums import read_sealed_json
from mktn.engine.diagnose import DIAGNOSES_FORMAT, PROTOCOL
from mktn.errors import UserError
from mktn.files import written_beside
from mktn.models.variants import BLIND
from mktn.report.diagnoses import COLUMNS, EXPLAINED, Diagnosis, Row
from mktn.report.diagnostics_page import as_markdown
from mktn.report.differences import TOLERANCE, Scores, differences, read_scores
from mktn.report.layouts import REFERENCE, titles
from mktn.report.results import (
    BASELINES,
    Interval,
    Key,
    Run,
    check_runs,
    over_seeds,
    read_run,
)

MODEL = "mktn"
TRAINED = (*BLIND, REFERENCE)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `mktn diagnostics`."""
    parser.add_argument("--metrics", required=True, nargs="+", type=Path, help="metrics.json")
    parser.add_argument(
        "--predictions",
        required=True,
        nargs="+",
        type=Path,
        help="predictions.parquet of the same runs, in the order of --metrics",
    )
    parser.add_argument(
        "--pairs", required=True, nargs="+", type=Path, help="pairs.parquet of every dataset"
    )
    parser.add_argument("--diagnoses", required=True, nargs="+", type=Path, help="diagnoses.json")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the bootstrap of the differences; default: 0"
    )
    parser.add_argument("--csv", required=True, type=Path, help="output: tidy csv")
    parser.add_argument("--markdown", required=True, type=Path, help="output: tables to read")


def run(arguments: argparse.Namespace) -> None:
    """Collate, and write both files."""
    if len(arguments.predictions) != len(arguments.metrics):
        raise UserError(
            "not one file a run",
            where="--predictions",
            found=len(arguments.predictions),
            expected=f"{len(arguments.metrics)}, in the order of --metrics",
        )
    runs = [read_run(path) for path in arguments.metrics]
    found = [d for run in runs for d in of_metrics(run)]
    check_runs(runs, [(MODEL, variant) for variant in TRAINED])
    full = {(run.dataset, run.seed): run for run in runs if run.variant == REFERENCE}
    found += [d for path in arguments.diagnoses for d in of_diagnoses(path, full)]
    scores = read_scores([*zip(runs, arguments.predictions, strict=True)], arguments.pairs)
    to_full = against_full(scores, arguments.seed)
    rows = [
        replace(row, difference=to_full.get((of.dataset, of.setting, (of.metric, of.n, of.iou))))
        if (of := row.of).diagnostic == "blind"
        else row
        for row in joined(found)
    ]
    with written_beside(arguments.csv) as beside, written_beside(arguments.markdown) as other:
        beside.write_text(as_csv(rows), encoding="utf-8")
        other.write_text(as_markdown(rows), encoding="utf-8")
    print(f"{len(rows)} diagnostics: {arguments.csv}")


def of_metrics(run: Run) -> Iterator[Diagnosis]:
    """The scores of a baseline, of `full`, or of a blind run."""
    setting = run.model if run.model in BASELINES else run.variant
    if setting not in (*BASELINES, *TRAINED):
        raise UserError(
            "run does not belong among the diagnostics",
            where=run.path,
            found=setting,
            expected=", ".join((*BASELINES, *TRAINED)),
        )
    for (metric, n, iou), value in run.metrics.items():
        yield Diagnosis(
            run.dataset, "blind", setting, metric, n, iou, value, None, None,
            run.queries, run.seed, run.source,
        )  # fmt: skip


def against_full(scores: Sequence[Scores], seed: int) -> dict[tuple[str, str, Key], Interval]:
    """`{(dataset, setting, key): setting - full}` in points, each seed with its own full.

    A baseline is not trained: its one set of answers stands beside the full of every seed.
    """
    full = [one.run for one in scores if one.run.variant == REFERENCE]
    beside = [one for one in scores if one.run.model not in BASELINES]
    for one in scores:
        if one.run.model in BASELINES:
            beside += [
                replace(one, run=replace(run, variant=one.run.model))
                for run in full
                if run.dataset == one.run.dataset
            ]
    full_system = (MODEL, REFERENCE)
    found = differences(
        beside, lambda system: None if system == full_system else full_system, seed
    )
    return {
        (dataset, setting, key): value for (dataset, (_, setting), key), value in found.items()
    }


def of_diagnoses(path: Path, full: dict[tuple[str, int], Run]) -> Iterator[Diagnosis]:
    """The rows of one diagnoses.json. Raises UserError where it is not one, or not of a `full`."""
    try:
        given = read_sealed_json(path)
        if given["format"] != DIAGNOSES_FORMAT:
            raise ValueError(f"format {given['format']}, expected {DIAGNOSES_FORMAT}")
        _check_same(path, given, full.get((given["dataset"], given["seed"])))
        for row in given["diagnoses"]:
            yield Diagnosis(
                given["dataset"],
                row["diagnostic"],
                row["setting"],
                row["metric"],
                row["n"],
                row["iou"],
                Interval(row["value"], row["ci_low"], row["ci_high"]),
                row.get("chance"),
                Interval(*row["difference"]) if "difference" in row else None,
                row["queries"],
                given["seed"],
                given["source"],
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            "diagnoses cannot be read", where=path, found=repr(error), do="run mktn diagnose again"
        ) from error


def _check_same(path: Path, given: dict[str, Any], run: Run | None) -> None:
    """Refuse a diagnosis of another run, protocol or model than the metrics are of."""
    if run is None or given["variant"] != REFERENCE:
        raise UserError(
            f"diagnoses of no {REFERENCE} that has metrics",
            where=path,
            found=f"{given['variant']} on {given['dataset']}, seed {given['seed']}",
            do="diagnose the runs whose metrics.json are given",
        )
    for name in (*PROTOCOL, "model", "split", "queries", "videos"):
        if hasattr(run, name) and given[name] != getattr(run, name):
            raise UserError(
                f"diagnoses and metrics differ in {name}",
                where=path,
                found=given[name],
                expected=f"{getattr(run, name)}, as in {run.path}",
            )
    values = {
        (row["metric"], row["n"], row["iou"]): row["value"]
        for row in given["diagnoses"]
        if (row["diagnostic"], row["setting"]) == ("order", given["order"])
    }
    for key, written in run.metrics.items():
        if not abs(values[key] - written.value) <= TOLERANCE:
            raise UserError(
                "diagnoses do not give the metrics",
                where=path,
                found=f"{key[0]} {key[1] or ''} {key[2] or ''} of {values[key]:.4f}",
                expected=f"{written.value:.4f}, as {run.path} says",
                do="evaluate and diagnose the run again on one device",
            )


def joined(found: Sequence[Diagnosis]) -> list[Row]:
    """The seeds of each number together, datasets and diagnostics in the order of this module.

    Raises UserError where a number stands twice for a seed, or lacks one that others have.
    """
    by_key: dict[tuple[Any, ...], list[Diagnosis]] = {}
    for one in found:
        by_key.setdefault(one.key, []).append(one)
    rows = []
    for key, ones in by_key.items():
        seeds = sorted(one.seed for one in ones)
        theirs = {d.seed for d in found if d.dataset == key[0] and d.setting not in BASELINES}
        # A seed without a hit has no share of hits.
        whole = key[2] not in BASELINES and key[3] != "share of hits"
        if len(set(seeds)) < len(seeds) or (whole and {*seeds} != theirs):
            raise UserError(
                "seeds are missing or stand twice",
                where="/".join(str(part) for part in key[:4]),
                found=f"seeds {seeds}",
                expected=f"seeds {sorted(theirs)}",
            )
        differences = [one.difference for one in ones if one.difference is not None]
        rows.append(
            Row(
                ones[0],
                over_seeds([one.value for one in ones]),
                over_seeds(differences, -100.0) if differences else None,
                len(ones),
            )
        )
    datasets = list(titles(row.of.dataset for row in rows))
    diagnostics, settings = list(EXPLAINED), [*BASELINES, *TRAINED]

    def place(row: Row) -> tuple[int, int, int]:
        setting = row.of.setting
        rank = settings.index(setting) if setting in settings else len(settings)
        return datasets.index(row.of.dataset), diagnostics.index(row.of.diagnostic), rank

    return sorted(rows, key=place)


def as_csv(rows: Sequence[Row]) -> str:
    """The tidy csv; lines end in a line feed on every machine."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(row.cells() for row in rows)
    return text.getvalue()
