"""Ctrl-C, SIGTERM, and two Snakemakes at once."""

import signal
import time
from pathlib import Path

from tests.faults.dag import Dag, Reference, Run, leftovers, outputs
from tests.faults.test_kills import UNDER_WAY

ENDED_S = 60.0  # of a busy machine; 1 s of a quiet one


def under_way(dag: Dag, run: Run, rule: str) -> bool:
    return run.wait_until(lambda: any(dag.directory.glob(UNDER_WAY[rule])))


def none_left(run: Run) -> bool:
    until = time.monotonic() + ENDED_S
    while run.left() and time.monotonic() < until:
        time.sleep(0.1)
    return not run.left()


def test_signals_stop_the_jobs_and_the_next_run_goes_on(
    reference: Reference, tmp_path: Path
) -> None:
    dag = Dag(tmp_path / "dag")
    dag.directory.mkdir()

    run = dag.start()
    assert under_way(dag, run, "extract_video")
    run.signal_all(signal.SIGINT)  # Ctrl-C
    assert run.wait() == 1
    assert none_left(run)
    assert "Traceback" not in run.said()
    assert not dag.locked()

    run = dag.start()
    assert under_way(dag, run, "train_full")
    run.signal_all(signal.SIGTERM)  # a cluster's end of a job
    assert run.wait() == 1
    assert none_left(run)
    assert not dag.locked()
    assert (dag.directory / "runs/synthetic/charades/mktn/full/seed0/resume.safetensors").exists()

    run = dag.start()
    assert run.wait_until(lambda: run.started("evaluate"))
    finished = set(outputs(dag.directory)) & set(reference.outputs)
    run.process.terminate()  # Snakemake alone: it ends what runs and starts nothing more
    run.wait()
    assert none_left(run)
    assert not dag.locked()
    assert (
        "goes on at epoch"
        in (dag.directory / "logs/synthetic/train/charades-full-seed0.log").read_text()
    )
    assert finished <= set(outputs(dag.directory))

    run = dag.start()
    assert run.wait() == 0, run.said()[-5000:]
    assert outputs(dag.directory) == reference.outputs
    assert leftovers(dag.directory) == []


def test_a_second_snakemake_says_so_and_changes_nothing(
    reference: Reference, tmp_path: Path
) -> None:
    dag = Dag(tmp_path / "dag")
    dag.directory.mkdir()
    weights = "data/synthetic/backbones/i3d.safetensors"
    first = dag.start(weights)
    first.wait_until(lambda: first.started("pretrain"))
    held = sorted((dag.directory / ".snakemake" / "locks").iterdir())
    second = dag.start(weights)
    assert second.wait() == 1
    assert "Directory cannot be locked" in second.said()
    assert "no other Snakemake process" in " ".join(second.said().split())
    assert not second.started("pretrain")
    assert sorted((dag.directory / ".snakemake" / "locks").iterdir()) == held
    assert first.process.poll() is None, "the first ended before the second had said anything"
    assert first.wait() == 0, first.said()[-5000:]
    assert outputs(dag.directory)[weights] == reference.outputs[weights]
