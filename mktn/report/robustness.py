"""`mktn robustness`: trained runs asked in other ways, as csv and Markdown.

The order of a video's sentences shuffled or not told, and one sentence at a time: each run beside
`full` asked in the same way, and beside itself as it is scored elsewhere.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mktn.checksums import read_sealed_json
from mktn.errors import UserError
from mktn.files import write_text
from mktn.report.differences import differences, read_scores
from mktn.report.layouts import titles
from mktn.report.lines import System
from mktn.report.paired_pages import (
    add_runs,
    cell,
    check_one_a_run,
    csv_text,
    interval_fields,
    key_fields,
    metric_name,
)
from mktn.report.results import BASELINES, Interval, Key, Run, check_runs, over_seeds, read_run
from mktn.report.sources import SOURCE_STATEMENTS

FULL = "full"
AS_SCORED = "scored"
# What `mktn evaluate` is told, over the protocol.
WAYS: dict[str, dict[str, Any]] = {
    AS_SCORED: {},
    "shuffled": {"order": "shuffled"},
    "untold": {"order": "none"},
    "alone": {"alone": True},
    "alone-untold": {"alone": True, "order": "none"},
}
MEANINGS = {
    AS_SCORED: "as in the tables, all sentences of a video together",
    "shuffled": "together, their order shuffled",
    "untold": "together, no order told",
    "alone": "one sentence at a time, its place in the annotation still told",
    "alone-untold": "one sentence at a time, no place told, as a user's own sentence is asked",
}
COLUMNS = (
    *("dataset", "model", "variant", "asked", "metric", "n", "iou", "value", "ci_low", "ci_high"),
    *("to_full", "to_full_low", "to_full_high"),
    *("to_as_scored", "to_as_scored_low", "to_as_scored_high"),
    *("queries", "seeds", "source", "features"),
)


@dataclasses.dataclass(frozen=True)
class Row:
    """A metric of one variant asked in one way."""

    way: str
    key: Key
    value: Interval
    to_full: Interval | None
    to_as_scored: Interval | None
    seeds: int
    run: Run  # the first seed's


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `mktn robustness`."""
    add_runs(parser, "metrics.json of each run and way")
    parser.add_argument(
        "--asked", nargs="+", required=True, choices=WAYS, help="of each file of --metrics: how"
    )


def run(arguments: argparse.Namespace) -> None:
    """Read the runs, pair them, write both files."""
    check_one_a_run(arguments, "predictions", "asked")
    read = [
        (_asked(path, way), predictions)
        for path, way, predictions in zip(
            arguments.metrics, arguments.asked, arguments.predictions, strict=True
        )
    ]
    read.sort(key=lambda of_run: of_run[0].seed)
    runs = [one for one, _ in read]
    model = runs[0].model
    ways = [way for way in WAYS if way in set(arguments.asked)]
    variants = dict.fromkeys(_parted(one.variant)[0] for one in runs)
    check_runs(runs, [(model, _joined(variant, way)) for variant in variants for way in ways])
    scores = read_scores(read, arguments.pairs)

    def of_full(system: System) -> System | None:
        variant, way = _parted(system[1])
        return None if variant == FULL else (system[0], _joined(FULL, way))

    def of_itself(system: System) -> System | None:
        variant, way = _parted(system[1])
        return None if way == AS_SCORED else (system[0], _joined(variant, AS_SCORED))

    rows = rows_of(
        runs,
        differences(scores, of_full, arguments.seed),
        differences(scores, of_itself, arguments.seed),
    )
    write_text(as_csv(rows), arguments.csv)
    write_text(as_markdown(rows), arguments.markdown)
    print(f"{len(runs)} runs: {arguments.csv}")


def _asked(path: Path, way: str) -> Run:
    """The run under the name of its variant and way, which its metrics must not deny."""
    read = read_run(path)
    if read.model in BASELINES:
        raise UserError("a baseline is asked nothing", where=path, found=read.model)
    said = read_sealed_json(path)
    expected = {"alone": False, **WAYS[way]}
    found = {name: said[name] for name in expected if name in said}
    if any(found[name] != expected[name] for name in found):
        raise UserError(
            "metrics of a run that was asked in another way", where=path, found=found,
            expected=f"{expected}, as {way} is",
        )  # fmt: skip
    return dataclasses.replace(read, variant=_joined(read.variant, way))


def _joined(variant: str, way: str) -> str:
    return f"{variant}, {way}"


def _parted(name: str) -> tuple[str, str]:
    variant, _, way = name.rpartition(", ")
    return variant, way


def rows_of(
    runs: Sequence[Run],
    to_full: dict[tuple[str, System, Key], Interval],
    to_as_scored: dict[tuple[str, System, Key], Interval],
) -> list[Row]:
    """A row a metric, over seeds: datasets as printed, variants as given, ways as in WAYS."""
    rows = []
    for dataset in titles(one.dataset for one in runs):
        of_dataset = [one for one in runs if one.dataset == dataset]
        variants = list(dict.fromkeys(_parted(one.variant)[0] for one in of_dataset))
        order = [_joined(variant, way) for variant in variants for way in WAYS]
        for name in order:
            mine = [one for one in of_dataset if one.variant == name]
            rows += [
                Row(
                    _parted(name)[1],
                    key,
                    over_seeds([one.metrics[key] for one in mine]),
                    to_full.get((dataset, mine[0].system, key)),
                    to_as_scored.get((dataset, mine[0].system, key)),
                    len(mine),
                    mine[0],
                )
                for key in (mine[0].metrics if mine else ())
            ]
    return rows


def as_csv(rows: Sequence[Row]) -> str:
    """The tidy csv."""
    return csv_text(
        COLUMNS,
        [
            [
                *(row.run.dataset, row.run.model, _parted(row.run.variant)[0], row.way),
                *key_fields(row.key),
                *interval_fields(row.value),
                *interval_fields(row.to_full),
                *interval_fields(row.to_as_scored),
                *(row.run.queries, row.seeds, row.run.source, row.run.features),
            ]
            for row in rows
        ],
    )


def as_markdown(rows: Sequence[Row]) -> str:
    """A section a dataset: R@1 at every IoU and mIoU, once beside `full`, once beside itself."""
    source = rows[0].run.source
    ways = [way for way in WAYS if any(row.way == way for row in rows)]
    seeds = max(row.seeds for row in rows)
    alone = "; another one could change more than these intervals say" if seeds == 1 else ""
    lines = [
        "# Trained runs asked in other ways",
        "",
        f"**Source: {source}.** {SOURCE_STATEMENTS[source]}",
        "",
        *(f"- `{way}`: {MEANINGS[way]}" for way in ways),
        "",
        "No run is trained for it anew. Per cent, with 95 % intervals; behind the semicolon a"
        " difference on the same queries, in points, **bold** where the 95 % interval of a paired"
        " bootstrap over videos excludes 0 (of changes that do nothing, one in twenty would)."
        f" Training seeds: {seeds}{alone}.",
    ]
    for dataset, title in titles(row.run.dataset for row in rows).items():
        mine = [row for row in rows if row.run.dataset == dataset and row.key[1] in (None, 1)]
        for reference, where in (("`full` asked in the same way", 0), ("itself as scored", 1)):
            if not any((row.to_full, row.to_as_scored)[where] for row in mine):
                continue  # full, or the runs as scored, are not among them
            lines += ["", f"## {title}, against {reference}", "", *_grid(mine, where)]
    return "\n".join(lines) + "\n"


def _grid(rows: Sequence[Row], where: int) -> list[str]:
    keys = list(dict.fromkeys(row.key for row in rows))
    lines = [
        f"| variant | asked | {' | '.join(map(metric_name, keys))} |",
        f"| --- | --- | {' | '.join(['---:'] * len(keys))} |",
    ]
    for name in dict.fromkeys(row.run.variant for row in rows):
        of = {row.key: row for row in rows if row.run.variant == name}
        variant, way = _parted(name)
        cells = [
            cell(of[key].value, (of[key].to_full, of[key].to_as_scored)[where]) for key in keys
        ]
        lines.append(f"| {variant} | {way} | {' | '.join(cells)} |")
    return lines
