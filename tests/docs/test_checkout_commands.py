"""The pipeline of the pages, from `make table3` on, in a checkout with a small config.yaml."""

from pathlib import Path

import pytest

from tests.docs.folders import checkout, run_row
from tests.docs.rows import CHECKOUT

pytestmark = pytest.mark.docs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nothing of it is made yet."""
    return checkout(tmp_path_factory.mktemp("checkout"))


@pytest.mark.parametrize("command", CHECKOUT)
def test_it_does_what_the_page_says(command: str, folder: Path, mirror: Path) -> None:
    run_row(command, CHECKOUT[command], folder, mirror)
