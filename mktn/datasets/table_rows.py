"""Rows that a person wrote: a csv with a header, or a JSON list of objects, plain or `.gz`."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mktn.datasets.annotations import read_text
from mktn.documents import load_json
from mktn.errors import UserError

Row = tuple[str, Mapping[str, Any], str]  # where it stands, its cells, why it is unreadable or ""
OTHERS = (";", "\t", "|")  # separators of what programs call csv as well
SHOWN = 100  # characters of a header
KINDS = (".csv", ".json")


def kind_of(path: Path) -> str:
    """The suffix of a file, in lower case, that of what is packed where it is packed."""
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def read_rows(path: Path) -> tuple[tuple[str, ...], list[Row]]:
    """The columns or keys, and the rows in their order; cells of a csv are text.

    Raises UserError where the file is neither kind, or is broken as a whole.
    """
    if kind_of(path) not in KINDS:
        raise UserError("unknown kind of table", where=path, expected=" or ".join(KINDS))
    return (_read_csv if kind_of(path) == ".csv" else _read_json)(path)


def _read_csv(path: Path) -> tuple[tuple[str, ...], list[Row]]:
    reader = csv.DictReader(io.StringIO(read_text(path)), strict=True)
    rows: list[Row] = []
    try:
        columns = tuple(reader.fieldnames or ())
        other = next((mark for mark in OTHERS if len(columns) == 1 and mark in columns[0]), None)
        if other is not None:
            raise UserError(
                "columns are not separated by commas", where=f"{path}, line 1",
                found=f"{other!r} in {columns[0]!r}"[:SHOWN], expected="','",
                do="save the table with commas; a sentence with a comma needs quotes",
            )  # fmt: skip
        for row in reader:
            reason = ""
            if None in row:
                reason = "more fields than columns: a sentence with a comma needs quotes"
            elif None in row.values():
                reason = "fewer fields than columns"
            rows.append((f"{path}, line {reader.line_num}", row, reason))
    except csv.Error as error:
        raise UserError(
            "broken csv", where=f"{path}, line {reader.line_num}", found=error
        ) from error
    return columns, rows


def _read_json(path: Path) -> tuple[tuple[str, ...], list[Row]]:
    try:
        value = load_json(read_text(path))
    except ValueError as error:
        raise UserError("broken JSON", where=path, found=error, expected="JSON") from error
    if not isinstance(value, list):
        raise UserError(
            "wrong JSON", where=path, found=type(value).__name__, expected="a list of objects"
        )
    columns = dict.fromkeys(key for row in value if isinstance(row, dict) for key in row)
    rows: list[Row] = [
        (f"{path}, row {index}", row if isinstance(row, dict) else {},
         "" if isinstance(row, dict) else "no object of keys")
        for index, row in enumerate(value)
    ]  # fmt: skip
    return tuple(columns), rows
