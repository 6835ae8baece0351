"""The csv that a figure is drawn from: rows with numbers in them, of one source."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mktn.datasets.annotations import read_csv
from mktn.errors import UserError

Rows = list[dict[str, Any]]


def read_rows(
    paths: Sequence[Path],
    columns: tuple[str, ...],
    needed: Sequence[str],
    optional: Sequence[str] = (),
) -> Rows:
    """The rows of all files; what is `needed` or `optional` is float, NaN where it is empty.

    Raises UserError where a file is no such csv or has no number where one is needed, where there
    is no row, and where the sources of two rows differ.
    """
    rows: Rows = []
    first: Path | None = None
    for path in paths:
        for line, row in read_csv(path, columns):
            kept: dict[str, Any] = dict(row)
            # Methods that a paper alone has numbers of have no source.
            if row["source"]:
                for name in (*needed, *optional):
                    where = f"{path}, line {line}, {name}"
                    kept[name] = _number(row[name], where, name in needed)
                first = first or path
                if rows and row["source"] != rows[0]["source"]:
                    raise UserError(
                        "figure of several sources",
                        where=f"{path}, line {line}",
                        found=row["source"],
                        expected=f"{rows[0]['source']}, as in {first}",
                        do="draw one figure a source",
                    )
                rows.append(kept)
    if not rows:
        raise UserError(
            "nothing to draw", where=", ".join(map(str, paths)), found="no row", expected="some"
        )
    return rows


def values(rows: Rows, *names: str) -> list[list[float]]:
    """The numbers of the rows, a list a name."""
    return [[row[name] for row in rows] for name in names]


def around(rows: Rows, value: str, low: str, high: str) -> tuple[list[float], list[float]]:
    """How far the interval reaches below and above each value: 0 where there is none."""
    reach = [
        (max(0.0, row[value] - row[low]), max(0.0, row[high] - row[value]))
        if math.isfinite(row[low]) and math.isfinite(row[high])
        else (0.0, 0.0)
        for row in rows
    ]
    return [below for below, _ in reach], [above for _, above in reach]


def _number(text: str, where: str, needed: bool) -> float:
    try:
        number = float(text) if text else math.nan
    except ValueError:
        number = math.inf
    if math.isinf(number) or (needed and math.isnan(number)):
        raise UserError("no number", where=where, found=repr(text), expected="a finite number")
    return number
