"""A case of bad input, and what must hold of what `mktn` makes of each."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mktn.cli import main
from tests.bad_input.spoil import MARK, Spoil
from tests.bad_input.world import command_line

LOGS = ("not_finite.json", "state.json")  # what a training says of itself while it goes on


@dataclasses.dataclass(frozen=True)
class Case:
    """A command line that works, and what is made wrong: a file, an option or the settings.

    says: a regular expression that the one line on stderr matches.
    """

    name: str
    command: str
    says: str
    spoil: Spoil = lambda: None
    settings: Any = None
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def arguments(self) -> list[str]:
        return command_line(self.command, self.settings, **self.options)


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """Each file with its size and time of change; an empty folder for an output is no file."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_size, path.lstat().st_mtime_ns)
        for path in folder.rglob("*")
        if not path.is_dir()
    }


def refused_in_one_line(
    arguments: list[str], says: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status 2, one line that matches, no traceback, nothing written, and nothing run."""
    before = files(folder)
    capsys.readouterr()
    try:
        status: object = main(arguments)
    except SystemExit as stopped:  # as argparse leaves
        status = stopped.code
    error = capsys.readouterr().err
    assert status == 2, error
    assert error.startswith("mktn"), error
    assert error.count("\n") == 1, error
    assert "Traceback" not in error
    assert re.search(says, error), error
    after = files(folder)
    assert {p for p in after if after[p] != before.get(p) and Path(p).name not in LOGS} == set()
    assert set(before) <= set(after)
    assert not Path(MARK).exists()
