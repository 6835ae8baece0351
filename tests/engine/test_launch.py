"""`mktn train` in two processes: the training of one, and one end for both."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

NAMES = {
    "pairs": "pairs.parquet",
    "groups": "groups.parquet",
    "relations": "relations.parquet",
    "features": "t.zarr",
    "text": "text.zarr",
}
SIZES = {"width": 16, "heads": 2, "dropout": 0.0, "feature_dropout": 0.0}
MKTN = [sys.executable, "-m", "mktn"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


def train(dataset: Path, run: Path, processes: int, epochs: int = 3, **settings) -> list[str]:
    given = {
        "source": "synthetic",
        "dataset": "charades",
        "processes": processes,
        "device": "cpu",
        "sizes": SIZES,
        "loader": {"queries": 9},
        "train": {"epochs": epochs, "patience": epochs, "gradients_every": 2},
    } | settings
    paths = [f"--{option}={dataset / name}" for option, name in NAMES.items()]
    return ["train", *paths, f"--run={run}", f"--settings={json.dumps(given)}"]


def start(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def log(run: Path) -> pl.DataFrame:
    return pl.read_parquet(run / "log.parquet")


def children(process: subprocess.Popen[str]) -> list[int]:
    """The processes that it started, once there are two."""
    for _ in range(2400):
        found = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True
        ).stdout.split()
        if len(found) == 2:
            return [int(pid) for pid in found]
        time.sleep(0.05)
    raise AssertionError("it started no two processes")


def rank_of(pid: int) -> int:
    """As its environment says, once it has one of its own."""
    for _ in range(600):
        for pair in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if pair.startswith(b"RANK="):
                return int(pair[5:])
        time.sleep(0.05)
    raise AssertionError(f"process {pid} has no rank")


@pytest.fixture(scope="module")
def alone(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mktn.cli import main

    run = tmp_path_factory.mktemp("alone")
    assert main(train(small_dataset, run, 1)) == 0
    return run


def test_torchrun_trains_as_one_process_does(
    small_dataset: Path, tmp_path: Path, alone: Path
) -> None:
    command = [*TORCHRUN, "-m", "--", "mktn", *train(small_dataset, tmp_path, 2)]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    found, expected = log(tmp_path), log(alone)
    rates = ("_s", "_gb", "data_wait_share", "seconds")  # of the machine
    terms = [c for c in expected.columns if c in found.columns and not c.endswith(rates)]
    assert {"span", "csm", "proto", "cl", "gradient_cl", "total", "val_mIoU"} <= {*terms}
    assert {"gradient_norm", "negatives", "word_padding"} <= {*terms}
    for name in terms:
        now, before = found[name].drop_nulls(), expected[name].drop_nulls()
        assert now.to_list() == pytest.approx(before.to_list(), rel=1e-4), name
    assert {p.name for p in tmp_path.iterdir()} == {p.name for p in alone.iterdir()}
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["processes"] == 2
    # Each line once.
    assert done.stderr.count("epoch 0:") == 1
    assert done.stderr.count("selected epoch") == 1


def test_a_killed_process_ends_the_other_and_the_next_command_goes_on(
    small_dataset: Path, tmp_path: Path
) -> None:
    command = [*MKTN, *train(small_dataset, tmp_path, 2, epochs=300), "--checkpoint-minutes=0"]
    started = start(command)
    ranks = {rank_of(pid): pid for pid in children(started)}
    while not (tmp_path / "resume.safetensors").exists():
        assert started.poll() is None
        time.sleep(0.05)
    os.kill(ranks[1], signal.SIGKILL)
    _, said = started.communicate(timeout=120)
    assert started.returncode == 1
    assert said.splitlines()[-1] == (
        "mktn train: process 1 of 2 was ended by SIGKILL, and the others ended with it"
    )
    assert "Traceback" not in said
    assert not (tmp_path / "config.json").exists()

    again = start(command)
    children(again)
    for line in again.stderr:
        if line.startswith("goes on at epoch"):
            break
    again.send_signal(signal.SIGTERM)
    _, said = again.communicate(timeout=120)
    assert again.returncode == 128 + signal.SIGTERM, said
    assert "stopped by SIGTERM" in said.splitlines()[-1]


def test_a_mistake_is_one_line(small_dataset: Path, tmp_path: Path) -> None:
    settings = train(small_dataset, tmp_path / "run", 2, partition="cg")
    done = subprocess.run([*MKTN, *settings], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("mktn train: pairs: the pairs are of another partition")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()
