"""What a person is told of a file that did not come: where to get it and where to put it."""

import re
from collections.abc import Iterable
from pathlib import Path

from mktn.datasets.registry import SourceFile

MADE_HERE = re.compile(r"(.*/)?(data/synthetic/backbones/\w+\.safetensors)")
ARCHIVES = (".zip", ".tar", ".tgz", ".gz")


def in_mirror(mirror: str | None) -> str:
    """Where files are to be put by hand, `{path}` being a file's path in the mirror."""
    return f"{mirror}/{{path}}" if mirror else "MIRROR/{path}, and give --config mirror=MIRROR"


def at(place: str, path: str) -> str:
    """`place` for the file of this path; a place that says nothing of `{path}` is a folder."""
    return place.replace("{path}", path) if "{path}" in place else f"{place}/{path}"


def advice(file: SourceFile) -> str:
    """How a person gets the file that no address gave."""
    size = f" ({file.bytes} bytes, sha256 {file.sha256})" if file.sha256 else ""
    if not file.addresses:
        state = {"gone": "is gone", "local": "has no public address"}.get(
            file.status, "needs a form, an account or a browser"
        )
        terms = f", terms at {file.terms}" if file.terms else ""
        return f"it {state}{terms}: {file.note}{size}"
    return f"get it from {file.source}{size}"


def made_by(path: str) -> str:
    """How the pipeline makes weights that stand where it puts its own; "" for other files."""
    made = MADE_HERE.fullmatch(path)
    if made is None:
        return ""
    there = "" if path == made[2] else f", and put it and its .json at {path}"
    make = f"snakemake --cores 2 -- {made[2]}"
    return f"make it in the repository, with its default source: {make}{there}"


def missing(
    files: Iterable[SourceFile], path: str, place: str, dataset: str = "", role: str = ""
) -> str:
    """What to do where `path` of a mirror, a file or a folder, is not there; "" if unknown.

    The row of that path is told; for a folder the rows below it, else the archives of the
    dataset's files of this role, which are named and not unpacked by anything here.
    """
    files = list(files)
    where = at(place, path)
    command = f"mktn download --out {place.partition('/{path}')[0]} --only"
    row = next((file for file in files if file.path == path), None)
    if row is not None and row.addresses:
        return f"{command} {row.name} brings it from {row.addresses[0]} to {where}"
    if row is not None:
        return f"{advice(row)}; put it at {where}"
    below = [file.name for file in files if file.path.startswith(f"{path.rstrip('/')}/")]
    if below:
        return f"{command} {' '.join(below)} brings its files to {where}"
    last = Path(path).name
    if Path(path).suffix:
        return ""
    archives = [
        file
        for file in files
        if (file.dataset, file.role) == (dataset, role) and file.path.endswith(ARCHIVES)
    ]
    alike = [file for file in archives if last in file.name or last in file.file_name]
    named = ", or ".join(f"{file.name} ({file.file_name})" for file in alike or archives)
    if not named:
        return ""
    return (
        f"get the archive {named}, as mktn download --list --only NAME says, "
        f"and unpack it at {where}"
    )
