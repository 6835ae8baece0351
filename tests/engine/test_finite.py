"""A loss or a gradient that is not finite: what is said, and that nothing was updated."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from mktn.cli import main
from mktn.engine import train
from mktn.engine.resume import Checkpointer, read
from tests.engine.runs import CHECKPOINT, command, settings


def spoiled(dataset: Path, folder: Path, store: str, array: str, row: int) -> Path:
    """A copy of the dataset with a NaN in one row of an array of a store."""
    import zarr

    shutil.copytree(dataset, folder)
    held = zarr.open_group(folder / store, mode="r+", zarr_format=3)[array]
    held[row] = float("nan")
    (folder / store / "checksums.json").unlink()  # as in a store that was written so
    return folder


def line_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 2
    errors = capsys.readouterr().err
    assert "Traceback" not in errors
    return errors.splitlines()[-1]


def test_a_feature_that_is_not_a_number_is_traced_to_its_video(
    small_dataset: Path, tmp_path: Path, capsys
) -> None:
    dataset = spoiled(small_dataset, tmp_path / "nan", "t.zarr", "features", 3)
    line = line_of(command(dataset, tmp_path / "run", settings()), capsys)
    assert line.startswith("mktn train: epoch 0, step ")
    assert "the loss is not finite; nothing was updated, found span nan, float nan" in line
    assert "; not finite: features of train3; pairs train/train" in line
    assert line.endswith("; mend these features or vectors")
    account = json.loads((tmp_path / "run" / "not_finite.json").read_text())
    assert account["inputs"] == ["features of train3"]
    assert [p for p in account["pairs"] if p.startswith("train/train3#")]
    assert account["terms"]["total"] == "nan"
    assert f"step {account['step']}:" in line
    assert main(command(small_dataset, tmp_path / "run", settings())) == 0
    assert not (tmp_path / "run" / "not_finite.json").exists()


def test_a_sentence_that_is_not_a_number_is_refused_before_training(
    small_dataset: Path, tmp_path: Path, capsys
) -> None:
    dataset = spoiled(small_dataset, tmp_path / "nan", "text.zarr", "sentences", 0)
    line = line_of(command(dataset, tmp_path / "run", settings()), capsys)
    assert "array 'sentences' has numbers that are not finite" in line
    assert not (tmp_path / "run").exists()


def test_the_last_checkpoint_stays_and_holds_only_numbers(
    small_dataset: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    class Spoiling(Checkpointer):
        def between(self, training: Any) -> None:
            super().between(training)
            if training.progress.step == 6:
                training.criterion.logits.data.fill_(float("nan"))
                before = {n: v.clone() for n, v in training.network.state_dict().items()}
                seen.append((training, before, self.path.read_bytes()))

    monkeypatch.setattr(train, "Checkpointer", Spoiling)
    run = tmp_path / "run"
    line = line_of(command(small_dataset, run, settings(), minutes=0), capsys)
    assert line.startswith("mktn train: epoch 1, step 6: the loss is not finite")
    assert "proto nan" in line
    assert f" and delete {run / CHECKPOINT}, which is kept as it was before" in line
    training, before, written = seen[-1]
    assert (run / CHECKPOINT).read_bytes() == written
    for name, value in training.network.state_dict().items():
        assert torch.equal(value, before[name]), name
    tensors, values = read(run / CHECKPOINT)
    assert values["training"]["progress"]["step"] == 6
    assert all(t.isfinite().all() for t in tensors.values() if t.is_floating_point())


def test_a_gradient_that_is_not_finite_names_its_parameters(
    small_dataset: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = train.build

    def build(*arguments: Any) -> torch.nn.Module:
        network = real(*arguments)
        name, parameter = next(iter(network.named_parameters()))
        assert name.startswith("video.")
        parameter.register_hook(lambda gradient: gradient * float("inf"))
        return network

    monkeypatch.setattr(train, "build", build)
    line = line_of(command(small_dataset, tmp_path / "run", settings()), capsys)
    assert "epoch 0, step 0: the gradient is not finite; nothing was updated, found span " in line
    account = json.loads((tmp_path / "run" / "not_finite.json").read_text())
    assert len(account["gradients"]) == 1
    assert f"; not finite: gradients of {account['gradients'][0]}; pairs " in line
    assert line.endswith("lower train.learning_rate or the weight of the term")


def test_a_huge_learning_rate_is_stopped(small_dataset: Path, tmp_path: Path, capsys) -> None:
    given = settings(train={"epochs": 9, "learning_rate": 1e30})
    line = line_of(command(small_dataset, tmp_path / "run", given), capsys)
    assert "is not finite; nothing was updated" in line
    assert "lower train.learning_rate" in line


def test_without_a_file_all_pairs_are_in_the_line(
    small_dataset: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mktn.engine import finite

    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(finite, "write_json", full)
    dataset = spoiled(small_dataset, tmp_path / "nan", "t.zarr", "features", 0)
    given = settings(loader={"queries": 56})
    line = line_of(command(dataset, tmp_path / "run", given), capsys)
    assert line.count("train/train") == 17
    assert "more" not in line
