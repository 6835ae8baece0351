"""Faults done to the tiny DAG. They take minutes: only `make test-faults` runs them."""

import time
from pathlib import Path

import pytest

from tests.faults.dag import Dag, Reference, outputs, seconds_of_rules


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.faults)
            item.add_marker(pytest.mark.timeout(7200))  # a machine may be busy


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """The DAG run without a fault: what it makes, and how long its rules take."""
    dag = Dag(tmp_path_factory.mktemp("reference"))
    began = time.monotonic()
    run = dag.start()
    assert run.wait() == 0, run.said()[-5000:]
    return Reference(
        dag.directory,
        outputs(dag.directory),
        seconds_of_rules(dag.directory),
        time.monotonic() - began,
    )
