"""Works timed in turn, so that what else the machine does slows all of them alike."""

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import torch

Name = TypeVar("Name")


@dataclasses.dataclass(frozen=True)
class Taken:
    """Elapsed seconds and processor seconds of one run of a work."""

    wall_s: float
    cpu_s: float


@dataclasses.dataclass(frozen=True)
class Spread:
    """A median with its quartiles; of one value, that value."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least one value. Quartiles are interpolated and within the values."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, value, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(value, low, high)


def wait_for(device: torch.device) -> None:
    """Return when the device has done all that was asked of it."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(work: Callable[[], object], device: torch.device) -> Taken:
    """Do the work once, from an idle device to an idle device."""
    wait_for(device)
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wait_for(device)
    return Taken(time.perf_counter() - wall, time.process_time() - cpu)


def in_turn(
    works: Mapping[Name, Callable[[], object]],
    repeats: int,
    device: torch.device,
    seconds: float = math.inf,
    least: int = 3,
) -> dict[Name, list[Taken]]:
    """What each work takes, `repeats` rounds of all works one after another.

    No round beyond the first `least` begins once `seconds` have passed. The works have to be warm.
    """
    taken: dict[Name, list[Taken]] = {name: [] for name in works}
    began = time.perf_counter()
    for done in range(repeats):
        if done >= least and time.perf_counter() - began > seconds:
            break
        for name, work in works.items():
            taken[name].append(timed(work, device))
    return taken


def speed_ratio(theirs: Sequence[Taken], mine: Sequence[Taken]) -> Spread:
    """How many times faster mine is, of each round by itself: they ran one after another."""
    return Spread.of([t.wall_s / m.wall_s for t, m in zip(theirs, mine, strict=True)])
