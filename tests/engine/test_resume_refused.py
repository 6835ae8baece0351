"""A checkpoint of another training, a damaged one and a second writer are refused in one line."""

import json
import os
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from mktn.cli import main
from mktn.engine import run_identity, train
from mktn.engine.resume import Checkpointer, read
from mktn.engine.run_lock import LOCK, one_writer, writer_of
from mktn.files import _of_this_process
from tests.engine.runs import CHECKPOINT, command, names, settings


@pytest.fixture
def stopped(
    small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Path]:
    """A run folder with a checkpoint of its fifth step."""

    class Stopping(Checkpointer):
        def between(self, training: Any) -> None:
            if training.progress.step == 5:
                signal.raise_signal(signal.SIGTERM)
            super().between(training)

    with monkeypatch.context() as patched:
        patched.setattr(train, "Checkpointer", Stopping)
        with pytest.raises(SystemExit):
            main(command(small_dataset, tmp_path / "run", settings()))
    return tmp_path / "run"


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line; the checkpoint is as it was, and nothing is beside it."""
    run = next(Path(a.removeprefix("--run=")) for a in arguments if a.startswith("--run="))
    before = (run / CHECKPOINT).read_bytes()
    capsys.readouterr()
    assert main(arguments) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert (run / CHECKPOINT).read_bytes() == before
    assert names(run) == {CHECKPOINT}
    return lines[0]


@pytest.mark.parametrize(
    ("change", "found", "expected"),
    [
        ({"seed": 3}, "settings.seed 0", "settings.seed 3"),
        ({"variant": "wo_cap"}, 'settings.variant "full"', 'settings.variant "wo_cap"'),
        ({"threads": 2}, "settings.threads 1", "settings.threads 2"),
        ({"loader": {}}, "settings.loader.queries 4", "settings.loader.queries 56"),
        (
            {"train": {"epochs": 3}},
            "settings.train.epochs 9, settings.train.learning_rate 0.01, "
            "settings.train.patience 3, settings.train.gradients_every 2, expected",
            "settings.train.epochs 3, settings.train.learning_rate 0.0006, ",
        ),
        ({"sizes": {"width": 8}}, "settings.sizes.width 16", "settings.sizes.width 8"),
    ],
)
def test_other_settings_are_refused_with_the_difference(
    small_dataset: Path, stopped: Path, capsys, change, found: str, expected: str
) -> None:
    line = refused(command(small_dataset, stopped, settings(**change)), capsys)
    path = stopped / CHECKPOINT
    assert line.startswith(f"mktn train: {path}: the checkpoint is of another training, found ")
    assert found in line.partition(", expected ")[0] + ", expected"
    assert expected in line.partition(", expected ")[2]
    assert line.endswith(f"; delete {path} to train from the start, or train as it was begun")


def test_many_differences_are_counted(small_dataset: Path, stopped: Path, capsys) -> None:
    other = {"epochs": 2, "patience": 1, "learning_rate": 1.0, "clip": 2.0, "warm_up": 0.3}
    given = settings(seed=1, train={**settings()["train"], **other})
    line = refused(command(small_dataset, stopped, given), capsys)
    assert line.count("and 2 more") == 2


def test_other_code_and_another_torch_are_refused(
    small_dataset: Path, stopped: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_identity, "code", lambda step: "0123456789abcdef")
    monkeypatch.setattr(run_identity, "torch", SimpleNamespace(__version__="1.0"))
    line = refused(command(small_dataset, stopped, settings()), capsys)
    assert 'expected code "0123456789abcdef", torch "1.0";' in line


def changed(dataset: Path, folder: Path, name: str, change: Callable[[pl.DataFrame], Any]) -> Path:
    shutil.copytree(dataset, folder)
    change(pl.read_parquet(folder / name)).write_parquet(folder / name)
    (folder / name).with_name("checksums.json").unlink(missing_ok=True)
    return folder


@pytest.mark.parametrize(
    ("name", "what", "change"),
    [
        ("pairs.parquet", "pairs", lambda t: t.with_columns(pl.col("end_s") + 0.25)),
        ("groups.parquet", "groups", lambda t: t.with_columns(pl.col("group") // 2)),
        ("relations.parquet", "relations", lambda t: t.filter(kind="semantic")),
        ("t.zarr/manifest.parquet", "features", lambda t: t.with_columns(duration_s=9.0)),
    ],
)
def test_other_data_are_refused(
    small_dataset: Path, tmp_path: Path, stopped: Path, capsys, name, what, change
) -> None:
    other = changed(small_dataset, tmp_path / "other", name, change)
    line = refused(command(other, stopped, settings()), capsys)
    assert line.count(f"data.{what} ") == 2
    assert line.count("data.") == 2


@pytest.mark.parametrize("store", ["t.zarr", "text.zarr"])
def test_stores_with_other_numbers_are_refused(
    small_dataset: Path, tmp_path: Path, stopped: Path, capsys, store: str
) -> None:
    import zarr

    other = tmp_path / "other"
    shutil.copytree(small_dataset, other)
    name = "features" if store == "t.zarr" else "sentences"
    array = zarr.open_group(other / store, mode="r+", zarr_format=3)[name]
    array[2] = array[2] + 1
    (other / store / "checksums.json").unlink()
    line = refused(command(other, stopped, settings()), capsys)
    assert line.count("data.") == 2
    assert f"data.{'features' if store == 't.zarr' else 'text'} " in line


def test_the_same_data_elsewhere_go_on(small_dataset: Path, tmp_path: Path, stopped: Path) -> None:
    shutil.copytree(small_dataset, tmp_path / "copy")
    assert main(command(tmp_path / "copy", stopped, settings())) == 0


def flipped(content: bytes) -> bytes:
    middle = len(content) - 100
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        flipped,
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2],
        lambda content: content[:5],
        lambda content: b"",
        lambda content: b"\x80\x04\x95" + content[3:],
        lambda content: content.replace(b'\\"step\\\\\\": 5', b'\\"step\\\\\\": 6', 1),
    ],
    ids=["flipped", "cut", "half", "head", "empty", "pickle", "edited"],
)
def test_a_damaged_checkpoint_is_named(
    small_dataset: Path, stopped: Path, capsys, damage: Callable[[bytes], bytes]
) -> None:
    path = stopped / CHECKPOINT
    content = path.read_bytes()
    path.write_bytes(damage(content))
    assert path.read_bytes() != content
    line = refused(command(small_dataset, stopped, settings()), capsys)
    assert line.startswith(f"mktn train: {path}: the checkpoint is damaged, found ")
    assert line.endswith(f"; delete {path} to train from the start")
    path.unlink()
    assert main(command(small_dataset, stopped, settings())) == 0


def test_a_checkpoint_is_one_file_of_tensors_and_json(stopped: Path) -> None:
    from safetensors import safe_open

    with safe_open(stopped / CHECKPOINT, "pt") as file:
        assert list(file.metadata()) == ["checkpoint"]
        json.loads(json.loads(file.metadata()["checkpoint"])["state"])
    tensors, values = read(stopped / CHECKPOINT)
    assert values["training"]["progress"]["step"] == 5
    parts = {name.partition("/")[0] for name in tensors}
    assert parts >= {"network", "best", "criterion", "optimizer", "rng"}


def test_a_second_writer_is_told_who_the_first_is(
    small_dataset: Path, tmp_path: Path, capsys
) -> None:
    import os

    run = tmp_path / "run"
    with one_writer(run):
        assert main(command(small_dataset, run, settings())) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line == (
            f"mktn train: {run}: another process trains in this folder, found process"
            f" {os.getpid()} on {socket.gethostname()}; wait for it, or end it and run this again"
        )
        assert writer_of(run).startswith("process ")
        (run / LOCK).write_text("")  # before the holder has said who it is
        assert main(command(small_dataset, run, settings())) == 2
    assert not run.exists()
    assert writer_of(run) == ""


def test_what_killed_writers_left_is_taken_over(small_dataset: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / LOCK).write_text('{"pid": 1, "host": "gone"}')
    # The names that a process of this machine gives them; no process has so high a number.
    for name in ("resume.safetensors", "model.safetensors"):
        own = _of_this_process(run / name, "part").name
        left = run / own.replace(f".{os.getpid()}.", f".{2**22 + 7}.")
        left.mkdir()
        (left / name).write_bytes(b"half")
    (run / "predictions.parquet").write_bytes(b"another step's")
    assert main(command(small_dataset, run, settings(train={"epochs": 1}))) == 0
    assert names(run) == {"model.safetensors", "config.json", "log.parquet", "predictions.parquet"}
