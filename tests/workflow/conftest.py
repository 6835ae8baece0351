"""The tiny DAG is run once for all tests that look at what it leaves."""

from pathlib import Path

import pytest

from tests.workflow.test_pipeline import snakemake


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the tiny DAG has run."""
    directory = tmp_path_factory.mktemp("tiny")
    run = snakemake(directory, "--show-failed-logs", "results/table3.csv")
    assert run.returncode == 0, run.stdout[-5000:]
    return directory
