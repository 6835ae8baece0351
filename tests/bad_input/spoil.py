"""Ways to spoil a file or a folder of the working directory."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

MARK = "it_ran"  # the file that the code in a pickle makes

Spoil = Callable[[], None]


class Malicious:
    """Unpickled, it makes the file MARK in the working directory."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {MARK}",)


def remove(path: str) -> None:
    """Whatever stands there, if anything does."""
    place = Path(path)
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def put(path: str, content: bytes | str) -> Spoil:
    """A file of this content in place of whatever stands there."""

    def spoil() -> None:
        remove(path)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content.encode() if isinstance(content, str) else content)

    return spoil


def gone(path: str) -> Spoil:
    return lambda: remove(path)


def folder(path: str) -> Spoil:
    """An empty folder in place of whatever stands there."""

    def spoil() -> None:
        remove(path)
        Path(path).mkdir(parents=True)

    return spoil


def cut(path: str) -> Spoil:
    """The first half of the file."""

    def spoil() -> None:
        content = Path(path).read_bytes()
        put(path, content[: len(content) // 2])()

    return spoil


def pickled(path: str) -> Spoil:
    return put(path, pickle.dumps(Malicious(), protocol=2))


def other_bytes(path: str) -> Spoil:
    """Neither UTF-8 nor any format."""
    return put(path, bytes(range(255, 127, -1)) * 8)


def table(path: str, change: Callable[[pl.DataFrame], pl.DataFrame]) -> Spoil:
    """A Parquet file changed by `change`."""
    return lambda: change(pl.read_parquet(path)).write_parquet(path)


def document(path: str, change: Callable[[Any], Any]) -> Spoil:
    """A JSON file changed by `change`: the value that it gives, or the one it changed in place."""

    def spoil() -> None:
        value = json.loads(Path(path).read_text())
        changed = change(value)
        text = changed if isinstance(changed, str) else json.dumps(changed or value)
        Path(path).write_text(text)

    return spoil


# What can happen to any file.
DAMAGES: dict[str, Callable[[str], Spoil]] = {
    "missing": gone,
    "a folder in its place": folder,
    "empty": lambda path: put(path, b""),
    "cut in half": cut,
    "no text": other_bytes,
    "a pickle": pickled,
}
