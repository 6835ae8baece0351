"""Training in several processes: each computes its share of every batch.

A process is started by torchrun, or by mktn.engine.launch. What a training needs of the other
processes is in `Processes`.
"""

import contextlib
import ctypes
import dataclasses
import datetime
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, distributed, nn

from mktn.engine.predict import choose_device
from mktn.errors import UserError

GIVEN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # by torchrun
LAUNCHED = "MKTN_LAUNCHED"  # the process that launched this one, which shows its errors
ERROR_FILE = "TORCHELASTIC_ERROR_FILE"
TIMEOUT = datetime.timedelta(minutes=10)  # of waiting for another process
PARENT_DEATH_SIGNAL = 1  # of prctl


@dataclasses.dataclass(frozen=True)
class Processes:
    """This process among those of the training; alone by default."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    @property
    def part(self) -> tuple[int, int]:
        """This process and of how many."""
        return self.rank, self.size

    def total(self, value: Tensor) -> Tensor:
        """The sum of a value over the processes, detached; in each process the same bits."""
        value = value.detach()
        if self.size > 1:
            value = value.clone()
            distributed.all_reduce(value)
        return value

    def any(self, flag: bool) -> bool:
        """Whether any process says so; in each process the same answer."""
        if self.size == 1:
            return flag
        return bool(self.total(torch.tensor(float(flag), device=self.device)) > 0)

    def rows(self, own: Tensor) -> Tensor:
        """Tensors of one shape (...) of all processes: (processes,...), the same in each."""
        if self.size == 1:
            return own[None]
        sent = own.to(self.device)
        received = [torch.empty_like(sent) for _ in range(self.size)]
        distributed.all_gather(received, sent)
        return torch.stack(received).to(own.device)

    def names(self, own: list[str]) -> list[str]:
        """The names that all processes have, in their order, each once."""
        if self.size == 1:
            return own
        text = torch.frombuffer(bytearray("\n".join(own).encode() + b"\n"), dtype=torch.uint8)
        lengths = self.rows(torch.tensor([len(text)]))[:, 0].tolist()
        padded = torch.zeros(max(lengths), dtype=torch.uint8)
        padded[: len(text)] = text
        parts = zip(self.rows(padded), lengths, strict=True)
        said = "".join(bytes(part[:length].tolist()).decode() for part, length in parts)
        return list(dict.fromkeys(name for name in said.split("\n") if name))

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            distributed.barrier()

    def parallel(self, objective: nn.Module) -> nn.Module:
        """The objective, of which the backward pass adds up the gradients of all processes.

        Backward starts from `loss * size`: what is added up is divided by their number.
        """
        if self.size == 1:
            return objective
        # A group of its own: its sums start whenever a gradient is ready, between the exchanges.
        return nn.parallel.DistributedDataParallel(
            objective,
            process_group=distributed.new_group(),
            gradient_as_bucket_view=True,
        )


def started() -> bool:
    """Whether this process is one of several that torchrun started; UserError where half so."""
    missing = [name for name in GIVEN if name not in os.environ]
    if not {"RANK", "WORLD_SIZE"} & set(os.environ):
        return False
    if missing:
        raise UserError(
            "the environment is that of one process of several, but not all of it",
            where="environment",
            found=f"no {', '.join(missing)}",
            do="start with torchrun, or unset RANK and WORLD_SIZE",
        )
    return True


@contextlib.contextmanager
def joined(device: str, processes: int) -> Iterator[Processes]:
    """This process among the `processes` of the training, from torchrun's environment.

    They talk by nccl on GPUs, each process with its own, and by gloo on the CPU. Raises UserError
    where another number was started, or there is no GPU for each.
    """
    if not started():
        yield Processes(choose_device(device))
        return
    with _one_line():
        rank, size, local = (_number(name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
        if size != processes:
            raise UserError(
                "another number of processes was started than the settings say",
                where="settings.processes",
                found=processes,
                expected=size,
                do="give torchrun's --nproc-per-node the same number",
            )
        chosen = choose_device(device)
        if chosen.type == "cuda":
            if local >= torch.cuda.device_count():
                raise UserError(
                    "there are fewer GPUs than processes",
                    where="settings.processes",
                    found=f"{torch.cuda.device_count()} GPUs",
                    expected=f"at least {local + 1}",
                    do="lower processes, or set device to cpu",
                )
            chosen = torch.device("cuda", local)
            torch.cuda.set_device(chosen)
        distributed.init_process_group(
            "nccl" if chosen.type == "cuda" else "gloo",
            rank=rank,
            world_size=size,
            timeout=TIMEOUT,
        )
        try:
            joint = Processes(chosen, rank, size)
            yield joint
            joint.wait()  # for the first to write the run
        finally:
            distributed.destroy_process_group()


def _number(name: str) -> int:
    text = os.environ[name]
    if not text.isdecimal():
        raise UserError("not a number", where=f"environment, {name}", found=repr(text))
    return int(text)


@contextlib.contextmanager
def _one_line() -> Iterator[None]:
    """A mistake that every process finds is shown once, by the process that launched them."""
    launched = os.environ.get(LAUNCHED)
    if launched:
        _end_with_parent(int(launched))
    try:
        yield
    except UserError as error:
        if not launched:
            raise
        _write_line(str(error))
        _leave(2)
    except RuntimeError as error:
        # gloo raises a RuntimeError without a class of its own.
        lost = isinstance(error, distributed.DistError) or "gloo" in str(error)
        if not lost:
            raise
        said = str(error).splitlines()[0].split(". ")[0]
        print(f"mktn train: the exchange with the other processes failed: {said}", file=sys.stderr)
        _leave(1)


def _leave(status: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    # Not by SystemExit: what waits for a process that is gone would keep this one.
    os._exit(status)


def _end_with_parent(parent: int) -> None:
    """Have the kernel end this process with the one that launched it, which then cannot."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        _leave(1)


def _write_line(line: str) -> None:
    """Where torchrun looks for the error of a process, in its form."""
    path = os.environ.get(ERROR_FILE)
    if path:
        said = {"message": line, "timestamp": int(time.time())}
        Path(path).write_text(json.dumps(said), encoding="utf-8")
