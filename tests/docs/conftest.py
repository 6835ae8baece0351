"""Small published files, made once, and the tiny run of tests/grounder."""

from pathlib import Path

import pytest

from tests.docs import folders
from tests.grounder.conftest import pipeline, videos

__all__ = ["mirror", "pipeline", "videos"]


@pytest.fixture(scope="session")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small published files with a registry."""
    return folders.mirror(tmp_path_factory.mktemp("mirror"))
