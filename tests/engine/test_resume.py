"""A training that was stopped goes on to the bytes of one that was not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mktn.cli import main
from mktn.engine import train
from mktn.engine.interrupts import Interrupts
from mktn.engine.resume import Checkpointer

NAMES = ("pairs.parquet", "groups.parquet", "relations.parquet", "t.zarr", "text.zarr")
OPTIONS = ("pairs", "groups", "relations", "features", "text")
CHECKPOINT = "resume.safetensors"


def settings(**changes: Any) -> dict[str, Any]:
    """Dropout, a learned q and lambda, and a validation that may end the training early."""
    return {
        "source": "synthetic",
        "dataset": "charades",
        "sizes": {"width": 16, "heads": 2, "dropout": 0.1, "feature_dropout": 0.1},
        "losses": {"learnable": True},
        "loader": {"queries": 4},
        "train": {"epochs": 4, "patience": 3, "learning_rate": 1e-2, "gradients_every": 2},
        **changes,
    }


def command(dataset: Path, run: Path, given: dict[str, Any], minutes: float = 60) -> list[str]:
    paths = [f"--{o}={dataset / n}" for o, n in zip(OPTIONS, NAMES, strict=True)]
    extra = [f"--run={run}", f"--checkpoint-minutes={minutes}"]
    return ["train", *paths, *extra, f"--settings={json.dumps(given)}"]


def whole(run: Path) -> dict[str, Any]:
    """What a finished run holds, but for times; nothing else may be there."""
    held = {path.name: path.read_bytes() for path in run.iterdir()}
    log = pl.read_parquet(run / "log.parquet")
    assert set(held) == {"model.safetensors", "config.json", "log.parquet"}
    return held | {"log.parquet": log.drop("seconds").to_dict(as_series=False)}


@pytest.fixture(scope="module")
def uninterrupted(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    run = tmp_path_factory.mktemp("uninterrupted")
    assert main(command(small_dataset, run, settings())) == 0
    return whole(run)


@pytest.fixture
def stop_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Ask the next training to stop where it may for the n-th time, as SIGTERM does."""

    def set_up(call: int) -> None:
        calls = 0

        class Stopping(Checkpointer):
            def between(self, training: Any) -> None:
                nonlocal calls
                calls += 1
                if calls == call:
                    import signal

                    signal.raise_signal(signal.SIGTERM)
                super().between(training)

        monkeypatch.setattr(train, "Checkpointer", Stopping)

    return set_up


@pytest.mark.parametrize("stops", [(1,), (4, 1, 3), (6,), (7,), (8,), (5, 5, 5, 5)])
def test_a_stopped_run_goes_on_to_the_same_bytes(
    small_dataset: Path, tmp_path: Path, uninterrupted: dict[str, Any], stop_at, stops, capsys
) -> None:
    run = tmp_path / "run"
    for number, call in enumerate(stops):
        stop_at(call)
        with pytest.raises(SystemExit) as stopped:
            main(command(small_dataset, run, settings()))
        assert stopped.value.code == 143
        assert [path.name for path in run.iterdir()] == [CHECKPOINT]
        lines = capsys.readouterr().err.splitlines()
        assert lines[-1].startswith("stopped by SIGTERM at epoch ")
        assert lines[-1].endswith(f"{CHECKPOINT}; the same command goes on from there")
        assert lines[0].startswith("goes on at epoch ") == (number > 0)
    stop_at(0)
    assert main(command(small_dataset, run, settings())) == 0
    assert whole(run) == uninterrupted


def test_the_handlers_are_those_from_before() -> None:
    import signal

    before = signal.getsignal(signal.SIGTERM)
    with Interrupts():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
