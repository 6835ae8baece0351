"""Faults done to the tiny DAG. They take minutes: only `make test-faults` runs them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.dag import Dag, Reference, Run, outputs, seconds_of_rules


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.faults)
            item.add_marker(pytest.mark.timeout(7200))  # a machine may be busy


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """The DAG run without a fault; with $MKTN_FAULTS_REFERENCE, a folder, made there once."""
    kept = os.environ.get("MKTN_FAULTS_REFERENCE")
    dag = Dag(Path(kept) if kept else tmp_path_factory.mktemp("reference"))
    said = dag.directory.with_suffix(".log")
    if not said.exists():
        dag.directory.mkdir(exist_ok=True)
        run = dag.start()
        assert run.wait() == 0, run.said()[-5000:]
        run.log.rename(said)
    rule_s = seconds_of_rules(dag.directory)
    return Reference(dag.directory, said.read_text(), outputs(dag.directory), rule_s)


@pytest.fixture(autouse=True)
def no_run_outlives_its_test() -> Iterator[None]:
    """A test that fails leaves no Snakemake behind."""
    yield
    while Run.started_by_tests:
        run = Run.started_by_tests.pop()
        if run.process.poll() is None:
            run.kill_all()
