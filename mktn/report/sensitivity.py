"""`mktn sensitivity`: what one changed setting of `full` makes of its scores, as csv and Markdown.

Each change is a training of its own; its difference to `full` is on the same queries.
"""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from typing import Any

from mktn.config import read_settings
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
from mktn.report.results import Interval, Key, Run, check_runs, over_seeds, read_run
from mktn.report.sources import SOURCE_STATEMENTS

FULL = "full"
COLUMNS = (
    *("dataset", "setting", "of_full", "changed_to", "metric", "n", "iou"),
    *("value", "ci_low", "ci_high", "difference", "difference_low", "difference_high"),
    *("queries", "seeds", "source", "features"),
)


@dataclasses.dataclass(frozen=True)
class Row:
    """A metric of `full` (no setting) or of one change; `of_full`: the value that was changed."""

    dataset: str
    setting: str
    of_full: str
    changed_to: str
    key: Key
    value: Interval
    difference: Interval | None
    seeds: int
    run: Run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `mktn sensitivity`."""
    add_runs(parser, "metrics.json of full and of each changed run")
    parser.add_argument(
        "--changes", nargs="+", required=True,
        help="of each run of --metrics: full, or what is changed, as sizes.objects=12",
    )  # fmt: skip
    parser.add_argument(
        "--defaults", required=True, help="JSON or a file: dataset -> setting -> value of full"
    )


def run(arguments: argparse.Namespace) -> None:
    """Read the runs, pair each with `full`, write both files."""
    defaults = read_settings(arguments.defaults)
    check_one_a_run(arguments, "predictions", "changes")
    read = [
        (_changed(read_run(path), change), predictions)
        for path, change, predictions in zip(
            arguments.metrics, arguments.changes, arguments.predictions, strict=True
        )
    ]
    read.sort(key=lambda of_run: of_run[0].seed)
    runs = [one for one, _ in read]
    for dataset in dict.fromkeys(one.dataset for one in runs):
        of_dataset = [one for one in runs if one.dataset == dataset]
        check_runs(of_dataset, [("mktn", FULL), *dict.fromkeys(one.system for one in of_dataset)])
        _check_defaults(dataset, of_dataset, defaults)

    def reference(system: System) -> System | None:
        return None if system[1] == FULL else (system[0], FULL)

    found = differences(read_scores(read, arguments.pairs), reference, arguments.seed)
    rows = rows_of(runs, found, defaults)
    write_text(as_csv(rows), arguments.csv)
    write_text(as_markdown(rows), arguments.markdown)
    print(f"{len(runs)} runs: {arguments.csv}")


def _changed(read: Run, change: str) -> Run:
    """The run under the name of its change."""
    setting, equals, value = change.partition("=")
    if change != FULL and not (setting and equals and value):
        raise UserError(
            "not a change", where="--changes", found=change, expected="full, or SETTING=VALUE"
        )
    if read.system != ("mktn", FULL):
        raise UserError(
            "only full is changed", where=read.path, found="/".join(read.system),
            expected="mktn/full",
        )  # fmt: skip
    return dataclasses.replace(read, variant=change)


def _check_defaults(dataset: str, runs: Sequence[Run], defaults: dict[str, Any]) -> None:
    for one in runs:
        setting = one.variant.partition("=")[0]
        if one.variant != FULL and setting not in (defaults.get(dataset) or {}):
            raise UserError(
                "no value of full", where="--defaults", found=json.dumps(defaults.get(dataset)),
                expected=f"{dataset}: {setting}",
            )  # fmt: skip


def rows_of(
    runs: Sequence[Run],
    found: dict[tuple[str, System, Key], Interval],
    defaults: dict[str, Any],
) -> list[Row]:
    """`full` first in each dataset, then the changes in their order; values over seeds."""
    rows = []
    for dataset in titles(one.dataset for one in runs):
        of_dataset = [one for one in runs if one.dataset == dataset]
        names = dict.fromkeys(one.variant for one in of_dataset)
        for name in sorted(names, key=lambda name: name != FULL):
            mine = [one for one in of_dataset if one.variant == name]
            setting, _, value = name.partition("=") if name != FULL else ("", "", "")
            rows += [
                Row(
                    dataset,
                    setting,
                    f"{defaults[dataset][setting]:g}" if setting else "",
                    value,
                    key,
                    over_seeds([one.metrics[key] for one in mine]),
                    found.get((dataset, mine[0].system, key)),
                    len(mine),
                    mine[0],
                )
                for key in mine[0].metrics
            ]
    return rows


def as_csv(rows: Sequence[Row]) -> str:
    """The tidy csv."""
    return csv_text(
        COLUMNS,
        [
            [
                *(row.dataset, row.setting, row.of_full, row.changed_to),
                *key_fields(row.key),
                *interval_fields(row.value),
                *interval_fields(row.difference),
                *(row.run.queries, row.seeds, row.run.source, row.run.features),
            ]
            for row in rows
        ],
    )


def as_markdown(rows: Sequence[Row]) -> str:
    """A section a dataset: R@1 at every IoU and mIoU, and their differences to `full`."""
    source = rows[0].run.source
    seeds = sorted({row.run.seed for row in rows})
    lines = [
        "# Sensitivity of `full` to its settings",
        "",
        f"**Source: {source}.** {SOURCE_STATEMENTS[source]}",
        "",
        "One setting is changed at a time, and `full` trained anew. Per cent, with 95 % intervals;"
        " behind the semicolon the difference to `full` on the same queries, in points, **bold**"
        " where the 95 % interval of a paired bootstrap over videos excludes 0 (of changes that"
        f" do nothing, about one in twenty would). First training seed: {seeds[0]}.",
    ]
    for dataset, title in titles(row.dataset for row in rows).items():
        mine = [row for row in rows if row.dataset == dataset and row.key[1] in (None, 1)]
        keys = list(dict.fromkeys(row.key for row in mine))
        lines += ["", f"## {title}", ""]
        lines += [
            f"| setting | full | changed to | seeds | {' | '.join(map(metric_name, keys))} |",
            f"| --- | ---: | ---: | ---: | {' | '.join(['---:'] * len(keys))} |",
        ]
        for setting, value in dict.fromkeys((row.setting, row.changed_to) for row in mine):
            of = {
                row.key: row for row in mine if (row.setting, row.changed_to) == (setting, value)
            }
            first = next(iter(of.values()))
            named = [f"`{setting}`" if setting else "`full`", first.of_full or "-", value or "-"]
            cells = " | ".join(cell(of[key].value, of[key].difference) for key in keys)
            lines.append(f"| {' | '.join(named)} | {first.seeds} | {cells} |")
    return "\n".join(lines) + "\n"
