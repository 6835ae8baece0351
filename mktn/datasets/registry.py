"""The registry of sources: one row a published file, where it comes from and what it must be."""

import csv
import dataclasses
import difflib
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mktn.datasets import DATASETS
from mktn.errors import UserError

OWNERS = (*DATASETS, "pretrained")
ROLES = (
    "annotations",
    "labels",
    "splits",
    "annotators",
    "metadata",
    "originals",
    "features",
    "videos",
    "word_vectors",
    "sentence_vectors",
    "weights",
)


@dataclasses.dataclass(frozen=True)
class SourceFile:
    """One row. `sha256` and `bytes` are of the content, also where a mirror has it as `.gz`."""

    name: str
    dataset: str
    role: str
    path: str  # FOLDER/NAME in a mirror; below the output folder FOLDER/ is left out
    url: str  # "" where there is no public address
    mirrors: tuple[str, ...]
    sha256: str  # "" where unknown: recorded on first use
    bytes: int | None
    licence: str
    terms: str
    form: bool  # a form, an account or a browser stands before the file
    status: str  # verified | unverified | gone | local
    note: str
    source: str

    @property
    def file_name(self) -> str:
        """The file's name, without folders."""
        return Path(self.path).name

    @property
    def addresses(self) -> tuple[str, ...]:
        """What may be tried without a person: nothing where a form is needed or all are gone."""
        if self.form or self.status in ("gone", "local"):
            return ()
        return tuple(address for address in (self.url, *self.mirrors) if address)


COLUMNS = tuple(field.name for field in dataclasses.fields(SourceFile))


def read_registry(path: Path, schema: Path | None = None) -> list[SourceFile]:
    """The rows of the registry, checked against the JSON schema (a YAML file).

    `schema` is by default `schemas/sources.schema.yaml` beside the registry. Raises UserError
    naming line and column where a file is missing, a row is broken, or a name or path is twice
    there.
    """
    schema = schema or path.parent / "schemas" / "sources.schema.yaml"
    rows = _read_rows(path)
    validator = _validator(schema)
    for number, row in enumerate(rows, start=2):
        _check(row, validator, f"{path}, line {number}")
    for column in ("name", "path"):
        twice = [value for value, n in Counter(row[column] for row in rows).items() if n > 1]
        if twice:
            raise UserError(f"{column} is there twice", where=path, found=repr(twice[0]))
    return [_file(row) for row in rows]


def select(
    files: Sequence[SourceFile],
    dataset: str | None,
    roles: Sequence[str] | None,
    only: Sequence[str] | None,
) -> list[SourceFile]:
    """The files of a dataset (of all where None) with one of `roles`, or those named `only`.

    Names in `only` count whatever their role. UserError on a name that is not there.
    """
    of_dataset = [file for file in files if dataset in (None, file.dataset)]
    if only:
        named = {file.name: file for file in of_dataset}
        for name in only:
            if name not in named:
                close = difflib.get_close_matches(name, named, n=1)
                raise UserError(
                    "no such file in the registry",
                    where=f"--only {name}" + (f" of {dataset}" if dataset else ""),
                    expected=f"{close[0]!r}?" if close else "one of mktn download --list",
                )
        return [named[name] for name in dict.fromkeys(only)]
    return [file for file in of_dataset if roles is None or file.role in roles]


def rows_sha256(files: Iterable[SourceFile]) -> str:
    """Hash of what decides which bytes are brought and whence: not of notes, terms or licences."""
    rows = [
        (file.name, file.path, file.sha256, file.bytes, file.url, file.mirrors) for file in files
    ]
    return hashlib.sha256(json.dumps(sorted(rows)).encode()).hexdigest()


def megabytes(count: int) -> str:
    """A number of bytes for reading, in kB, MB or GB of 1000."""
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e3:.1f} kB"


def _read_rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as text:
            reader = csv.DictReader(text, delimiter="\t", quoting=csv.QUOTE_NONE, restkey="?")
            rows = list(reader)
            found = tuple(reader.fieldnames or ())
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError("registry cannot be read", where=path, found=error) from error
    if found != COLUMNS:
        raise UserError(
            "other columns",
            where=f"{path}, line 1",
            found=" ".join(found) or "nothing",
            expected=" ".join(COLUMNS),
        )
    return rows


def _validator(schema: Path) -> Any:
    import jsonschema
    import yaml

    try:
        rules = yaml.safe_load(schema.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise UserError("schema cannot be read", where=schema, found=error) from error
    return jsonschema.Draft202012Validator(rules)


def _check(row: dict[str, str], validator: Any, where: str) -> None:
    if set(row) != set(COLUMNS) or None in row.values():
        raise UserError(
            "another number of columns",
            where=where,
            found=sum(value is not None for value in row.values()),
            expected=f"{len(COLUMNS)} between tabs",
        )
    error = next(
        iter(sorted(validator.iter_errors(row), key=lambda e: len(e.absolute_path))), None
    )
    if error is None:
        return
    column = ".".join(map(str, error.absolute_path))
    raise UserError(
        "value refused",
        where=f"{where}, {column}",
        found=repr(error.instance),
        expected=error.schema.get("description", error.message),
    )


def _file(row: dict[str, str]) -> SourceFile:
    texts = {name: row[name] for name in COLUMNS if name not in ("mirrors", "bytes", "form")}
    return SourceFile(
        mirrors=tuple(row["mirrors"].split()),
        bytes=int(row["bytes"]) if row["bytes"] else None,
        form=row["form"] == "yes",
        **texts,
    )
