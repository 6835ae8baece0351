"""A table's lines in printed order, and its rows: ours, baselines, and the paper's own methods."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mktn.report.layouts import titles
from mktn.report.lines import Layout, Line, System
from mktn.report.reported import Reported
from mktn.report.results import BASELINES, Interval, Key, Run, over_seeds
from mktn.report.rows import Row
from mktn.report.speeds import Speed


@dataclass(frozen=True)
class Printed:
    """A line as it is printed: one of ours, a baseline, or a method of the paper alone."""

    name: str
    type: str
    system: System | None
    method: str
    group: str = ""


def printed_lines(
    layout: Layout, dataset: str, systems: Sequence[System], reported: Reported
) -> list[Printed]:
    """The lines of a dataset in printed order; one of ours may stand on several.

    In a table that compares, the paper's methods stand in its order with ours in their place,
    then ours that it does not have, then the baselines; in others the baselines stand first.
    """
    ours = [line for line in layout.lines if line.system in systems]
    baselines = [
        Printed(model, "", (model, "baseline"), model, "baselines") for model in BASELINES
    ]
    if not layout.compares:
        return [*baselines, *map(_of_line, ours)]
    by_method = {line.method: line for line in ours}
    methods = reported.methods(dataset)
    lines = [
        _of_line(by_method[method], reported.types[dataset, method])
        if method in by_method
        else Printed(method, kind := reported.types[dataset, method], None, method, kind)
        for method in methods
    ]
    alone = [_of_line(line, "measured alone") for line in ours if line.method not in methods]
    return [*lines, *alone, *baselines]


def _of_line(line: Line, group: str | None = None) -> Printed:
    return Printed(
        line.name, line.type, line.system, line.method, line.group if group is None else group
    )


Differences = Mapping[tuple[str, System, Key], Interval]


def table_rows(
    runs: Sequence[Run],
    speeds: Sequence[Speed],
    layout: Layout,
    systems: Sequence[System],
    reported: Reported,
    differences: Differences,
) -> list[Row]:
    """The rows by dataset in printed order, each system once; R by n and IoU before the rest."""
    rows: list[Row] = []
    shown = (*(run.dataset for run in runs), *(speed.dataset for speed in speeds))
    for dataset in titles(shown):
        of_runs = [run for run in runs if run.dataset == dataset]
        of_speeds = [speed for speed in speeds if speed.dataset == dataset]
        lines = printed_lines(layout, dataset, systems, reported)
        for line in {line.system or line.method: line for line in lines}.values():
            scored = [run for run in of_runs if (run.model, run.variant) == line.system]
            fast = [speed for speed in of_speeds if speed.system == line.system]
            if line.system is None:
                rows += _of_the_paper(line, dataset, reported)
            if scored:
                rows += _scores(line, scored, reported, differences)
            if fast:
                rows += _speeds(line, fast[0], layout, reported)
    return rows


def _of_the_paper(line: Printed, dataset: str, reported: Reported) -> list[Row]:
    numbers = {
        key: value
        for (at, method, _, key), value in reported.of_method.items()
        if (at, method) == (dataset, line.method)
    }
    return [
        Row(line.method, line.type, "", "", dataset, key, None, None, 0, value, "", None, "")
        for key, value in numbers.items()
        if value
    ]


def _scores(
    line: Printed, runs: Sequence[Run], reported: Reported, differences: Differences
) -> list[Row]:
    one = runs[0]
    system = one.model, one.variant
    order = sorted(one.metrics, key=lambda k: (k[0] != "R", k[0], k[1] or 0, k[2] or 0))
    return [
        Row(
            line.method,
            line.type,
            *system,
            one.dataset,
            key,
            over_seeds([run.metrics[key] for run in runs]),
            one.queries,
            len(runs),
            reported.of_system.get((one.dataset, system, key), ""),
            one.source,
            differences.get((one.dataset, system, key)),
            one.features,
        )
        for key in order
    ]


def _speeds(line: Printed, speed: Speed, layout: Layout, reported: Reported) -> list[Row]:
    keys: list[Key] = [(quantity.metric, None, None) for quantity in layout.quantities]
    return [
        Row(
            line.method,
            line.type,
            *speed.system,
            speed.dataset,
            key,
            speed.quantities[key[0]],
            speed.queries,
            1,
            reported.of_system.get((speed.dataset, speed.system, key), ""),
            speed.source,
            None,
            "",
        )
        for key in keys
        if key[0] in speed.quantities
    ]
