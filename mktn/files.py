"""Files are written beside their target and renamed when whole."""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def written_beside(target: str | Path) -> Iterator[Path]:
    """A path beside `target` to write a file or a directory to; renamed when the block succeeds.

    When the block fails nothing is left of it and whatever stood at `target` still stands.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    _remove(beside)
    try:
        yield beside
        if target.is_dir() and not target.is_symlink():
            old = target.with_name(f".{target.name}.{os.getpid()}.old")
            target.rename(old)
            beside.rename(target)
            _remove(old)
        else:
            os.replace(beside, target)
    except BaseException:
        _remove(beside)
        raise


def write_text(text: str, target: str | Path) -> None:
    """Write UTF-8 text to `target` in one step."""
    with written_beside(target) as beside:
        beside.write_text(text, encoding="utf-8")


def write_json(value: object, target: str | Path) -> None:
    """Write indented JSON with a last newline to `target` in one step; NaN is refused."""
    write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", target)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
