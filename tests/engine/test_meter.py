"""The meter: waits, norms, sizes and rates are what they are said to be; pauses change none."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
import torch
from torch import nn

from mktn.engine import meter as meter_module
from mktn.engine.criterion import Criterion, LossConfig
from mktn.engine.log_columns import COLUMNS, TERMS
from mktn.engine.meter import EpochMeter
from mktn.losses import adaptive_threshold
from mktn.models import VARIANTS, build
from tests.batches import SIZES, random_batch

OTHERS = ("map", "mutual", "align", "boundary", "rank", "cycle")  # no terms of mktn
CPU = torch.device("cpu")


class Clock:
    """Seconds pass when the test says so, and not while other work has the machine."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def passes(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(meter_module, "time", SimpleNamespace(perf_counter=lambda: made.now_s))
    return made


def step(meter: EpochMeter, batch, norm: float = 1.0, phi: float | None = None):
    meter.step(batch, torch.tensor(norm), threshold=phi)


def test_a_loader_that_sleeps_is_the_data_wait(clock: Clock) -> None:
    def slow():
        for _ in range(3):
            clock.passes(0.1)
            yield random_batch()

    meter = EpochMeter(CPU, clip=1.0)
    for batch in meter.batches(slow()):
        clock.passes(0.02)
        step(meter, batch)
    row = meter.row()
    assert row["train_s"] == pytest.approx(0.36)
    assert row["data_wait_share"] == pytest.approx(5 / 6)
    meter = EpochMeter(CPU, clip=1.0)
    for batch in meter.batches([random_batch()] * 3):
        clock.passes(0.04)
        step(meter, batch)
    assert meter.row()["data_wait_share"] == 0


def test_a_known_gradient_gives_its_norm_and_whether_it_was_clipped() -> None:
    weight = nn.Parameter(torch.zeros(2))
    meter = EpochMeter(CPU, clip=5.0)
    for scale in (1.0, 2.0, 0.1):  # norms 5, 10 and 0.5
        weight.grad = scale * torch.tensor([3.0, 4.0])
        pull = nn.utils.clip_grad_norm_([weight], meter.clip)
        meter.step(random_batch(), pull)
    row = meter.row()
    assert row["gradient_norm"] == pytest.approx((5 + 10 + 0.5) / 3)
    assert row["gradient_norm_max"] == pytest.approx(10)
    assert row["clipped_share"] == pytest.approx(1 / 3)


def test_the_threshold_is_that_of_the_last_step() -> None:
    meter = EpochMeter(CPU, clip=1.0)
    for phi in (0.2, 0.3):
        step(meter, random_batch(), phi=phi)
    assert (meter.row()["threshold"], meter.row()["steps"]) == (0.3, 2)


@pytest.mark.parametrize("phi", [(0.4, 0.7), (5.0, 5.0)])
def test_the_negative_set_is_counted_as_a_slow_loop_counts_it(phi: tuple[float, float]) -> None:
    torch.manual_seed(0)
    losses = LossConfig(phi_initial=phi[0], phi_final=phi[1])
    criterion, batch = Criterion(losses, VARIANTS["full"]), random_batch((3, 1, 2, 2))
    outputs = build("mktn", "full", SIZES)(batch)
    terms = criterion(outputs, batch, 0.5)
    threshold = criterion.threshold(0.5)
    meter = EpochMeter(CPU, clip=1.0)
    meter.step(batch, torch.ones(()), terms["negative_share"], threshold)
    similarity, positive = outputs["s_avm"], batch.positive()
    videos, queries = similarity.shape
    negative = sum(
        bool(similarity[v, q] < threshold and not positive[v, q])
        for v in range(videos)
        for q in range(queries)
    )
    row = meter.row()
    assert row["negatives"] == pytest.approx(negative / queries)
    assert phi[0] == 0.4 or row["negatives"] > 1


def test_a_variant_without_avm_has_no_threshold() -> None:
    assert Criterion(LossConfig(), VARIANTS["wo_avm"]).threshold(0.5) is None
    fixed = Criterion(LossConfig(phi_final=0.7), VARIANTS["fixed_threshold"])
    assert fixed.threshold(0.1) == 0.7


def test_rates_and_padding_count_what_the_batches_hold(clock: Clock) -> None:
    batches = [random_batch((3, 1, 2), seed=0), random_batch((1, 2), seed=1)]
    meter = EpochMeter(CPU, clip=1.0)
    for batch in meter.batches(batches):
        clock.passes(0.01)
        step(meter, batch)
    row = meter.row()
    assert row["queries_per_s"] == pytest.approx(9 / row["train_s"])
    assert row["videos_per_s"] == pytest.approx(5 / row["train_s"])
    real = sum(int(row.sum()) for batch in batches for row in batch.word_mask)
    assert row["word_padding"] == pytest.approx(1 - real / (9 * 6))


def test_validation_is_not_training(clock: Clock) -> None:
    meter = EpochMeter(CPU, clip=1.0)
    for batch in meter.batches([random_batch()]):
        step(meter, batch)
    with meter.validating():
        clock.passes(0.03)
    row = meter.row()
    assert row["validation_s"] == pytest.approx(0.03)
    assert row["train_s"] == 0


@pytest.mark.parametrize("before", [0, 1, 3])
def test_a_pause_in_the_epoch_changes_no_mean_and_adds_the_times(before: int) -> None:
    batches = [random_batch(seed=seed) for seed in range(5)]
    whole = EpochMeter(CPU, clip=1.0)
    first, second = EpochMeter(CPU, clip=1.0), EpochMeter(CPU, clip=1.0)

    def take(meter: EpochMeter, numbers: range) -> None:
        for number, batch in zip(numbers, meter.batches(batches[i] for i in numbers), strict=True):
            step(meter, batch, norm=0.1 + number / 3, phi=number / 7)

    take(whole, range(5))
    take(first, range(before))
    first.times["wait_s"], first.times["train_s"] = 10.0, 20.0
    second.restore(json.loads(json.dumps(first.state())))
    take(second, range(before, 5))
    expected, found = whole.row(), second.row()
    for name in expected:
        if COLUMNS[name].repeats:
            assert found[name] == expected[name], name
    assert 20 < found["train_s"] < 21
    assert 0.45 < found["data_wait_share"] < 0.51


MEMORY = """
import json, mmap, torch
from mktn.engine.meter import memory
cpu = torch.device("cpu")
found = [memory(cpu)]
held = mmap.mmap(-1, 100_000_000)
for start in range(0, 100_000_000, 1_000_000):
    held[start : start + 1_000_000] = bytes(1_000_000)
found.append(memory(cpu))
held.close()
found.append(memory(cpu))
print(json.dumps(found))
"""


def test_memory_is_in_gigabytes_and_a_peak_stays() -> None:
    # A process of its own: this one gives memory back when it likes.
    run = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True
    )
    before, during, after = json.loads(run.stdout)
    assert during["host_memory_gb"] - before["host_memory_gb"] == pytest.approx(0.1, rel=0.3)
    assert after["host_memory_gb"] < during["host_memory_gb"] - 0.07
    assert after["host_memory_peak_gb"] >= during["host_memory_gb"] - 0.001
    assert after["gpu_memory_peak_gb"] is None


def test_a_state_taken_within_the_validation_holds_its_time(clock: Clock) -> None:
    meter = EpochMeter(CPU, clip=1.0)
    with meter.validating():
        clock.passes(0.03)
        state = meter.state()
        clock.passes(0.03)
    assert state["times"]["validation_s"] == pytest.approx(0.03)
    assert meter.row()["validation_s"] == pytest.approx(0.06)
    assert state["times"]["train_s"] == 0


def test_a_step_reads_nothing_from_the_device() -> None:
    meta = torch.device("meta")  # where a tensor has no number to be read
    meter = EpochMeter(meta, clip=1.0)
    batches = meter.batches([random_batch(), random_batch(seed=1)])
    for batch in batches:
        number = torch.ones((), device=meta)
        meter.step(batch.to(meta), number, number, threshold=0.5)
    with pytest.raises(NotImplementedError):
        meter.row()


def test_the_log_of_a_run_has_every_column_and_no_other(small_dataset: Path, tmp_path) -> None:
    from mktn.cli import main

    names = ("pairs.parquet", "groups.parquet", "t.zarr", "text.zarr", "relations.parquet")
    kinds = ("pairs", "groups", "features", "text", "relations")
    options = [f"--{k}={small_dataset / n}" for k, n in zip(kinds, names, strict=True)]
    settings = {"source": "synthetic", "dataset": "charades", "sizes": {"width": 16, "heads": 2}}
    settings |= {"train": {"epochs": 3, "validate_every": 2}, "loader": {"queries": 8}}
    logs = {}
    for variant in ("full", "wo_avm"):
        given = json.dumps(settings | {"variant": variant})
        assert main(["train", *options, f"--run={tmp_path / variant}", f"--settings={given}"]) == 0
        logs[variant] = pl.read_parquet(tmp_path / variant / "log.parquet")
        assert logs[variant].columns == [*COLUMNS]
    full, without = logs["full"], logs["wo_avm"]
    assert full.schema == without.schema
    gpu = [name for name in COLUMNS if name.startswith("gpu")] if not cuda() else []
    unvalidated = ["val_mIoU", "val_R1_0.5"]
    for name in set(COLUMNS) - {*gpu, *unvalidated}:
        # The terms' gradients are of every fifth epoch; other models have other terms.
        others = name.removeprefix("gradient_") in OTHERS
        empty = 3 if others else 2 if name in {f"gradient_{term}" for term in TERMS} else 0
        assert full[name].null_count() == empty, name
    assert [full[name].null_count() for name in unvalidated] == [1, 1]
    phi = [adaptive_threshold((step - 1) / (full["steps"].sum() - 1), 0.2, 0.7)
           for step in full["steps"].cum_sum()]  # fmt: skip
    assert full["threshold"].to_list() == pytest.approx(phi)
    assert (full["train_s"] + full["validation_s"] <= full["seconds"]).all()
    assert full["gradient_norm_max"][0] >= full["gradient_norm"][0] > 0
    for name in ("threshold", "negatives", "negative_share", "cl"):
        assert without[name].null_count() == 3, name


def cuda() -> bool:
    return torch.cuda.is_available()
