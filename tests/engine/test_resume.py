"""A training that was stopped goes on to the bytes of one that was not."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mktn.cli import main
from mktn.engine import train
from mktn.engine.fit import Training
from mktn.engine.interrupts import Interrupts
from mktn.engine.resume import Checkpointer, read
from tests.engine.runs import CHECKPOINT, command, names, settings, whole

Ask = Callable[[Training], None]


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Callable[[Ask], None]:
    """Do something wherever the next training may be stopped."""

    def set_up(ask: Ask) -> None:
        class Asked(Checkpointer):
            def between(self, training: Training) -> None:
                ask(training)
                super().between(training)

        monkeypatch.setattr(train, "Checkpointer", Asked)

    return set_up


@pytest.fixture(scope="module")
def uninterrupted(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    run = tmp_path_factory.mktemp("uninterrupted")
    assert main(command(small_dataset, run, settings())) == 0
    found = whole(run)
    assert len(found["log"]["epoch"]) < 9, "it is to end early"
    return found


@pytest.fixture
def places(small_dataset: Path, tmp_path: Path, between: Callable[[Ask], None]) -> list[Any]:
    """Epoch, batches done and whether it validates, wherever a training may be stopped."""
    found: list[Any] = []

    def note(training: Training) -> None:
        at = training.progress
        found.append((at.epoch, at.position, not training.network.training))

    between(note)
    assert main(command(small_dataset, tmp_path / "counted", settings())) == 0
    return found


def test_a_run_stopped_anywhere_goes_on_to_the_same_bytes(
    small_dataset: Path,
    tmp_path: Path,
    uninterrupted: dict[str, Any],
    places: list[Any],
    between: Callable[[Ask], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert any(validates for _, _, validates in places)
    batches = max(position for _, position, _ in places)
    # The whole of the second epoch, its validation included, and both ends.
    chosen = [n for n, (epoch, _, _) in enumerate(places) if epoch == 1]
    assert {places[n][1] for n in chosen} == set(range(1, batches + 1))
    for number in (0, *chosen, len(places) - 1):
        run = tmp_path / f"run{number}"
        left = [None] * number

        def ask(training: Training, left: list[None] = left) -> None:
            if not left:
                signal.raise_signal(signal.SIGTERM)
            left[:] = left[1:]

        between(ask)
        with pytest.raises(SystemExit) as stopped:
            main(command(small_dataset, run, settings()))
        assert stopped.value.code == 143
        assert names(run) == {CHECKPOINT}
        line = capsys.readouterr().err.splitlines()[-1]
        epoch = places[number][0]
        assert line.startswith(f"stopped by SIGTERM at epoch {epoch}, step "), line
        assert line.endswith(f"saved in {run / CHECKPOINT}; the same command goes on from there")
        between(lambda training: None)
        assert main(command(small_dataset, run, settings())) == 0
        assert capsys.readouterr().err.startswith(f"goes on at epoch {epoch}, step ")
        assert whole(run) == uninterrupted, places[number]


def test_a_run_stopped_again_and_again_goes_on_to_the_same_bytes(
    small_dataset: Path,
    tmp_path: Path,
    uninterrupted: dict[str, Any],
    between: Callable[[Ask], None],
) -> None:
    run, statuses = tmp_path / "run", []
    while 0 not in statuses:
        calls = []

        def ask(
            training: Training, calls: list[int] = calls, at: int = 3 + len(statuses) % 4
        ) -> None:
            calls.append(1)
            if len(calls) == at:
                signal.raise_signal(signal.SIGINT)

        between(ask)
        try:
            statuses.append(main(command(small_dataset, run, settings())))
        except SystemExit as stopped:
            statuses.append(stopped.code)
    assert statuses == [130] * 4 + [0]
    assert whole(run) == uninterrupted


@pytest.mark.parametrize(
    ("model", "variant", "sizes"),
    [
        ("mktn", "wo_csm", {}),
        ("mktn", "wo_avm", {}),
        ("ianet", "full", {"windows": [1, 2, 4], "window_frames": 5}),
        ("tan2d", "plus_mktn", {"cells": 4, "counts": [4], "kernel": 3, "layers": 1}),
        # Batch norm's statistics are in the checkpoint, and in the weights that are kept.
        ("mmn", "plus_mktn", {"cells": 4, "counts": [4], "kernel": 3, "layers": 1, "joint": 8}),
        ("lcnet", "plus_mktn", {"cells": 4, "counts": [4], "clip": 3}),
    ],
)
def test_a_run_without_learned_constants_goes_on_too(
    small_dataset: Path,
    tmp_path: Path,
    between: Callable[[Ask], None],
    model: str,
    variant: str,
    sizes: dict[str, Any],
) -> None:
    given = settings(
        model=model, variant=variant, losses={}, train={"epochs": 3, "validate_every": 2}
    )
    given["sizes"] = given["sizes"] | sizes
    assert main(command(small_dataset, tmp_path / "a", given)) == 0

    def ask(training: Training) -> None:
        if training.progress.step == 7:
            signal.raise_signal(signal.SIGTERM)

    between(ask)
    with pytest.raises(SystemExit):
        main(command(small_dataset, tmp_path / "b", given))
    between(lambda training: None)
    assert main(command(small_dataset, tmp_path / "b", given)) == 0
    assert whole(tmp_path / "a") == whole(tmp_path / "b")


def test_a_real_process_killed_stopped_and_warned_ends_with_the_same_bytes(
    small_dataset: Path, tmp_path: Path
) -> None:
    given = settings(train={"epochs": 16, "patience": 16})
    assert main(command(small_dataset, tmp_path / "whole", given)) == 0
    run = tmp_path / "run"

    def process(minutes: float = 60) -> subprocess.Popen[str]:
        start = "import sys; from mktn.cli import main; sys.exit(main())"
        arguments = command(small_dataset, run, given, minutes)
        return subprocess.Popen(
            [sys.executable, "-c", start, *arguments], stderr=subprocess.PIPE, text=True
        )

    def said(running: subprocess.Popen[str], what: str) -> str:
        for line in running.stderr:
            if what in line:
                return line
        raise AssertionError(f"{what!r} was not said")

    killed = process(minutes=0)
    while not (run / CHECKPOINT).exists():  # saved after each step
        assert killed.poll() is None
        time.sleep(0.005)
    killed.kill()
    killed.communicate()
    step = read(run / CHECKPOINT)[1]["training"]["progress"]["step"]
    warned = process()
    assert f"step {step} of" in said(warned, "goes on at epoch")
    warned.send_signal(signal.SIGUSR1)
    assert f"in {run / CHECKPOINT}" in said(warned, "saved epoch")
    warned.terminate()
    assert "stopped by SIGTERM" in warned.communicate()[1]
    assert warned.returncode == 143
    assert main(command(small_dataset, run, given)) == 0
    assert whole(run) == whole(tmp_path / "whole")


def test_the_handlers_are_those_from_before() -> None:
    asked = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in asked]
    with Interrupts():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in asked] == before


def test_a_second_interrupt_does_not_wait() -> None:
    with Interrupts() as asked:
        signal.raise_signal(signal.SIGINT)
        assert asked.stop == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_disk_that_is_full_between_does_not_end_the_training(
    small_dataset: Path,
    tmp_path: Path,
    uninterrupted: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from mktn.engine import resume

    real, calls = resume.write, []

    def full(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) in (2, 3):
            raise OSError(28, "No space left on device")
        real(*arguments)

    monkeypatch.setattr(resume, "write", full)
    assert main(command(small_dataset, tmp_path / "run", settings(), minutes=0)) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "not saved at" in line]
    assert len(lines) == 2
    assert "No space left on device" in lines[0]
    assert whole(tmp_path / "run") == uninterrupted


def test_how_often_it_is_saved_is_a_number_of_minutes(
    small_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for minutes in (-1, float("nan")):
        assert main(command(small_dataset, tmp_path / "run", settings(), minutes)) == 2
        assert "--checkpoint-minutes: value refused" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
