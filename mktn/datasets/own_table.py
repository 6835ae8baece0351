"""A user's own dataset: a csv or JSON table of videos, sentences and spans.

A csv file has a header; a JSON file is a list of objects. Columns or keys: `video` (an id, or the
name of its file), `sentence`, `start_s`, `end_s`, and, where they are known, `split` (train, val
or test) and `duration_s`. A row that is wrong is rejected with its reason; a table that is wrong
as a whole raises UserError.
"""

import dataclasses
import difflib
import hashlib
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import polars as pl

from mktn.datasets import check_own_name
from mktn.datasets.annotations import SPLITS, PairTable, number
from mktn.datasets.table_rows import Row, read_rows
from mktn.datasets.video_ids import VIDEO_SUFFIXES, names_a_file
from mktn.errors import UserError

NEEDED = ("video", "sentence", "start_s", "end_s")
COLUMNS = (*NEEDED, "split", "duration_s")
THOUSANDTHS = 1000
FIRST = 3  # rejected rows that are told


@dataclasses.dataclass(frozen=True)
class Fractions:
    """Of the videos, for a table without a column `split`: thousandths that make 1."""

    train: float = 0.7
    val: float = 0.1
    test: float = 0.2

    def __post_init__(self) -> None:
        given = (self.train, self.val, self.test)
        whole = [round(fraction * THOUSANDTHS) for fraction in given]
        exact = all(abs(f * THOUSANDTHS - w) < 1e-6 for f, w in zip(given, whole, strict=True))
        if not exact or min(whole) < 0 or sum(whole) != THOUSANDTHS:
            raise ValueError(f"fractions {given} are no thousandths of at least 0 that make 1")

    def split(self, video_id: str) -> str:
        """By sha256(video_id) mod 1000, the hash as one big-endian integer: val, test, train."""
        digest = hashlib.sha256(video_id.encode("utf-8", "replace")).digest()
        place = int.from_bytes(digest, "big") % THOUSANDTHS
        val = round(self.val * THOUSANDTHS)
        test = val + round(self.test * THOUSANDTHS)
        return "val" if place < val else "test" if place < test else "train"


@dataclasses.dataclass(frozen=True)
class OwnTable:
    """The rows of a file in its order, as they stand; `unread`: columns that mean nothing here."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    unread: tuple[str, ...]

    def video_ids(self) -> list[str]:
        """The videos that the rows name, each once, those alone that can name a file."""
        found = dict.fromkeys(video_id(cells.get("video")) for _, cells, _ in self.rows)
        return [name for name in found if names_a_file(name)]

    def has_durations(self) -> bool:
        """Whether any row says how long its video is."""
        return any(not _empty(cells.get("duration_s")) for _, cells, _ in self.rows)

    def undated(self) -> list[str]:
        """The videos of rows without a duration."""
        found = {
            video_id(cells.get("video"))
            for _, cells, reason in self.rows
            if not reason and _empty(cells.get("duration_s"))
        }
        return [name for name in self.video_ids() if name in found]


def read(path: Path) -> OwnTable:
    """The table of a `.csv` or `.json` file, plain or `.gz`.

    Raises UserError where the file is neither, lacks a column or is without rows.
    """
    if not path.is_file():
        raise UserError(
            "no such table", where=path, expected="a csv or JSON file", do="give its path"
        )
    columns, rows = read_rows(path)
    if rows or columns:
        _check_columns(path, columns)
    if not rows:
        raise UserError("table without rows", where=path, expected="one row a sentence")
    unread = tuple(name for name in columns if name not in COLUMNS)
    return OwnTable(path, columns, tuple(rows), unread)


def pairs_of(
    dataset: str,
    table: OwnTable,
    fractions: Fractions,
    durations_s: Mapping[str, float],
    broken: Mapping[str, str],
) -> PairTable:
    """The pairs of the table. durations_s: video_id -> what was measured, for rows that say none.

    broken: video_id -> why its file cannot be used. Raises UserError where no row is usable, where
    two splits share a video, and where splits that were made by the hash lack videos.
    """
    check_own_name(dataset, "--dataset")
    pairs = PairTable(dataset)
    said_s: dict[str, float] = {}
    by_column = "split" in table.columns
    places: dict[str, str] = {}  # pair_id -> where its row stands
    orders: Counter[tuple[str, str]] = Counter()
    for where, cells, reason in table.rows:
        name = video_id(cells.get("video"))
        split = _text(cells.get("split")) if by_column else fractions.split(name)
        numbers = {key: _number(cells.get(key)) for key in ("start_s", "end_s", "duration_s")}
        if _empty(cells.get("duration_s")):
            numbers["duration_s"] = durations_s.get(name)
        reason = reason or _wrong(cells, name, split, numbers, broken)
        start_s, end_s, duration_s = numbers.values()
        if not reason and duration_s != said_s.setdefault(name, duration_s or 0.0):
            reason = f"duration_s differs within the video: {said_s[name]:g} before"
        sentence = _text(cells.get("sentence"))
        places[f"{split}/{name}#{orders[split, name]}"] = where.removeprefix(f"{table.path}, ")
        orders[split, name] += 1
        if reason or start_s is None or end_s is None or duration_s is None:
            pairs.reject(split, name, sentence, start_s, end_s, duration_s, reason)
        else:
            pairs.add(split, name, sentence, start_s, end_s, duration_s, where)
    for first, second in combinations(SPLITS, 2):
        pairs.refuse_shared_videos(first, second, table.path)
    _refuse_empty(pairs, table, fractions, places)
    return pairs


def video_id(cell: object) -> str:
    """The id of a cell `video`: what it says, without the suffix of a video file."""
    name = _text(cell)
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in VIDEO_SUFFIXES else name


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    twice = [name for name in columns if list(columns).count(name) > 1]
    if twice:
        raise UserError("column stands twice", where=path, found=repr(twice[0]))
    for name in COLUMNS:
        if name in columns:
            continue
        meant = [other for other in columns if other not in COLUMNS and _alike(other, name)]
        if name in NEEDED or meant:
            raise UserError(
                "column is missing" if name in NEEDED else "column of another name",
                where=path,
                found=repr(meant[0]) if meant else ", ".join(map(str, columns)) or "none",
                expected=repr(name),
                do="rename it" if meant else "",
            )


def _alike(given: str, name: str) -> bool:
    """Whether a column of another name is likely meant: `Split`, `start`, `video_id`."""
    plain = given.strip().lower()
    usual = {"video_id": "video", "start": "start_s", "end": "end_s", "duration": "duration_s"}
    return usual.get(plain, plain) == name or bool(
        difflib.get_close_matches(plain, [name], cutoff=0.85)
    )


def _wrong(
    cells: Mapping[str, Any],
    name: str,
    split: str,
    numbers: Mapping[str, float | None],
    broken: Mapping[str, str],
) -> str:
    """Why a row cannot be used, or ""; what its numbers say together is PairTable's to judge."""
    if not name:
        return "no video"
    if not names_a_file(name) or not _whole(cells["video"]):
        return "video id cannot name a file"
    if split not in SPLITS:
        return f"unknown split: {split[:40]!r}"
    if not isinstance(cells.get("sentence"), str):
        return "no sentence"
    if not _whole(cells["sentence"]):
        return "sentence with half a character"
    for key in ("start_s", "end_s"):
        if numbers[key] is None:
            return f"{key} is no number"
    if name in broken:
        return f"broken video: {broken[name]}"
    if _empty(cells.get("duration_s")) and numbers["duration_s"] is None:
        return "no duration_s"
    if numbers["duration_s"] is None or numbers["duration_s"] <= 0:
        return "duration_s is no number above 0"
    return ""


def _refuse_empty(
    pairs: PairTable, table: OwnTable, fractions: Fractions, places: Mapping[str, str]
) -> None:
    usable, rejected = pairs.frames()
    if usable.is_empty():
        counts = rejected.group_by("reason").len()
        reason, count = counts.sort(["len", "reason"], descending=[True, False]).row(0)
        raise UserError(
            "no usable row",
            where=table.path,
            found=f"{rejected.height} that are rejected, {count} for: {reason}",
            expected="at least one",
            do="mend the table",
        )
    if "split" not in table.columns:
        videos = usable["video_id"].n_unique()
        for split in SPLITS:
            if getattr(fractions, split) and split not in usable["split"]:
                raise UserError(
                    f"no usable video falls into {split}",
                    where=table.path,
                    found=f"{videos} video{'' if videos == 1 else 's'}{_first(rejected, places)}",
                    do=f"{'' if rejected.is_empty() else 'mend the rows, or '}add videos,"
                    " a column split, or other settings.fractions",
                )


def _first(rejected: pl.DataFrame, places: Mapping[str, str]) -> str:
    """The first rejected rows of the table and why, in brackets; "" where there is none."""
    if rejected.is_empty():
        return ""
    reasons = dict(rejected.select("pair_id", "reason").iter_rows())
    said = [f"{place}: {reasons[pair]}" for pair, place in places.items() if pair in reasons]
    more = ["..."] if said[FIRST:] else []
    rows = f"{len(said)} rejected row{'' if len(said) == 1 else 's'}"
    return f", and {rows} ({'; '.join([*said[:FIRST], *more])})"


def _text(cell: object) -> str:
    """A cell as text that can be stored, "" for what is none; of half a character, a `?`."""
    if not isinstance(cell, str):
        return ""
    return cell.strip().encode("utf-8", "replace").decode("utf-8")


def _whole(text: str) -> bool:
    """Whether text has no half of a surrogate pair, which JSON may hold and UTF-8 may not."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _empty(cell: object) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _number(cell: object) -> float | None:
    """A finite number of a cell, or None."""
    try:
        value = number(cell.strip() if isinstance(cell, str) else cell, "", "")
    except UserError:
        return None
    return value if math.isfinite(value) else None
