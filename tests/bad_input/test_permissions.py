"""Files that may not be read and folders that may not be written, to a user who is not root.

Root may read and write everything, so the effective user is another one for the command alone.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mktn.cli import main
from tests.bad_input.case import refused_in_one_line
from tests.bad_input.world import command_line

NOBODY = 65534


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """Without the rights of root, which this process has again afterwards."""
    if os.geteuid() != 0:
        yield
        return
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


# command -> what is forbidden, and what the line says
FORBIDDEN = {
    "relate": ("pairs.parquet", 0o000, r"pairs\.parquet: .*[Pp]ermission denied"),
    "resample": ("parts", 0o000, r"parts"),
    "group": ("t.zarr/zarr.json", 0o000, r"t\.zarr"),
    "pairs": ("annotations/train.json", 0o000, r"train\.json: .*Permission denied"),
    "train": ("text.zarr/words/c/0/0", 0o000, r"text\.zarr: array 'words' cannot be read"),
    "evaluate": ("run/model.safetensors", 0o000, r"run: not a trained run.*Permission denied"),
    "import-features": ("features.hdf5", 0o000, r"features\.hdf5"),
    "page": (".", 0o555, r"out: permission denied"),
    "tables": (".", 0o555, r"out: permission denied"),
    "extract-text": (".", 0o555, r"permission denied"),
}


@pytest.mark.parametrize("command", FORBIDDEN)
def test_it_is_one_line(command: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, mode, says = FORBIDDEN[command]
    words = command_line(command)
    assert main(words) == 0  # with all that it imports, which others may not be allowed to read
    for made in sorted(Path("out").rglob("*"), reverse=True):
        made.rmdir() if made.is_dir() else made.unlink()
    Path("out").rmdir()
    for place in (here, *here.rglob("*")):
        place.chmod(0o755 if place.is_dir() else 0o644)
    Path(path).chmod(mode)
    try:
        with nobody():
            refused_in_one_line(words, says, Path(), capsys)
    finally:
        Path(path).chmod(0o755)
    assert not Path("out").exists() or not any(p.is_file() for p in Path("out").rglob("*"))
