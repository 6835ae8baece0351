"""The pages on published files: a checkout with a mirror of small ones."""

from pathlib import Path

import pytest

from tests.docs.folders import checkout, run_row
from tests.docs.rows import MIRROR

pytestmark = pytest.mark.docs


@pytest.fixture(scope="module")
def folder(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its configurations name the registry of the mirror."""
    return checkout(tmp_path_factory.mktemp("mirror"), mirror / "sources.tsv")


@pytest.mark.parametrize("command", MIRROR)
def test_it_does_what_the_page_says(command: str, folder: Path, mirror: Path) -> None:
    run_row(command, MIRROR[command], folder, mirror)
