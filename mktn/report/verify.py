"""`mktn verify`: every checksum of stores, tables and runs, before a long run or after a fault."""

import argparse
import fnmatch
import io
import json
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mktn.checksums import check, damaged
from mktn.engine import resume
from mktn.engine.finite import CHECKPOINT
from mktn.errors import UserError
from mktn.features.store_checksums import StoreChecksums, is_store

DEFAULT = ("data", "runs")
SHOWN = 5  # files without a checksum that are named
# Ours have a checksum in them.
SEALED = ("*.parquet", "*.safetensors", "config.json", "metrics*.json", "diagnoses.json",
          "efficiency.json")  # fmt: skip


@dataclass(frozen=True)
class Verified:
    """A file: its bytes, what is wrong with it, and whether anything says how it should be."""

    path: Path
    count: int
    error: UserError | None = None
    known: bool = True


def verify(paths: Sequence[Path]) -> Iterator[Verified]:
    """Every file below `paths` that should have a checksum, in order.

    A link to a folder is followed where it is one of `paths` only; hidden files and folders hold
    what is not finished. Raises UserError where a path does not exist.
    """
    for top in paths:
        if not top.exists():
            raise UserError("no such file or folder", where=top, expected="what mktn has written")
        if top.is_file():
            yield _file(top)
            continue
        for name, folders, files in os.walk(top, onerror=_raise):
            folder = Path(name)
            if is_store(folder):
                folders.clear()
                yield from _store(folder)
                continue
            folders[:] = sorted(one for one in folders if not one.startswith("."))
            for file in sorted(files):
                if _has_checksum(file) and not file.startswith("."):
                    yield _file(folder / file)


def _has_checksum(name: str) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in SEALED)


def _store(folder: Path) -> Iterator[Verified]:
    try:
        checksums = StoreChecksums(folder)
    except UserError as error:
        yield Verified(folder, 0, error)
        return
    if not checksums.known:
        yield from _old_store(folder)
        return
    for name in checksums.names():
        try:
            yield Verified(folder / name, checksums.check(name))
        except UserError as error:
            yield Verified(folder / name, 0, error)


def _file(path: Path) -> Verified:
    try:
        if path.name == CHECKPOINT:
            resume.read(path)
            return Verified(path, path.stat().st_size)
        data = path.read_bytes()
        known = check(data, path)
        if not known:
            _opened(data, path)
        return Verified(path, len(data), known=known)
    except UserError as error:
        return Verified(path, 0, error)
    except OSError as error:
        return Verified(path, 0, damaged(path, str(error.strerror), "a file that can be read"))


def _opened(data: bytes, path: Path) -> None:
    """Raise UserError where a file without a checksum is not even whole: the checksum of Parquet
    stands at its end and goes with it."""
    import polars as pl
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        if path.suffix == ".parquet":
            pl.read_parquet(io.BytesIO(data))
        elif path.suffix == ".safetensors":
            load(data)
        else:
            json.loads(data)
    except (ValueError, OSError, pl.exceptions.PolarsError, SafetensorError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise damaged(path, f"{len(data)} bytes, {said[0]}", "a whole file") from error


def _old_store(folder: Path) -> Iterator[Verified]:
    """A store without checksums: whether all of it can at least be read."""
    import zarr

    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if not path.stat().st_size:
            yield Verified(path, 0, damaged(path, "0 bytes", "a whole file", folder))
            return
    manifest = folder / "manifest.parquet"
    if manifest.exists():
        yield _file(manifest)
    try:
        for _, array in zarr.open_group(folder, mode="r").arrays():
            step = max(1, array.chunks[0] * 16)
            for start in range(0, array.shape[0], step):
                array[start : start + step]
    except Exception as error:  # a damaged file may fail in any of Zarr's codecs
        said = str(error).strip().splitlines() or [type(error).__name__]
        wrong = damaged(folder, said[0], "a store that can be read")
        yield Verified(folder, 0, wrong)
        return
    yield Verified(folder, 0, known=False)


def _raise(error: OSError) -> None:
    raise UserError("cannot be read", where=error.filename, found=error.strerror) from error


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `mktn verify`."""
    parser.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH",
        help=f"files, stores or folders; by default {' and '.join(DEFAULT)} of this folder",
    )  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    """A line a damaged file, then a summary. Raises UserError where something is damaged."""
    paths = arguments.paths or [Path(name) for name in DEFAULT if Path(name).exists()]
    if not paths:
        raise UserError(
            "nothing to verify", where=Path.cwd(), expected=" or ".join(DEFAULT),
            do="name what is to be verified",
        )  # fmt: skip
    began = time.perf_counter()
    files = count = bad = 0
    unknown: list[str] = []
    for one in verify(paths):
        count += one.count
        if one.error is not None:
            bad += 1
            print(one.error, flush=True)
        elif not one.known:
            unknown.append(str(one.path))
        else:
            files += 1
    took_s = time.perf_counter() - began
    print(
        f"{files} files are as they were written, {bad} are damaged: {count / 1e6:.1f} MB in "
        f"{took_s:.1f} s, {count / 1e9 / max(took_s, 1e-9):.2f} GB/s"
    )
    if unknown:
        shown = ", ".join(unknown[:SHOWN]) + (", ..." if unknown[SHOWN:] else "")
        print(f"{len(unknown)} have no checksum, so that nothing says how they should be: {shown}")
    if bad:
        # Snakemake misses no file that only finished results were made from, unless asked for it.
        raise UserError(
            f"{bad} damaged files",
            do="delete what the lines say and ask snakemake for it: snakemake --cores N PATH ...",
        )
