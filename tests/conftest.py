"""What the tests share: where the real annotations are."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real annotations and vectors; the test is skipped where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("MKTN_SHARED_DATA", default))
    if not (folder / "README.md").is_file():
        pytest.skip(f"real annotations are absent: {folder} (set MKTN_SHARED_DATA)")
    return folder
