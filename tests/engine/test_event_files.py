"""TensorBoard's event files: they hold what was trained, and the training is the same without."""

import json
import signal
import sys
from pathlib import Path

import polars as pl
import pytest
import torch

from mktn.cli import main
from mktn.engine import train
from mktn.engine.event_files import EVERY, EventFiles
from mktn.engine.resume import Checkpointer
from mktn.engine.run_config import RunConfig
from tests.engine.runs import command, settings, whole

CONFIG = RunConfig("synthetic", "charades")


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """Tag -> step -> value, as TensorBoard shows it."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    read.Reload()
    tags = read.Tags()["scalars"]
    return {tag: {event.step: event.value for event in read.Scalars(tag)} for tag in tags}


def train_with(small_dataset: Path, run: Path, *options: str) -> int:
    return main([*command(small_dataset, run, settings()), *options])


def test_they_hold_each_step_and_each_epoch_and_change_no_result(
    small_dataset: Path, tmp_path: Path
) -> None:
    events = tmp_path / "events"
    assert train_with(small_dataset, tmp_path / "with", f"--tensorboard={events}") == 0
    assert train_with(small_dataset, tmp_path / "without") == 0
    assert whole(tmp_path / "with") == whole(tmp_path / "without")
    found, log = scalars(events), pl.read_parquet(tmp_path / "with" / "log.parquet")
    steps = log["steps"].sum()
    for name in ("total", "span", "cl", "gradient_norm", "learning_rate", "threshold"):
        assert [*found[f"step/{name}"]] == [*range(steps)], name
    first = log["steps"][0]
    total = [found["step/total"][step] for step in range(first)]
    assert sum(total) / first == pytest.approx(log["total"][0], rel=1e-5)
    last = (log["steps"].cum_sum() - 1).to_list()
    assert [*found["epoch/val_mIoU"]] == last
    assert [*found["epoch/val_mIoU"].values()] == pytest.approx(log["val_mIoU"].to_list())
    assert [found["step/threshold"][s] for s in last] == pytest.approx(log["threshold"].to_list())


def test_a_resumed_training_goes_on_in_them(small_dataset, tmp_path, monkeypatch) -> None:
    class Stopping(Checkpointer):
        def between(self, training) -> None:
            if training.progress.step == 7:
                self.asked.stop = signal.SIGTERM
            super().between(training)

    events = f"--tensorboard={tmp_path / 'events'}"
    with monkeypatch.context() as patched:
        patched.setattr(train, "Checkpointer", Stopping)
        with pytest.raises(SystemExit):
            train_with(small_dataset, tmp_path / "run", events)
    assert [*scalars(tmp_path / "events")["step/total"]] == [*range(7)]
    assert train_with(small_dataset, tmp_path / "run", events) == 0
    log = pl.read_parquet(tmp_path / "run" / "log.parquet")
    assert [*scalars(tmp_path / "events")["step/total"]] == [*range(log["steps"].sum())]


def test_the_settings_are_there_as_text(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    EventFiles(tmp_path, CONFIG).close()
    read = EventAccumulator(str(tmp_path))
    read.Reload()
    [event] = read.Tensors("settings/text_summary")
    text = event.tensor_proto.string_val[0].decode()
    assert json.loads(text.removeprefix("```json").removesuffix("```"))["dataset"] == "charades"


def test_where_tensorboard_is_missing_it_is_one_line(
    small_dataset: Path, tmp_path: Path, monkeypatch, capsys
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert train_with(small_dataset, tmp_path / "run", f"--tensorboard={tmp_path / 'e'}") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "TensorBoard is not installed" in error
    assert "install mktn[tensorboard]" in error
    assert not (tmp_path / "e").exists()
    assert train_with(small_dataset, tmp_path / "run") == 0


def test_a_folder_that_cannot_be_is_one_line(small_dataset, tmp_path: Path, capsys) -> None:
    (tmp_path / "file").write_text("")
    run = train_with(small_dataset, tmp_path / "run", f"--tensorboard={tmp_path / 'file'}")
    assert run == 2
    assert "event files cannot be written" in capsys.readouterr().err


def test_a_disk_that_fills_ends_the_writing_and_not_the_training(tmp_path: Path, capsys) -> None:
    events = EventFiles(tmp_path, CONFIG)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    events._writer.add_scalar = full
    for step in range(50):
        events.step(step, {"total": torch.ones(())})
    events.epoch(49, {"total": 1.0})
    events.close()
    assert capsys.readouterr().err.count("\n") == 1


def test_a_step_reads_nothing_from_the_device(tmp_path: Path) -> None:
    events = EventFiles(tmp_path, CONFIG)
    for step in range(EVERY - 1):  # a tensor on `meta` has no number to be read
        events.step(step, {"total": torch.ones((), device="meta"), "threshold": 0.5})
    with pytest.raises(NotImplementedError):
        events.step(EVERY - 1, {"total": torch.ones((), device="meta"), "threshold": 0.5})


def test_only_the_first_of_several_processes_writes(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("RANK", "1")
    events = EventFiles(tmp_path / "events", CONFIG)
    events.step(0, {"total": torch.ones(())})
    events.close()
    assert not (tmp_path / "events").exists()
