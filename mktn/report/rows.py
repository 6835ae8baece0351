"""Rows of a table's csv: our systems, baselines, and methods with reported numbers alone."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mktn.report.layouts import DATASET_TITLES
from mktn.report.lines import Layout, Line, System
from mktn.report.reported import Reported
from mktn.report.results import BASELINES, Interval, Key, Run, over_seeds
from mktn.report.speeds import Speed

COLUMNS = (
    "model",
    "variant",
    "dataset",
    "metric",
    "n",
    "iou",
    "value",
    "ci_low",
    "ci_high",
    "queries",
    "seeds",
    "reported",
    "source",
    "difference",
    "difference_low",
    "difference_high",
    "features",
)
# Of tables that hold more than one model; `method` is the paper's name.
METHOD_COLUMNS = ("method", "type")
PER_CENT = ("R", "mIoU")


@dataclass(frozen=True)
class Row:
    """A row of the csv.

    `value` and its interval in per cent where they are scores, the median and its quartiles where
    they are speeds, without an interval where they are exact, None where nothing is measured;
    `reported` as printed or empty; `difference` to the reference in points with its interval,
    None for the reference itself, for baselines, for what is no score, and where the reference
    is absent. A method that the paper alone has numbers of has no model and no variant.
    """

    method: str
    type: str
    model: str
    variant: str
    dataset: str
    key: Key
    value: Interval | None
    queries: int | None
    seeds: int
    reported: str
    source: str
    difference: Interval | None
    features: str  # where they came from, the short form

    def cells(self, layout: Layout) -> list[str]:
        """The fields in the order of `columns_of`; scores with two decimals."""
        metric, n, iou = self.key
        return [
            *((self.method, self.type) if has_methods(layout) else ()),
            self.model,
            self.variant,
            self.dataset,
            metric,
            "" if n is None else str(n),
            "" if iou is None else f"{iou:g}",
            *(self.numbers() if self.value else ("", "", "")),
            "" if self.queries is None else str(self.queries),
            str(self.seeds) if self.value else "",
            self.reported,
            self.source,
            *(two_decimals(self.difference) if self.difference else ("", "", "")),
            self.features,
        ]

    def numbers(self) -> list[str]:
        """The measured value, low and high as they are written."""
        if self.value is None:
            return []
        if self.key[0] in PER_CENT:
            return two_decimals(self.value)
        three = (self.value.value, self.value.ci_low, self.value.ci_high)
        return [significant(number) for number in three]


def has_methods(layout: Layout) -> bool:
    """Whether a table's csv says of which method of the paper a row is."""
    return layout.compares or layout.typed


def columns_of(layout: Layout) -> tuple[str, ...]:
    """The columns of a table's csv."""
    return (*(METHOD_COLUMNS if has_methods(layout) else ()), *COLUMNS)


def two_decimals(interval: Interval, sign: str = "-") -> list[str]:
    """Value, low and high with two decimals; `sign` "+" writes the sign of positive ones too."""
    numbers = (interval.value, interval.ci_low, interval.ci_high)
    # Adding 0.0 turns the -0.00 of a tiny negative number into 0.00.
    return [f"{round(number, 2) + 0.0:{sign}.2f}" for number in numbers]


def significant(number: float, digits: int = 3) -> str:
    """A number of at least 0 with so many significant digits, whole digits kept; NaN is empty."""
    if math.isnan(number):
        return ""
    magnitude = math.floor(math.log10(number)) if number > 0 else 0
    return f"{number:.{max(0, digits - 1 - magnitude)}f}"


@dataclass(frozen=True)
class Printed:
    """A line as it is printed: one of ours, a baseline, or a method of the paper alone."""

    name: str
    type: str
    system: System | None
    method: str


def printed_lines(
    layout: Layout, dataset: str, systems: Sequence[System], reported: Reported
) -> list[Printed]:
    """The lines of a dataset in printed order; one of ours may stand on several.

    In a table that compares, the paper's methods stand in its order with ours in their place,
    then ours that it does not have, then the baselines; in others the baselines stand first.
    """
    ours = [line for line in layout.lines if line.system in systems]
    baselines = [Printed(model, "", (model, "baseline"), model) for model in BASELINES]
    if not layout.compares:
        return [*baselines, *map(_of_line, ours)]
    by_method = {line.method: line for line in ours}
    methods = reported.methods(dataset)
    lines = [
        _of_line(by_method[method])
        if method in by_method
        else Printed(method, reported.types[dataset, method], None, method)
        for method in methods
    ]
    return [*lines, *(_of_line(line) for line in ours if line.method not in methods), *baselines]


def _of_line(line: Line) -> Printed:
    return Printed(line.name, line.type, line.system, line.method)


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
    for dataset in DATASET_TITLES:
        of_runs = [run for run in runs if run.dataset == dataset]
        of_speeds = [speed for speed in speeds if speed.dataset == dataset]
        if not of_runs and not of_speeds:
            continue
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


def as_csv(rows: Sequence[Row], layout: Layout) -> str:
    """The tidy csv with its header; lines end in a line feed on every machine."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns_of(layout))
    writer.writerows(row.cells(layout) for row in rows)
    return text.getvalue()
