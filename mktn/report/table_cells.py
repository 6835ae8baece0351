"""The columns of a table and what stands in their cells, in no format yet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mktn.report.lines import Layout, System
from mktn.report.results import BASELINES, Key, Run
from mktn.report.rows import Row, two_decimals
from mktn.report.table_rows import Printed

Kind = Literal["ours", "difference", "paper"]
PRIOR = ("train-prior", "baseline")
AT_PRIOR = "not above the train prior: the intervals overlap, or it is below."

RowsOf = Mapping[tuple[System, str, Key], Row]  # by system, method and metric


@dataclass(frozen=True)
class Cell:
    """What stands in a cell, as it is written; nothing where `value` is empty.

    `best`: of what is measured in its column, or of what is reported in it, baselines left out.
    `significant`: a difference whose interval, as it is written, excludes 0. `at_prior`: of R@n,
    the interval is not above that of the train prior: it overlaps it, or is below it.
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


def columns_of(layout: Layout, keys: Sequence[Key], runs: Sequence[Run]) -> list[Column]:
    """Measured, its difference, and reported: each in a column of its own, for each metric.

    `keys`: the metrics that the paper prints; what only ours measure stands behind them. Of a
    user's own dataset nobody has printed any: R@n of `runs`, and no column of reported numbers.
    """
    scores = keys or [key for key in (runs[0].metrics if runs else ()) if key[0] == "R"]
    of_speed: dict[Key, str] = {(q.metric, None, None): q.title for q in layout.quantities}
    lower = {q.metric for q in layout.quantities if q.lower}
    columns = []
    for key in dict.fromkeys((*scores, *of_speed)):
        metric, n, iou = key
        title = of_speed.get(key) or f"{metric}@{n}, IoU={iou:g}"
        column = Column(title, "ours", key, lower=metric in lower, scores=key not in of_speed)
        columns.append(column)
        if runs and layout.against and column.scores:
            columns.append(replace(column, kind="difference", against=layout.against))
        if key in keys:
            columns.append(replace(column, kind="paper"))
    return columns


def is_baseline(line: Printed) -> bool:
    """Whether a line is of a baseline, which competes with none."""
    return line.system is not None and line.system[0] in BASELINES


def column_cells(column: Column, lines: Sequence[Printed], rows: RowsOf) -> list[Cell]:
    """The cells of one column, one a line."""
    found = [rows.get((line.system or ("", ""), line.method, column.key)) for line in lines]
    cells = [_cell(column.kind, row) if row else Cell() for row in found]
    for at in _best(column, lines, cells):
        cells[at] = replace(cells[at], best=True)
    prior = rows.get((PRIOR, PRIOR[0], column.key))
    if column.kind == "ours" and column.key[0] == "R":
        for at, (line, row) in enumerate(zip(lines, found, strict=True)):
            if not is_baseline(line) and _not_above(row, prior):
                cells[at] = replace(cells[at], at_prior=True)
    return cells


def _cell(kind: Kind, row: Row) -> Cell:
    if kind == "paper":
        return Cell(row.reported)
    if kind == "ours":
        value, low, high = row.numbers() or ("", "", "")
        return Cell(value, low, high)
    if row.difference is None:
        return Cell()
    value, low, high = two_decimals(row.difference, sign="+")
    # As it is written, so that figures, which are drawn from the csv, say the same.
    excludes_zero = float(low) > 0 or float(high) < 0
    return Cell(value, low, high, significant=excludes_zero)


def _best(column: Column, lines: Sequence[Printed], cells: Sequence[Cell]) -> list[int]:
    """Where the best number stands, as written; nowhere where fewer than two systems compete."""
    if column.kind == "difference":
        return []
    given = {
        at: float(cell.value)
        for at, (line, cell) in enumerate(zip(lines, cells, strict=True))
        if cell.value and not is_baseline(line)
    }
    if len({lines[at].system or lines[at].method for at in given}) < 2:
        return []
    best = (min if column.lower else max)(given.values())
    return [at for at, number in given.items() if number == best]


def _not_above(row: Row | None, prior: Row | None) -> bool:
    if row is None or prior is None or row.value is None or prior.value is None:
        return False
    # As they are written, for the same reason.
    return float(row.numbers()[1]) <= float(prior.numbers()[2])
