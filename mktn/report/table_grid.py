"""A table as it is shown: its lines, columns, cells and notes, in no format yet.

`markdown` and `latex` write it out; neither decides what a cell holds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mktn.report.layouts import titles
from mktn.report.lines import Layout, System, name_of
from mktn.report.reported import Reported
from mktn.report.results import BASELINES, Key, Run
from mktn.report.rows import Row, two_decimals
from mktn.report.speeds import Speed
from mktn.report.table_notes import (
    dataset_notes,
    deviations,
    protocol,
    seeds_of,
    seeds_sentence,
    speed_note,
)
from mktn.report.table_rows import Printed, printed_lines

Kind = Literal["ours", "difference", "paper"]
PRIOR = ("train-prior", "baseline")
AT_PRIOR = "not above the train prior: the interval of R@1 is not above that of train-prior."


@dataclass(frozen=True)
class Cell:
    """What stands in a cell, as it is written; nothing where `value` is empty.

    `best`: of what is measured in its column, or of what is reported in it, baselines left out.
    `significant`: a difference whose interval excludes 0. `at_prior`: of R@1, the interval is not
    above that of the train prior.
    """

    value: str = ""
    low: str = ""  # of its interval; empty where it has none
    high: str = ""
    best: bool = False
    significant: bool = False
    at_prior: bool = False


@dataclass(frozen=True)
class Column:
    """Measured, its difference to `against`, or reported: never two of them in one column."""

    title: str  # of the metric
    kind: Kind
    key: Key
    against: str = ""
    lower: bool = False  # the lower the better
    scores: bool = True


@dataclass(frozen=True)
class GridLine:
    """A line; `code` is our system's name, empty of a method of the paper alone."""

    name: str
    code: str
    type: str
    group: str  # lines of one group stand together
    baseline: bool
    cells: tuple[Cell, ...]  # one a column


@dataclass(frozen=True)
class Section:
    """What is shown of one dataset."""

    dataset: str
    title: str
    protocol: str  # how it was scored; empty of speed alone
    seeds: tuple[int, ...]
    notes: tuple[str, ...]
    columns: tuple[Column, ...]
    lines: tuple[GridLine, ...]


@dataclass(frozen=True)
class Table:
    """One table of a paper. Notes are marked up as `table_notes` says."""

    layout: Layout
    source: str
    seeds: str  # a sentence; empty of speed alone
    bootstraps: int  # 0 of speed alone
    sections: tuple[Section, ...]
    legend: str
    at_prior: bool  # whether a cell is marked so
    speed_note: str
    deviations: tuple[str, list[str]]

    @property
    def heading(self) -> str:
        """`Table 3: Main ablation study`, of a dataset of one's own without the paper's claims."""
        return self.layout.heading_of(self.source)


def table_of(
    rows: Sequence[Row],
    runs: Sequence[Run],
    speeds: Sequence[Speed],
    layout: Layout,
    systems: Sequence[System],
    reported: Reported,
) -> Table:
    """The table as the paper prints it: a section a dataset, systems down, metrics across."""
    source = (runs[0] if runs else speeds[0]).source
    shown = (*(run.dataset for run in runs), *(speed.dataset for speed in speeds))
    sections = []
    for dataset, title in titles(shown).items():
        of_runs = [run for run in runs if run.dataset == dataset]
        of_speeds = [speed for speed in speeds if speed.dataset == dataset]
        columns = columns_of(layout, reported.keys.get(dataset, ()), of_runs)
        printed = printed_lines(layout, dataset, systems, reported)
        of_rows = [row for row in rows if row.dataset == dataset]
        lines = _lines(of_rows, layout, printed, columns)
        notes = dataset_notes(of_runs, of_speeds, layout)
        sections.append(
            Section(
                dataset, title, protocol(of_runs), tuple(seeds_of(of_runs)), tuple(notes),
                tuple(columns), tuple(lines),
            )
        )  # fmt: skip
    marked = (c for s in sections for line in s.lines for c in line.cells)
    return Table(
        layout=layout,
        source=source,
        seeds=seeds_sentence(runs) if runs else "",
        bootstraps=runs[0].bootstraps if runs else 0,
        sections=tuple(sections),
        legend=layout.legend_of(source),
        at_prior=any(cell.at_prior for cell in marked),
        speed_note=speed_note(layout, source),
        deviations=deviations(layout, source),
    )


def columns_of(layout: Layout, keys: Sequence[Key], runs: Sequence[Run]) -> list[Column]:
    """Measured, its difference, and reported: each in a column of its own, for each metric.

    `keys`: the metrics that the paper prints; what only ours measure stands behind them. Of a
    user's own dataset nobody has printed any: R@n of `runs`, and no column of reported numbers.
    """
    scores = keys or [key for key in (runs[0].metrics if runs else ()) if key[0] == "R"]
    of_speed = {(q.metric, None, None): q for q in layout.quantities}
    columns = []
    for key in dict.fromkeys((*scores, *of_speed)):
        metric, n, iou = key
        quantity = of_speed.get(key)
        title = quantity.title if quantity else f"{metric}@{n}, IoU={iou:g}"
        lower = quantity is not None and quantity.lower
        column = Column(title, "ours", key, lower=lower, scores=quantity is None)
        columns.append(column)
        if runs and layout.against and quantity is None:
            columns.append(replace(column, kind="difference", against=layout.against))
        if key in keys:
            columns.append(replace(column, kind="paper"))
    return columns


def _lines(
    rows: Sequence[Row], layout: Layout, lines: Sequence[Printed], columns: Sequence[Column]
) -> list[GridLine]:
    """Those that have a number; a system that the paper prints twice stands there twice."""
    rows_of = {((row.model, row.variant), row.method, row.key): row for row in rows}
    there = {(row.model, row.variant) for row in rows}
    printed = [line for line in lines if (line.system or ("", "")) in there]
    grid = [
        [
            _CELLS[column.kind](rows_of.get((line.system or ("", ""), line.method, column.key)))
            for column in columns
        ]
        for line in printed
    ]
    competing = [number for number, line in enumerate(printed) if not _is_baseline(line)]
    for at, column in enumerate(columns):
        for number in _best([(i, printed[i], grid[i][at]) for i in competing], column):
            grid[number][at] = replace(grid[number][at], best=True)
        prior = rows_of.get((PRIOR, PRIOR[0], column.key))
        if layout.compares and column.kind == "ours" and column.key[:2] == ("R", 1) and prior:
            for number in competing:
                row = rows_of.get(
                    (printed[number].system or ("", ""), printed[number].method, column.key)
                )
                if row and row.value and prior.value and row.value.ci_low <= prior.value.ci_high:
                    grid[number][at] = replace(grid[number][at], at_prior=True)
    return [
        GridLine(
            line.name,
            name_of(line.system, layout.systems) if line.system else "",
            line.type,
            line.group,
            _is_baseline(line),
            tuple(cells),
        )
        for line, cells in zip(printed, grid, strict=True)
    ]


def _is_baseline(line: Printed) -> bool:
    return line.system is not None and line.system[0] in BASELINES


def _best(held: Sequence[tuple[int, Printed, Cell]], column: Column) -> list[int]:
    """The lines with the best number as written; none where fewer than two systems compete."""
    given = [(number, line, float(cell.value)) for number, line, cell in held if cell.value]
    if (
        column.kind == "difference"
        or len({line.system or line.method for _, line, _ in given}) < 2
    ):
        return []
    best = (min if column.lower else max)(value for _, _, value in given)
    return [number for number, _, value in given if value == best]


def _ours(row: Row | None) -> Cell:
    if row is None or row.value is None:
        return Cell()
    return Cell(*row.numbers())


def _difference(row: Row | None) -> Cell:
    if row is None or row.difference is None:
        return Cell()
    excludes_zero = row.difference.ci_low > 0 or row.difference.ci_high < 0
    return Cell(*two_decimals(row.difference, sign="+"), significant=excludes_zero)


def _paper(row: Row | None) -> Cell:
    return Cell(row.reported if row else "")


_CELLS: dict[Kind, Callable[[Row | None], Cell]] = {
    "ours": _ours,
    "difference": _difference,
    "paper": _paper,
}
