"""`mktn diagnostics`: what reviewers ask of `full`, of all datasets and seeds, in one csv.

Read from `metrics.json` (baselines, full, and full trained blind) and from the `diagnoses.json`
of `mktn diagnose`.
"""

import argparse
import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mktn.engine.diagnose import DIAGNOSES_FORMAT
from mktn.errors import UserError
from mktn.files import written_beside
from mktn.models.variants import BLIND
from mktn.report.layouts import DATASET_TITLES
from mktn.report.markdown import SOURCE_SENTENCES
from mktn.report.results import BASELINES, Interval, Run, over_seeds, read_run

COLUMNS = (
    "dataset",
    "diagnostic",
    "setting",
    "metric",
    "n",
    "iou",
    "value",
    "ci_low",
    "ci_high",
    "chance",
    "ratio_to_chance",
    "difference",
    "difference_low",
    "difference_high",
    "queries",
    "seeds",
    "source",
)
TRAINED = (*BLIND, "full")
EXPLAINED = {
    "blind": "What is to be had without the sentence, without the video, or without either:"
    " `video_only` and `query_only` are `full` trained with the other hidden.",
    "order": "What CSM is told of the queries' order: their position in the annotation file,"
    " which goes with time in some datasets, that position shuffled, or none. Differences are"
    " against `annotation`.",
    "queries": "A query answered alone against all queries of its video answered together, which"
    " CSM lets see each other. The difference is against all of them.",
    "sentence": "Test sentences that also occur in training, and those that do not.",
    "retrieval": "How often the first n videos by a similarity hold the paired video, or one with"
    " a query of the same text; beside it chance, computed exactly.",
}


@dataclass(frozen=True)
class Diagnosis:
    """One number of one seed; `difference` with its interval where it is against a reference."""

    dataset: str
    diagnostic: str
    setting: str
    metric: str
    n: int | None
    iou: float | None
    value: Interval
    chance: float | None
    difference: Interval | None
    queries: int
    seed: int
    source: str

    @property
    def key(self) -> tuple[Any, ...]:
        """What the seeds of one number share."""
        return self.dataset, self.diagnostic, self.setting, self.metric, self.n, self.iou


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


@dataclass(frozen=True)
class Row:
    """One number over its seeds."""

    of: Diagnosis
    value: Interval
    difference: Interval | None
    seeds: int

    @property
    def ratio(self) -> float | None:
        """How many times chance the value is."""
        return self.value.value / self.of.chance if self.of.chance else None

    def cells(self) -> list[str]:
        """The fields in the order of COLUMNS."""
        one = self.of
        difference = self.difference
        numbers = [self.value.value, self.value.ci_low, self.value.ci_high, one.chance, self.ratio]
        numbers += (
            [difference.value, difference.ci_low, difference.ci_high] if difference else [None] * 3
        )
        return [
            one.dataset,
            one.diagnostic,
            one.setting,
            one.metric,
            "" if one.n is None else str(one.n),
            "" if one.iou is None else f"{one.iou:g}",
            *("" if number is None else f"{number:.2f}" for number in numbers),
            str(one.queries),
            str(self.seeds),
            one.source,
        ]


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


def as_markdown(rows: Sequence[Row]) -> str:
    """A table a diagnostic and dataset, of R@1 at each IoU, or of recall at each rank."""
    source = rows[0].of.source
    lines = [
        "# Diagnostics of `full`",
        "",
        f"**Source: {source}.** {SOURCE_SENTENCES[source]}",
        "",
    ]
    lines += ["Per cent, with 95 % intervals over videos, and over seeds where there are several."]
    for diagnostic, explained in EXPLAINED.items():
        lines += ["", f"## {diagnostic.capitalize()}", "", explained]
        for dataset, title in DATASET_TITLES.items():
            mine = [
                row
                for row in rows
                if (row.of.dataset, row.of.diagnostic) == (dataset, diagnostic)
                and (diagnostic == "retrieval" or row.of.n == 1)
            ]
            if mine:
                lines += ["", f"**{title}**", "", *_grid(mine)]
    return "\n".join(lines) + "\n"


def _grid(rows: Sequence[Row]) -> list[str]:
    def column(row: Row) -> str:
        return f"R@{row.of.n}" + ("" if row.of.iou is None else f", IoU={row.of.iou:g}")

    def cell(row: Row) -> str:
        text = f"{row.value.value:.1f} [{row.value.ci_low:.1f}, {row.value.ci_high:.1f}]"
        if row.ratio is not None:
            text += f"; chance {row.of.chance:.1f} ({row.ratio:.1f}x)"
        if row.difference is not None:
            difference = row.difference
            text += (
                f"; {difference.value:+.1f} [{difference.ci_low:+.1f}, {difference.ci_high:+.1f}]"
            )
        return text

    columns = list(dict.fromkeys(column(row) for row in rows))
    lines = [["", "queries", "seeds", *columns], ["---", *["---:"] * (2 + len(columns))]]
    for setting in dict.fromkeys(row.of.setting for row in rows):
        mine = {column(row): row for row in rows if row.of.setting == setting}
        first = next(iter(mine.values()))
        cells = [cell(mine[name]) if name in mine else "-" for name in columns]
        lines.append([setting, str(first.of.queries), str(first.seeds), *cells])
    return [f"| {' | '.join(line)} |" for line in lines]
