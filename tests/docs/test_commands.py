"""Commands of the pages that take a second, in a folder with a tiny run and its data."""

import re
import shlex
import shutil
import time
from pathlib import Path

import pytest

from mktn.cli import main
from tests.docs.folders import check, shell, typed
from tests.docs.pages import ROOT
from tests.docs.rows import QUICK, Run


@pytest.fixture(scope="module")
def folder(pipeline: Path, videos: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/ and runs/ as the pipeline leaves them, and a reader's three videos."""
    here = tmp_path_factory.mktemp("reader")
    (here / "data").symlink_to(pipeline / "data")
    shutil.copytree(pipeline / "runs", here / "runs")
    shutil.copy(ROOT / "config.yaml", here)
    (here / "workflow").symlink_to(ROOT / "workflow")
    for video, name in zip(videos, ("kitchen", "garden", "hall"), strict=False):
        shutil.copy(video, here / f"{name}.mp4")
    return here


@pytest.mark.parametrize("command", QUICK)
def test_it_does_what_the_page_says(
    command: str, folder: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    row = QUICK[command]
    assert isinstance(row, Run)
    line = typed(command, row, mirror)
    began_s = time.time()
    if row.before:
        assert shell(row.before, folder).returncode == 0
    if re.match(r"mktn [^|&;]*$", line) and "--help" not in line:
        monkeypatch.chdir(folder)
        assert main(shlex.split(line)[1:]) == 0
        output = "".join(capfd.readouterr())
    else:
        done = shell(line, folder)
        output = done.stdout
        assert done.returncode == 0, output[-3000:]
    check(output, row, folder, began_s)
