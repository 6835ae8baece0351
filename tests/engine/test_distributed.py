"""Several processes compute the loss and the gradients of one with the whole batch."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mktn.engine.distributed import Processes
from tests.engine.shared_steps import CASES, Case, steps

TOLERANCE = 1e-5
ROUNDING = 1e-9  # of the whole gradient: of a parameter whose own is rounding alone


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what two and three processes found."""
    folder = tmp_path_factory.mktemp("shared")
    command = [sys.executable, "-m", "tests.engine.shared_steps"]
    started = [
        subprocess.Popen([*command, str(rank), str(folder)], stderr=subprocess.PIPE, text=True)
        for rank in range(3)
    ]
    failed = [p.communicate(timeout=100)[1] for p in started if p.wait(timeout=100)]
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
