"""A folder in which every command line of `world.COMMANDS` works, and fresh copies of it."""

import os
import shutil
from pathlib import Path

import pytest

from tests.bad_input import world


@pytest.fixture(scope="session")
def whole_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    before = Path.cwd()
    os.chdir(folder)
    try:
        world.make(folder)
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def here(whole_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, which is the working directory."""
    copy = tmp_path / "here"
    shutil.copytree(whole_world, copy, symlinks=True)
    monkeypatch.chdir(copy)
    return copy
