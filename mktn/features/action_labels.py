"""The human action labels of Charades: classes made of a verb and an object, and intervals.

A simulated recogniser sees each class as its verb plus its object. No sentence is read.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mktn.datasets.annotations import annotation_file, read_csv, read_lines
from mktn.errors import UserError
from mktn.features.simulated_recogniser import LabelledInterval, LabelSet

NO_OBJECT = "o000"

STATEMENT = (
    "simulated from the human action labels of Charades; every Charades-STA span equals an "
    "action interval; a labelled surrogate, not comparable with published numbers"
)


@dataclass(frozen=True)
class ActionClass:
    """One of the 157 classes, as in `Charades_v1_{classes,mapping}.txt`."""

    name: str
    object: str  # "oNNN"
    verb: str  # "vNNN"


def read_labels(directory: str | Path) -> LabelSet:
    """The labelled actions of all videos. Raises UserError on a file that is absent or broken."""
    folder = Path(directory) / "charades_v1"
    classes = read_classes(folder)
    actions = read_actions(folder, classes)
    directions = {
        code: (c.verb,) if c.object == NO_OBJECT else (c.verb, c.object)
        for code, c in classes.items()
    }
    counts = {"classes": len(classes), "actions": sum(map(len, actions.values()))}
    absent = "no row in Charades_v1_{train,test}.csv"
    return LabelSet(directions, actions, STATEMENT, absent, counts)


def read_classes(directory: str | Path) -> dict[str, ActionClass]:
    """Class code -> class, in the order of the file `Charades_v1_classes.txt`.

    Raises UserError when one of the four lists is missing, has a broken line, or names a
    code that another list does not have.
    """
    directory = Path(directory)
    names = _read_list(directory, "Charades_v1_classes.txt")
    mapping = _read_list(directory, "Charades_v1_mapping.txt")
    objects = _read_list(directory, "Charades_v1_objectclasses.txt")
    verbs = _read_list(directory, "Charades_v1_verbclasses.txt")
    classes = {}
    for code, (line, name) in names.items():
        if code not in mapping:
            raise UserError(
                "class without an object and a verb",
                where=f"{directory / 'Charades_v1_classes.txt'}, line {line}",
                found=code,
                expected="a line of Charades_v1_mapping.txt",
            )
        line, pair = mapping[code]
        found_object, _, found_verb = pair.partition(" ")
        if found_object not in objects or found_verb not in verbs:
            raise UserError(
                "unknown object or verb",
                where=f"{directory / 'Charades_v1_mapping.txt'}, line {line}",
                found=repr(pair),
                expected="cNNN oNNN vNNN with codes of the object and verb lists",
            )
        classes[code] = ActionClass(name, found_object, found_verb)
    return classes


def read_actions(
    directory: str | Path, classes: dict[str, ActionClass]
) -> dict[str, tuple[LabelledInterval, ...]]:
    """Video id -> its labelled actions, from `Charades_v1_{train,test}.csv`, plain or .gz.

    An interval written backwards is turned round. A video without actions has ().
    Raises UserError on a missing file or column, a class that is not in `classes`, or a
    field that is not `cNNN start end;...`.
    """
    actions: dict[str, tuple[LabelledInterval, ...]] = {}
    for split in ("train", "test"):
        path = annotation_file(Path(directory), f"Charades_v1_{split}.csv")
        for number, row in read_csv(path, ("id", "actions")):
            where = f"{path}, line {number}, video {row['id']}"
            actions[row["id"]] = tuple(_parse_actions(row["actions"], classes, where))
    return actions


def _parse_actions(
    field: str, classes: dict[str, ActionClass], where: str
) -> Iterator[LabelledInterval]:
    for item in filter(None, field.split(";")):
        parts = item.split()
        try:
            label, start_s, end_s = parts[0], float(parts[1]), float(parts[2])
        except (IndexError, ValueError):
            label, start_s, end_s = "", math.nan, math.nan
        if len(parts) != 3 or not (math.isfinite(start_s) and math.isfinite(end_s)):
            raise UserError(
                "broken actions field", where=where, found=repr(item), expected="cNNN start end"
            )
        if label not in classes:
            raise UserError(
                "unknown action class",
                where=where,
                found=repr(label),
                expected="a class of Charades_v1_classes.txt",
            )
        yield LabelledInterval((label,), min(start_s, end_s), max(start_s, end_s))


def _read_list(directory: Path, name: str) -> dict[str, tuple[int, str]]:
    """Code -> (line number, the rest of the line)."""
    path = annotation_file(directory, name)
    entries = {}
    for number, line in enumerate(read_lines(path), start=1):
        code, _, rest = line.strip().partition(" ")
        if not rest:
            raise UserError(
                "broken line",
                where=f"{path}, line {number}",
                found=repr(line),
                expected="a code, a blank and its name",
            )
        entries[code] = (number, rest)
    return entries
