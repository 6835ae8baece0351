"""What must hold in a table of an earlier step, whoever wrote it.

A column of one name means the same in all tables, so most rules are of columns.
"""

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from mktn.datasets.video_ids import check_video_ids
from mktn.errors import UserError

TEXT = ("dataset", "split", "video_id", "pair_id", "sentence", "pair_a", "pair_b", "kind")
# Least and most: arrays are made as large as an order, a rank or an annotator says.
WHOLE = {
    "order": (0, 10**6), "group": (0, 2**53), "rank": (1, 10**6), "annotator": (0, 10**4),
}  # fmt: skip
SECONDS = ("start_s", "end_s", "duration_s", "start_percent", "end_percent")
NUMBERS = (*SECONDS, "weight", "nms", "score", "x", "y")
# step -> the columns that tell its rows apart
KEYS = {
    "pairs": ("pair_id",),
    "group": ("pair_id",),
    "evaluate": ("pair_id", "nms", "rank"),
    "reannotations": ("pair_id", "annotator"),
}
NEVER_EMPTY = ("pairs", "group", "synthesize", "reannotations")
# Rows as they were annotated: spans may be reversed, null where they were no numbers, and ids of
# videos, whose files nobody reads, anything.
REJECTED = "rejected"


def check_columns(frame: pl.DataFrame, columns: Sequence[str], path: str | Path, do: str) -> None:
    """Raise UserError where one of the columns is missing."""
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        raise UserError(
            "column is missing", where=path, found=", ".join(frame.columns) or "no column",
            expected=missing[0], do=do,
        )  # fmt: skip


def check_table(frame: pl.DataFrame, step: str, path: str | Path, do: str) -> None:
    """Raise UserError where a table of `mktn STEP` has no row, a value of another type, a null, a
    number that is not finite, a key twice, a span outside its video, or an id that is no name."""
    if step in NEVER_EMPTY and frame.is_empty():
        raise UserError("table without rows", where=path, expected="at least one", do=do)
    for name in frame.columns:
        _check_column(frame[name], step, path, do)
    key = [name for name in KEYS.get(step, ()) if name in frame.columns]
    if key and len(key) == len(KEYS[step]) and frame.select(key).is_duplicated().any():
        row = frame.filter(frame.select(key).is_duplicated()).select(key).row(0)
        raise UserError(
            f"{' and '.join(key)} stand twice" if len(key) > 1 else f"{key[0]} stands twice",
            where=path, found=", ".join(map(repr, row)), expected="each once", do=do,
        )  # fmt: skip
    if "video_id" in frame.columns and step != REJECTED:
        check_video_ids(frame["video_id"].unique(maintain_order=True), f"{path}, video_id")
    if step == "pairs":  # rejected rows are as annotated, and predictions as predicted
        _check_spans(frame, path, do)


def _check_column(column: pl.Series, step: str, path: str | Path, do: str) -> None:
    name, kind = column.name, column.dtype
    fits, expected = True, ""
    if name in TEXT:
        fits, expected = kind == pl.String, "text"
    elif name in WHOLE:
        fits, expected = kind.is_integer(), "whole numbers"
    elif name in NUMBERS:
        fits, expected = kind.is_numeric(), "numbers"
    if not expected:
        return
    where = f"{path}, {name}"
    # A table without rows may have columns without a type.
    if not fits and not (column.is_empty() and kind == pl.Null):
        raise UserError(
            "column of another type", where=where, found=kind, expected=expected, do=do
        )
    if column.has_nulls() and not (step == REJECTED and name in SECONDS):
        row = int(column.is_null().arg_max() or 0)
        raise UserError("value is missing", where=f"{where}, row {row}", expected=expected, do=do)
    wrong = pl.Series(values=[], dtype=pl.Boolean)
    if name in WHOLE:
        least, most = WHOLE[name]
        values = column.cast(pl.Float64)  # small integers cannot be compared with large limits
        wrong, expected = (values < least) | (values > most), f"{least} to {most}"
    elif name in NUMBERS and kind.is_float():
        wrong, expected = ~column.is_finite(), "a finite number"
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise UserError(
            "value refused", where=f"{where}, row {row}", found=column[row], expected=expected,
            do=do,
        )  # fmt: skip


def _check_spans(frame: pl.DataFrame, path: str | Path, do: str) -> None:
    rules = {
        "0 <= start_s < end_s": (pl.col("start_s") >= 0) & (pl.col("start_s") < pl.col("end_s")),
        "duration_s > 0": pl.col("duration_s") > 0,
        "end_s <= duration_s": pl.col("end_s") <= pl.col("duration_s"),
    }
    for rule, holds in rules.items():
        names = [name for name in SECONDS if name in rule]
        if any(name not in frame.columns for name in names):
            continue
        broken = frame.with_row_index("row").filter(~holds)
        if not broken.is_empty():
            values = broken.select("row", *names).row(0, named=True)
            row = values.pop("row")
            found = ", ".join(f"{name} {value:g}" for name, value in values.items())
            raise UserError(
                "span refused", where=f"{path}, row {row}", found=found, expected=rule, do=do
            )
