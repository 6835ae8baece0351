"""`mktn download`: the annotation files of a dataset from a mirror directory, each verified."""

import argparse
import csv
import dataclasses
import gzip
import hashlib
import shutil
import zlib
from pathlib import Path

from mktn.datasets import DATASETS
from mktn.errors import UserError
from mktn.files import written_beside

SETS = ("standard", "cd", "cg", "human")  # DATASET, else DATASET-SET in the registry
COLUMNS = ("dataset", "path", "sha256", "bytes", "licence", "source")


@dataclasses.dataclass(frozen=True)
class SourceFile:
    """One row of the registry: sha256 and bytes are of the file's content, not of a .gz of it."""

    dataset: str
    path: str  # in the mirror: FOLDER/NAME
    sha256: str
    bytes: int
    licence: str
    source: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `mktn download`."""
    parser.add_argument("--dataset", required=True, choices=DATASETS)
    parser.add_argument(
        "--sets",
        nargs="+",
        default=["standard"],
        choices=SETS,
        help="of the dataset's files; default: standard",
    )
    parser.add_argument("--registry", required=True, type=Path, help="workflow/sources.tsv")
    parser.add_argument("--mirror", required=True, type=Path, help="directory of the files")
    parser.add_argument("--out", required=True, type=Path, help="output: folder of annotations")


def run(arguments: argparse.Namespace) -> None:
    """Copy every file of these sets, plain or .gz as the mirror has it."""
    wanted = {
        arguments.dataset if name == "standard" else f"{arguments.dataset}-{name}"
        for name in arguments.sets
    }
    files = [f for f in read_registry(arguments.registry) if f.dataset in wanted]
    if len({f.dataset for f in files}) < len(wanted):
        raise UserError(
            "the registry has no such files",
            where=arguments.registry,
            found=", ".join(sorted({f.dataset for f in files})) or "none of the dataset",
            expected=", ".join(sorted(wanted)),
        )
    with written_beside(arguments.out) as beside:
        beside.mkdir(parents=True)
        for file in files:
            found = locate(file, arguments.mirror)
            verify(file, found)
            inside = beside / Path(*Path(file.path).parts[1:]).parent
            inside.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(found, inside / found.name)
    print(f"{arguments.dataset}: {len(files)} files verified and copied to {arguments.out}")


def read_registry(path: Path) -> list[SourceFile]:
    """The rows of the registry of sources; UserError where it is missing or a row is broken."""
    try:
        with path.open(encoding="utf-8", newline="") as text:
            rows = list(csv.DictReader(text, delimiter="\t"))
    except OSError as error:
        raise UserError("registry cannot be read", where=path, found=error.strerror) from error
    files = []
    for number, row in enumerate(rows, start=2):
        if tuple(row) != COLUMNS or not str(row["bytes"]).isdigit():
            raise UserError(
                "broken row",
                where=f"{path}, line {number}",
                found=list(row.values()),
                expected=" ".join(COLUMNS),
            )
        texts = {name: str(value) for name, value in row.items() if name != "bytes"}
        files.append(SourceFile(bytes=int(row["bytes"]), **texts))
    return files


def locate(file: SourceFile, mirror: Path) -> Path:
    """The file in the mirror, plain or .gz; UserError where it has neither."""
    for path in (mirror / file.path, mirror / f"{file.path}.gz"):
        if path.is_file():
            return path
    raise UserError(
        "file is missing in the mirror",
        where=mirror / file.path,
        expected=f"that file or {Path(file.path).name}.gz, {file.bytes} bytes, {file.licence}",
        do=f"get it from {file.source} and put it there, or name another --mirror",
    )


def verify(file: SourceFile, path: Path) -> None:
    """UserError where the content is not the registry's."""
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(
            "file cannot be read", where=path, found=error, do="get it again"
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise UserError(
            "file has another content",
            where=path,
            found=f"{len(content)} bytes, sha256 {found}",
            expected=f"{file.bytes} bytes, sha256 {file.sha256}",
            do=f"get it again from {file.source}",
        )
