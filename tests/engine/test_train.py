"""Training: it learns, follows from the seed, and stops before a bad update."""

import dataclasses
from pathlib import Path

import pytest
import torch

from mktn.engine.checkpoint import load
from mktn.engine.criterion import Criterion, LossConfig
from mktn.engine.distributed import Processes
from mktn.engine.fit import fit
from mktn.engine.predict import predict
from mktn.engine.run_config import RunConfig, TrainConfig
from mktn.engine.schedules import one_cycle, warming
from mktn.engine.train import model_config
from mktn.engine.validation import validate
from mktn.errors import UserError
from mktn.grouping.loader import LoaderConfig, PairData
from mktn.models import VARIANTS, build

SIZES = {"width": 16, "heads": 2, "dropout": 0.1}
NAMES = ("pairs.parquet", "groups.parquet", "t.zarr", "text.zarr", "relations.parquet")


@pytest.fixture
def data(small_dataset: Path) -> PairData:
    return PairData(*(small_dataset / name for name in NAMES), LoaderConfig(queries=8))


def trained(data: PairData, **changes):
    config = RunConfig("synthetic", "charades", train=TrainConfig(epochs=3, patience=3))
    config = dataclasses.replace(config, **changes)
    torch.manual_seed(0)
    network = build("mktn", "full", model_config(data, SIZES))
    log, _ = fit(network, Criterion(config.losses, VARIANTS["full"]), data, config)
    return network, log


def test_the_same_seed_gives_the_same_weights(data: PairData) -> None:
    a, b, c = trained(data)[0], trained(data)[0], trained(data, seed=1)[0]
    same = [torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True)]
    assert all(same)
    assert not all(torch.equal(x, y) for x, y in zip(a.parameters(), c.parameters(), strict=True))


def test_the_log_has_each_term_and_what_it_pulls(data: PairData) -> None:
    _, log = trained(data)
    assert [row["epoch"] for row in log] == [0, 1, 2]
    for name in ("span", "float", "csm", "proto", "cl", "negative_share", "val_mIoU"):
        assert log[0][name] is not None
    assert log[0]["gradient_span"] > 0


def test_the_learning_rate_decays_as_it_is_told(data: PairData) -> None:
    rates = {}
    for decay in ("one_cycle", "constant"):
        train = TrainConfig(epochs=4, patience=4, learning_rate=1e-3, warm_up=0.25, decay=decay)
        rates[decay] = [row["learning_rate"] for row in trained(data, train=train)[1]]
    assert rates["constant"] == [1e-3] * 4
    assert rates["one_cycle"] == pytest.approx([1e-3, 7.5e-4, 2.5e-4, 0.0], abs=1e-9)
    assert one_cycle(0, 0.2) == pytest.approx(1 / 25)
    ahead = [warming(progress, 0.2) for progress in (0.0, 0.1, 0.2, 0.9)]
    assert 0 < ahead[0] < ahead[1] < ahead[2] == ahead[3] == 1
    assert warming(0.0, 0.0) == 1


def test_training_stops_when_validation_stops_improving(data: PairData) -> None:
    still = TrainConfig(epochs=30, patience=2, learning_rate=1e-12)
    _, log = trained(data, train=still)
    assert len(log) == 3


def test_the_weights_of_the_best_epoch_are_kept(data: PairData) -> None:
    network, log = trained(data, train=TrainConfig(epochs=6, learning_rate=2e-2))
    best = max(row["val_mIoU"] for row in log)
    assert validate(network, data, Processes(torch.device("cpu")))["val_mIoU"] == pytest.approx(
        best
    )


def test_a_loss_that_is_not_finite_stops_before_the_update(data: PairData) -> None:
    broken = LossConfig(w_float=float("inf"))
    with pytest.raises(UserError, match="not finite; nothing was updated"):
        trained(data, losses=broken)


def test_a_run_is_read_back_as_it_was(small_dataset: Path, tmp_path: Path, data: PairData) -> None:
    from mktn.cli import main

    options = [f"--{o}={small_dataset / n}" for o, n in zip(
        ("pairs", "groups", "features", "text", "relations"), NAMES, strict=True)]  # fmt: skip
    settings = (
        '{"source": "synthetic", "dataset": "charades", "train": {"epochs": 1}, "sizes": %s}'
    )
    sizes = '{"width": 16, "heads": 2}'
    assert main(["train", *options, f"--run={tmp_path}", f"--settings={settings % sizes}"]) == 0
    network, record = load(tmp_path)
    assert record["variant"] == "full"
    assert record["source"] == "synthetic"
    assert record["rince"] == {"q": LossConfig().q, "lam": LossConfig().lam}
    cpu = torch.device("cpu")
    found = predict(network, data, "test", device=cpu, n=2, nms_thresholds=[0.5])[0.5]
    assert found.pair_ids == ["test/test0#0", "test/test0#1"]
    assert ((found.spans_s[:, 0] >= 0) & (found.spans_s[:, 0] <= 10)).all()
    (tmp_path / "config.json").write_text('{"format": 0}')
    with pytest.raises(UserError, match=r"another version.*format 0.*expected format 1"):
        load(tmp_path)


def test_a_misspelt_setting_is_one_line(small_dataset: Path, tmp_path: Path, capsys) -> None:
    from mktn.cli import main

    options = [f"--{o}={small_dataset / n}" for o, n in zip(
        ("pairs", "groups", "features", "text", "relations"), NAMES, strict=True)]  # fmt: skip
    settings = '{"source": "synthetic", "dataset": "charades", "train": {"epoch": 1}}'
    assert main(["train", *options, f"--run={tmp_path}", f"--settings={settings}"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("mktn train: settings.train.epoch: unknown key, found 'epoch'")
    assert error.count("\n") == 1


def test_what_rince_learned_is_said_in_the_run(data: PairData) -> None:
    learnable = LossConfig(learnable=True)
    config = RunConfig("synthetic", "charades", train=TrainConfig(epochs=2), losses=learnable)
    criterion = Criterion(config.losses, VARIANTS["full"])
    before = criterion.constants()
    assert before["q"] == pytest.approx(config.losses.q, rel=1e-5)
    fit(build("mktn", "full", model_config(data, SIZES)), criterion, data, config)
    assert criterion.constants()["lam"] != before["lam"]
