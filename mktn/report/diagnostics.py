"""`mktn diagnostics`: what reviewers ask of `full`, of all datasets and seeds, in one csv.

Read from `metrics.json` (baselines, full, and full trained blind) and from the `diagnoses.json`
of `mktn diagnose`.
"""

import argparse
import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mktn.engine.diagnose import DIAGNOSES_FORMAT
from mktn.errors import UserError
from mktn.files import written_beside
from mktn.models.variants import BLIND
from mktn.report.diagnoses import COLUMNS, EXPLAINED, Diagnosis, Row
from mktn.report.diagnostics_page import as_markdown
from mktn.report.layouts import DATASET_TITLES
from mktn.report.results import BASELINES, Interval, Run, over_seeds, read_run

TRAINED = (*BLIND, "full")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `mktn diagnostics`."""
    parser.add_argument("--metrics", required=True, nargs="+", type=Path, help="metrics.json")
    parser.add_argument("--diagnoses", required=True, nargs="+", type=Path, help="diagnoses.json")
    parser.add_argument("--csv", required=True, type=Path, help="output: tidy csv")
    parser.add_argument("--markdown", required=True, type=Path, help="output: tables to read")


def run(arguments: argparse.Namespace) -> None:
    """Collate, and write both files."""
    found = [
        *(d for path in arguments.metrics for d in of_metrics(read_run(path))),
        *(d for path in arguments.diagnoses for d in of_diagnoses(path)),
    ]
    sources = {d.source for d in found}
    if len(sources) > 1:
        raise UserError("runs of several sources", found=", ".join(sorted(sources)))
    rows = joined(found)
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


def of_diagnoses(path: Path) -> Iterator[Diagnosis]:
    """The rows of one diagnoses.json. Raises UserError where it is not one."""
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
        if given["format"] != DIAGNOSES_FORMAT:
            raise ValueError(f"format {given['format']}, expected {DIAGNOSES_FORMAT}")
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
        if len(set(seeds)) < len(seeds) or (key[2] not in BASELINES and {*seeds} != theirs):
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
    diagnostics, settings = list(EXPLAINED), [*BASELINES, *TRAINED]

    def place(row: Row) -> tuple[int, int, int]:
        setting = row.of.setting
        rank = settings.index(setting) if setting in settings else len(settings)
        return [*DATASET_TITLES].index(row.of.dataset), diagnostics.index(row.of.diagnostic), rank

    return sorted(rows, key=place)


def as_csv(rows: Sequence[Row]) -> str:
    """The tidy csv; lines end in a line feed on every machine."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(row.cells() for row in rows)
    return text.getvalue()
