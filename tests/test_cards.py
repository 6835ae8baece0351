"""Two trainings on one machine take two GPUs, and a third shares."""

import subprocess
import sys
from pathlib import Path

import pytest

from mktn.cards import cards

TAKES = """
import os, sys
from mktn.cards import take_cards
take_cards(int(os.environ.get("CARDS", "1")))
print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
sys.stdin.read()
"""


def holder(folder: Path, **more: str) -> subprocess.Popen[str]:
    env = {"PYTHONPATH": ":".join(sys.path), "CUDA_VISIBLE_DEVICES": "4,7", "TMPDIR": str(folder)}
    return subprocess.Popen(
        [sys.executable, "-c", TAKES],
        env=env | more, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip


def taken(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_each_process_takes_a_card_of_its_own_and_a_killed_one_gives_it_back(
    tmp_path: Path,
) -> None:
    one, two = holder(tmp_path), holder(tmp_path)
    assert {taken(one), taken(two)} == {"4", "7"}
    three = holder(tmp_path)
    assert taken(three) == "4,7"
    two.kill()
    two.wait()
    four = holder(tmp_path)
    assert taken(four) in ("4", "7")
    for process in (one, three, four):
        process.kill()
        process.wait()


def test_processes_of_one_training_take_cards_that_no_other_has(tmp_path: Path) -> None:
    visible = {"CUDA_VISIBLE_DEVICES": "0,1,2,3", "CARDS": "2"}
    holders, found = [], []
    for _ in range(3):
        holders.append(holder(tmp_path, **visible))
        found.append(taken(holders[-1]))
    assert found == ["0,1", "2,3", "0,1,2,3"]
    for process in holders:
        process.kill()
        process.wait()


@pytest.mark.parametrize("given", ["SLURM_JOB_ID", "LOCAL_RANK"])
def test_a_card_that_was_given_is_kept(tmp_path: Path, given: str) -> None:
    process = holder(tmp_path, **{given: "0"})
    assert taken(process) == "4,7"
    process.kill()
    process.wait()


@pytest.mark.parametrize(
    ("given", "expected"),
    [("0", ("0",)), ("", ()), ("-1", ()), ("2,0", ("2", "0")), ("1,-1,2", ("1",))],
)
def test_cards_are_those_that_cuda_would_see(
    monkeypatch: pytest.MonkeyPatch, given: str, expected: tuple[str, ...]
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    assert cards.__wrapped__() == expected


def test_without_a_driver_there_are_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cards.__wrapped__() == ()
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 'GPU 0: X (UUID: 1)'\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    assert cards.__wrapped__() == ("0",)
