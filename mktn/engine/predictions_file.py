"""Predictions that anyone made, read strictly: csv, JSON or Parquet, one row a moment.

Q queries, n moments a query.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mktn.datasets.sentences import normalised
from mktn.errors import UserError

if TYPE_CHECKING:
    import polars as pl

Row = tuple[str, Mapping[str, Any]]  # where it stands, and its cells
Floats = npt.NDArray[np.float64]
QUERY_COLUMNS = (("pair_id",), ("video_id", "order"), ("video_id", "sentence"))
MOMENT_COLUMNS = ("rank", "start_s", "end_s")
AS_GIVEN = "as given"  # no column nms: whether there was any is not known
MOST_RANK = 10**6


@dataclasses.dataclass(frozen=True)
class Found:
    """What a file answers. `rows` (Q): of the queries asked, the answered ones in the file's
    order, then the missing ones; `moments`: NMS threshold (None without one) -> one (k,2) a
    query, best first, seconds; `left_out`: queries of the split that were answered, not asked."""

    rows: npt.NDArray[np.int64]
    moments: Mapping[float | None, list[Floats]]
    nms: float | str  # the one threshold of the file, "peer", or AS_GIVEN
    missing: int
    left_out: int

    def at(self, iou: float) -> list[Floats]:
        """The ranked moments that are scored at an IoU."""
        if self.nms == "peer":
            return self.moments[peer(iou)]
        return next(iter(self.moments.values()))


def peer(iou: float) -> float:
    """The NMS threshold that goes with an IoU where thresholds follow it (TALL, DRN)."""
    return round(iou - 0.05, 4)


def read_predictions(
    path: Path, asked: "pl.DataFrame", others: "pl.DataFrame", ious: Sequence[float]
) -> Found:
    """The ranked moments of the queries `asked`; `others`: all other pairs that there are.

    Raises UserError at a file or a column that cannot be read, an unknown query or one of another
    split, a number that is none, an end that is not after its start, a rank that stands twice or
    leaves a gap, and at NMS thresholds that are neither one nor the IoUs' own.
    """
    rows, columns = _read(path)
    key = next((names for names in QUERY_COLUMNS if {*names} <= {*columns}), None)
    missing = [name for name in MOMENT_COLUMNS if name not in columns]
    if key is None or missing:
        raise UserError(
            "column is missing", where=path, found=", ".join(columns) or "no column",
            expected=missing[0] if key else "pair_id, or video_id and order or sentence",
        )  # fmt: skip
    queries = _Queries(asked, others, key)
    moments: dict[float | None, dict[str, dict[int, tuple[float, float]]]] = {}
    for where, row in rows:
        pair_id = queries.pair_id(row, where)
        rank = _number(row, "rank", where)
        if rank != int(rank) or not 1 <= rank <= MOST_RANK:
            raise _refused("rank", rank, "a whole number, 1 for the best", where)
        start_s, end_s = _number(row, "start_s", where), _number(row, "end_s", where)
        if end_s <= start_s:
            raise UserError(
                "end_s is not after start_s", where=where, found=f"{start_s:g} to {end_s:g}",
                expected="a moment with a length",
            )  # fmt: skip
        if "score" in columns:
            _number(row, "score", where)
        threshold = round(_number(row, "nms", where), 6) if "nms" in columns else None
        of_query = moments.setdefault(threshold, {}).setdefault(pair_id, {})
        if int(rank) in of_query:
            raise UserError(
                "a rank stands twice", where=where, found=f"rank {int(rank)} of {pair_id}",
                expected="each rank of a query once",
            )  # fmt: skip
        of_query[int(rank)] = (start_s, end_s)
    return _found(path, moments, queries, ious)


def _found(
    path: Path,
    moments: Mapping[float | None, Mapping[str, Mapping[int, tuple[float, float]]]],
    queries: "_Queries",
    ious: Sequence[float],
) -> Found:
    thresholds = [threshold for threshold in moments if threshold is not None]
    nms: float | str = thresholds[0] if thresholds else AS_GIVEN
    if len(thresholds) > 1:
        nms = "peer"
        if {*thresholds} != {peer(iou) for iou in ious}:
            raise UserError(
                "several NMS thresholds", where=f"{path}, nms",
                found=", ".join(f"{t:g}" for t in sorted(thresholds)),
                expected=f"one, or m - 0.05 for each m of {', '.join(f'{m:g}' for m in ious)}",
                do="keep the rows of one, or name its ious in settings",
            )  # fmt: skip
    answered = dict.fromkeys(pair_id for of in moments.values() for pair_id in of)
    scored = [pair_id for pair_id in answered if pair_id in queries.row]
    missing = [pair_id for pair_id in queries.row if pair_id not in answered]
    ranked = {
        threshold: [_ranked(path, pair_id, of.get(pair_id, {})) for pair_id in scored + missing]
        for threshold, of in moments.items()
    }
    rows = np.array([queries.row[pair_id] for pair_id in scored + missing], dtype=np.int64)
    return Found(rows, ranked, nms, len(missing), len(answered) - len(scored))


def _ranked(path: Path, pair_id: str, of_query: Mapping[int, tuple[float, float]]) -> Floats:
    """The moments (k,2) of a query by rank. UserError where a rank between them is missing."""
    ranks = sorted(of_query)
    if ranks and ranks[-1] != len(ranks):
        gap = next(want for want, rank in enumerate(ranks, start=1) if rank != want)
        raise UserError(
            "a rank is missing", where=path, found=f"no rank {gap} of {pair_id}, but {ranks[-1]}",
            expected="1, 2, 3, ...", do="number the ranks of each query again",
        )  # fmt: skip
    return np.array([of_query[rank] for rank in ranks], dtype=np.float64).reshape(-1, 2)


class _Queries:
    """Which pair a row of the file means."""

    def __init__(
        self, asked: "pl.DataFrame", others: "pl.DataFrame", key: tuple[str, ...]
    ) -> None:
        self.key, self.split = key, asked["split"][0]
        self.row = {pair_id: index for index, pair_id in enumerate(asked["pair_id"])}
        self._of_split: dict[tuple[Any, ...], list[str]] = {}
        self._elsewhere: dict[tuple[Any, ...], str] = {}
        for frame in (asked, others):
            for row in frame.iter_rows(named=True):
                split, pair_id = row["split"], row["pair_id"]
                for name in self._names(tuple(row[column] for column in key)):
                    if split == self.split:
                        self._of_split.setdefault(name, []).append(pair_id)
                    else:
                        self._elsewhere[name] = split

    def _names(self, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """A query's names, the exact one first: its sentence, and its sentence's words."""
        if self.key[-1] != "sentence":
            return [values]
        video_id, sentence = values
        return [
            (video_id, "as it is", sentence.strip()),
            (video_id, "in words", normalised(sentence)),
        ]

    def pair_id(self, row: Mapping[str, Any], where: str) -> str:
        """The pair that a row is of. Raises UserError where it is none, or might be several."""
        values = tuple(_key(row, name, where) for name in self.key)
        found = next((self._of_split[n] for n in self._names(values) if n in self._of_split), [])
        if len(found) == 1:
            return found[0]
        said = ", ".join(repr(value)[:80] for value in values)
        if found:
            raise UserError(
                "the video has this sentence several times", where=where, found=said,
                expected=f"one of {', '.join(found[:3])}", do="give pair_id or order",
            )  # fmt: skip
        other = next((self._elsewhere[n] for n in self._names(values) if n in self._elsewhere), "")
        raise UserError(
            "query of another split" if other else "unknown query", where=where,
            found=f"{said} of {other}" if other else said,
            expected=f"a query of {self.split}",
            do=f"leave it out, or score --split {other}" if other else
            "give the pairs.parquet that these are predictions of",
        )  # fmt: skip


def _read(path: Path) -> tuple[list[Row], list[str]]:
    """The rows of the file, and its columns."""
    from mktn.datasets.table_rows import KINDS, kind_of, read_rows

    rows: list[Row] = []
    if not path.is_file():
        raise UserError("no such file", where=path, expected="predictions: csv, JSON or Parquet")
    if kind_of(path) == ".parquet":
        from mktn.features.pairs_file import read_table_of

        frame = read_table_of("evaluate", path)
        columns = frame.columns
        rows += [(f"{path}, row {i}", row) for i, row in enumerate(frame.iter_rows(named=True))]
    elif kind_of(path) in KINDS:
        names, found = read_rows(path)
        columns = list(names)
        for where, row, reason in found:
            if reason:
                raise UserError("broken row", where=where, found=reason)
            rows.append((where, row))
    else:
        raise UserError("unknown kind of file", where=path, expected=".csv, .json or .parquet")
    if not rows:
        raise UserError("predictions without rows", where=path, expected="one row a moment")
    return rows, columns


def _key(row: Mapping[str, Any], name: str, where: str) -> str | int:
    if name == "order":
        order = _number(row, name, where)
        if order != int(order):
            raise _refused(name, order, "a whole number from 0", where)
        return int(order)
    value = row.get(name)
    if not isinstance(value, str):
        raise _refused(name, value, "text", where)
    return value


def _number(row: Mapping[str, Any], name: str, where: str) -> float:
    value = row.get(name)
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        number = float(value)
        if not math.isfinite(number):
            raise ValueError
    except (ValueError, OverflowError):
        raise _refused(name, value, "a finite number", where) from None
    return number


def _refused(name: str, value: object, expected: str, where: str) -> UserError:
    shown = repr(value)
    return UserError(
        f"{name} refused", where=where, found=shown if len(shown) <= 80 else f"{shown[:80]}...",
        expected=expected,
    )  # fmt: skip
