"""The pages on published files: a checkout with a mirror of small ones."""

import time
from pathlib import Path

import pytest

from tests.docs.folders import check, checkout, shell, typed
from tests.docs.rows import MIRROR, Run

pytestmark = pytest.mark.docs


@pytest.fixture(scope="module")
def folder(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its configurations name the registry of the mirror."""
    return checkout(tmp_path_factory.mktemp("mirror"), mirror / "sources.tsv")


@pytest.mark.parametrize("command", MIRROR)
def test_it_does_what_the_page_says(command: str, folder: Path, mirror: Path) -> None:
    row = MIRROR[command]
    assert isinstance(row, Run)
    if row.before:
        assert shell(row.before, folder).returncode == 0
    began_s = time.time()
    done = shell(typed(command, row, mirror), folder)
    assert done.returncode == 0, done.stdout[-5000:]
    check(done.stdout, row, folder, began_s)
