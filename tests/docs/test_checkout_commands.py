"""The pipeline of the pages, from `make table3` on, in a checkout with a small config.yaml."""

import time
from pathlib import Path

import pytest

from tests.docs.folders import check, checkout, shell, typed
from tests.docs.rows import CHECKOUT, Run

pytestmark = pytest.mark.docs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nothing of it is made yet."""
    return checkout(tmp_path_factory.mktemp("checkout"))


@pytest.mark.parametrize("command", CHECKOUT)
def test_it_does_what_the_page_says(command: str, folder: Path, mirror: Path) -> None:
    row = CHECKOUT[command]
    assert isinstance(row, Run)
    if row.before:
        assert shell(row.before, folder).returncode == 0
    began_s = time.time()
    done = shell(typed(command, row, mirror), folder)
    assert done.returncode == 0, done.stdout[-5000:]
    check(done.stdout, row, folder, began_s)
