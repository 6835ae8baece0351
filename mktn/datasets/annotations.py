"""What the annotation formats share: strict files in, one table of pairs out."""

import csv
import gzip
import hashlib
import io
import math
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from mktn.datasets import PARTITIONS
from mktn.datasets.sentences import tokens
from mktn.datasets.video_ids import check_video_ids
from mktn.documents import load_json
from mktn.errors import UserError

SPLITS = PARTITIONS["standard"]
MOST_BYTES = 2**28  # of an annotation file; a packed one could hold anything
PAIRS_SCHEMA: dict[str, Any] = {
    "dataset": pl.String,
    "split": pl.String,
    "video_id": pl.String,
    "pair_id": pl.String,
    "sentence": pl.String,
    "order": pl.Int64,
    "start_s": pl.Float64,
    "end_s": pl.Float64,
    "duration_s": pl.Float64,
}


def held_out(video_id: str) -> bool:
    """Whether a training video belongs to the validation tenth: sha256(video_id) mod 10 = 0."""
    return int.from_bytes(hashlib.sha256(video_id.encode()).digest(), "big") % 10 == 0


def annotation_folder(directory: Path, name: str) -> Path:
    """`directory/name` where it exists, else `directory`. Raises UserError when neither does."""
    if (directory / name).is_dir():
        return directory / name
    if not directory.is_dir():
        raise UserError(
            "annotation folder is missing",
            where=directory,
            expected=f"the folder {name}",
            do="give the folder of the dataset's annotation files",
        )
    return directory


def annotation_file(folder: Path, name: str) -> Path:
    """`folder/name` or `folder/name.gz`. Raises UserError when both are absent."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise UserError(
        "annotation file is missing",
        where=folder / name,
        expected=f"{name} or {name}.gz",
        do="bring the published file there",
    )


def read_text(path: Path) -> str:
    """UTF-8 text of a plain or gzip-compressed file. Raises UserError when it is neither."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            raw = stream.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            raise UserError(
                "file is too large for annotations", where=path,
                expected=f"at most {MOST_BYTES >> 20} MiB, unpacked", do="bring it again",
            )  # fmt: skip
        return raw.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UserError(
            "file cannot be read", where=path, found=error, expected="UTF-8 text, plain or gzip"
        ) from error


def read_lines(path: Path) -> list[str]:
    """The lines of a text file without their ends; empty lines at the end are left out."""
    lines = read_text(path).rstrip("\r\n").split("\n")
    if lines == [""]:
        raise UserError("file is empty", where=path, expected="one annotation a line")
    return [line.rstrip("\r") for line in lines]


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises UserError on other JSON, on NaN, and on a key that stands twice."""

    try:
        value = load_json(read_text(path))
    except ValueError as error:
        raise UserError("broken JSON", where=path, found=error, expected="JSON") from error
    if not isinstance(value, dict) or not value:
        raise UserError(
            "wrong JSON",
            where=path,
            found=type(value).__name__ if value else "nothing",
            expected="an object of videos",
        )
    return value


def matched_lines(
    path: Path, pattern: re.Pattern[str], form: str
) -> Iterator[tuple[str, tuple[str, ...]]]:
    """`(where, groups)` of each line of a file. UserError at a line that is not of the form."""
    for line_number, line in enumerate(read_lines(path), start=1):
        where = f"{path}, line {line_number}"
        match = pattern.fullmatch(line)
        if match is None:
            raise UserError(
                "broken line",
                where=where,
                found=repr(line[:80]),
                expected=form,
                do="mend or remove the line",
            )
        yield where, match.groups()


def read_csv(path: Path, columns: tuple[str, ...]) -> list[tuple[int, dict[str, str]]]:
    """`(line number, row)` of a csv file with a header. Raises UserError on a missing column."""
    reader = csv.DictReader(io.StringIO(read_text(path)), strict=True)
    rows: list[tuple[int, dict[str, str]]] = []
    try:
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise UserError(
                "column is missing",
                where=path,
                found=", ".join(reader.fieldnames or ()) or "an empty file",
                expected=missing[0],
            )
        for row in reader:
            if None in row or None in row.values():
                raise UserError(
                    "broken row",
                    where=f"{path}, line {reader.line_num}",
                    expected=f"{len(reader.fieldnames or ())} fields",
                )
            rows.append((reader.line_num, row))
    except csv.Error as error:
        raise UserError(
            "broken csv", where=f"{path}, line {reader.line_num}", found=error
        ) from error
    return rows


def number(value: object, where: str, what: str, positive: bool = False) -> float:
    """A finite float of a JSON number or of decimal text. Raises UserError on anything else."""
    try:
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError
        result = float(value)
        if not math.isfinite(result) or (positive and result <= 0):
            raise ValueError
    except (ValueError, OverflowError):
        raise UserError(
            f"{what} is no {'positive ' if positive else ''}finite number",
            where=where,
            found=repr(value),
            expected=f"a number for {what}",
        ) from None
    return result


def video_entry(
    path: Path, video_id: str, entry: object, extra: tuple[str, ...]
) -> tuple[list[tuple[float, float]], list[str], dict[str, float]]:
    """Spans, sentences and the numbers `extra` of one video in a JSON annotation file.

    Raises UserError when a key is missing, a value has another type, a number is not finite,
    or spans and sentences are not equally many.
    """
    where = f"{path}, {video_id}"
    names = ("timestamps", "sentences", *extra)
    if not isinstance(entry, dict) or any(name not in entry for name in names):
        found = ", ".join(entry) if isinstance(entry, dict) else type(entry).__name__
        raise UserError("missing key", where=where, found=found, expected=", ".join(names))
    spans, sentences = entry["timestamps"], entry["sentences"]
    if not isinstance(spans, list) or not isinstance(sentences, list):
        raise UserError("wrong JSON", where=where, expected="lists timestamps and sentences")
    if len(spans) != len(sentences):
        raise UserError(
            "spans and sentences differ in number",
            where=where,
            found=f"{len(spans)} timestamps and {len(sentences)} sentences",
            expected="one span a sentence",
        )
    for index, (span, sentence) in enumerate(zip(spans, sentences, strict=True)):
        if not isinstance(span, list) or len(span) != 2 or not isinstance(sentence, str):
            raise UserError(
                "broken pair",
                where=f"{where}, pair {index}",
                found=f"{span!r}, {sentence!r}",
                expected="[start, end] and a sentence",
            )
        for value in span:
            if isinstance(value, str):
                raise UserError(
                    "start or end is no number",
                    where=f"{where}, pair {index}",
                    found=repr(value),
                    expected="[start, end]",
                )
    numbers = {name: number(entry[name], where, name, positive=True) for name in extra}
    checked = [
        (
            number(start, f"{where}, pair {index}", "start"),
            number(end, f"{where}, pair {index}", "end"),
        )
        for index, (start, end) in enumerate(spans)
    ]
    return checked, sentences, numbers


class PairTable:
    """Collects the pairs of one dataset in file order and sorts the unusable ones out."""

    def __init__(self, dataset: str, partition: str = "standard") -> None:
        self.dataset = dataset
        self.splits = PARTITIONS[partition]
        self._rows: dict[str, list[tuple[Any, ...]]] = {split: [] for split in self.splits}
        self._rejected: dict[str, list[tuple[Any, ...]]] = {split: [] for split in self.splits}
        self.clipped = dict.fromkeys(self.splits, 0)  # usable pairs that ended after their video
        self._orders: dict[tuple[str, str], int] = {}

    def add(
        self,
        split: str,
        video_id: str,
        sentence: str,
        start_s: float,
        end_s: float,
        duration_s: float,
        where: str,
    ) -> None:
        """One annotated pair, seconds. Raises UserError on a video id that is no file name."""
        if (split, video_id) not in self._orders:
            check_video_ids((video_id,), where)
        order = self._orders.get((split, video_id), 0)
        self._orders[split, video_id] = order + 1
        sentence = sentence.strip()
        row = (self.dataset, split, video_id, f"{split}/{video_id}#{order}", sentence, order)
        reason = ""
        if not tokens(sentence):
            reason = "sentence without words"
        elif start_s < 0:
            reason = "start_s < 0"
        elif start_s >= end_s:
            reason = "start_s >= end_s"
        elif start_s >= duration_s:
            reason = "start_s >= duration_s"
        if reason:
            self._rejected[split].append((*row, start_s, end_s, duration_s, reason))
        else:
            self.clipped[split] += end_s > duration_s
            self._rows[split].append((*row, start_s, min(end_s, duration_s), duration_s))

    def reject(
        self,
        split: str,
        video_id: str,
        sentence: str,
        start_s: float | None,
        end_s: float | None,
        duration_s: float | None,
        reason: str,
    ) -> None:
        """One annotated pair that is wrong as it stands; None is what is no number, or unknown."""
        order = self._orders.get((split, video_id), 0)
        self._orders[split, video_id] = order + 1
        row = (self.dataset, split, video_id, f"{split}/{video_id}#{order}", sentence, order)
        self._rejected.setdefault(split, []).append((*row, start_s, end_s, duration_s, reason))

    def videos(self, split: str) -> set[str]:
        """The videos of a split, those of rejected pairs included."""
        return {video_id for at, video_id in self._orders if at == split}

    def refuse_shared_videos(self, first: str, second: str, folder: Path) -> None:
        """Raises UserError when two splits that must be disjoint share a video."""
        shared = sorted(self.videos(first) & self.videos(second))
        if shared:
            raise UserError(
                f"{first} and {second} share videos",
                where=folder,
                found=f"{len(shared)} such as {shared[0]}",
                expected="no video in both",
                do="check that the files are not mixed up",
            )

    def frames(self) -> tuple[pl.DataFrame, pl.DataFrame]:
        """`(pairs, rejected)`, in the order train, val, test sets; unknown splits come last."""
        rows = [row for split in self.splits for row in self._rows[split]]
        rejected = [row for of_split in self._rejected.values() for row in of_split]
        return (
            pl.DataFrame(rows, schema=PAIRS_SCHEMA, orient="row"),
            pl.DataFrame(rejected, schema={**PAIRS_SCHEMA, "reason": pl.String}, orient="row"),
        )
