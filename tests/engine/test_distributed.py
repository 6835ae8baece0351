"""Several processes compute the loss and the gradients of one with the whole batch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mktn.engine.distributed import Processes
from mktn.grouping.share import cuts
from tests.engine.shared_steps import CASES, Case, steps

TOLERANCE = 1e-5
ROUNDING = 1e-9  # of the whole gradient: of a parameter whose own is rounding alone


@pytest.fixture(scope="module")
def shared(small_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what two and three processes found."""
    folder = tmp_path_factory.mktemp("shared")
    command = [sys.executable, "-m", "tests.engine.shared_steps"]
    started = [
        subprocess.Popen(
            [*command, str(rank), folder, small_dataset], stderr=subprocess.PIPE, text=True
        )
        for rank in range(3)
    ]
    failed = [p.communicate(timeout=300)[1] for p in started if p.wait(timeout=300)]
    assert not failed, failed[0]
    return folder


@pytest.mark.parametrize(
    ("case", "size"),
    [pytest.param(c, n, id=f"{c.name}, {n} processes") for c in CASES for n in c.sizes],
)
def test_loss_and_gradients_are_those_of_one_process(shared: Path, case: Case, size: int) -> None:
    expected = steps(case, Processes(torch.device("cpu")))
    for rank in range(size):
        found = load_file(shared / f"{case.name} {size} {rank}.safetensors")
        assert found.keys() == expected.keys()
        for step in "01":
            gradients = [v for k, v in expected.items() if k.startswith(step) and "." in k]
            rounding = ROUNDING * torch.stack([g.norm() for g in gradients]).norm()
            for name in (name for name in expected if name.startswith(step)):
                error = (found[name].double() - expected[name].double()).norm()
                assert error <= TOLERANCE * expected[name].norm() + rounding, (rank, name)


def test_a_resumed_training_goes_on_to_the_same_bits_in_each_process(shared: Path) -> None:
    found = [load_file(shared / f"resumed {rank}.safetensors") for rank in range(2)]
    whole = {k: v for k, v in found[0].items() if k.startswith("whole")}
    assert whole
    for name, value in whole.items():
        for weights in found:
            assert torch.equal(weights[name], value)
            assert torch.equal(weights[name.replace("whole", "resumed")], value)


def test_a_number_that_is_none_stops_all_processes_with_one_reason(shared: Path) -> None:
    lines = [(shared / f"not finite {rank}.txt").read_text() for rank in range(2)]
    assert lines[0] == lines[1]
    assert "the loss is not finite; nothing was updated" in lines[0]
    assert "not finite: features of train" in lines[0]  # which only the other process has read
    account = json.loads((shared / "not_finite.json").read_text())
    assert len(account["pairs"]) > 4  # of the whole batch


def test_processes_that_hear_late_of_a_number_that_is_none_stop_together(shared: Path) -> None:
    lines = [(shared / f"late {rank}.txt").read_text() for rank in range(2)]
    assert lines[0] == lines[1]
    assert "epoch 0, step 2: the loss is not finite; nothing was updated" in lines[0]


def test_shares_are_even_and_keep_videos_together() -> None:
    def at(queries: tuple[int, ...], processes: int) -> list[int]:
        return cuts([v for v, count in enumerate(queries) for _ in range(count)], processes)

    assert at((2, 2, 2, 2), 2) == [4, 8]
    assert at((3, 1, 2, 2, 1), 2) == [4, 9]  # between videos, near the middle
    assert at((1, 9), 2) == [5, 10]  # no border is near: within the larger video
    assert at((7,), 3) == [2, 5, 7]
    assert at((1,), 3)[-1] == 1
