"""Works are timed in turn, from an idle device to an idle device."""

import subprocess
import sys

import pytest
import torch

from mktn.engine import turns
from mktn.engine.turns import Spread, Taken, in_turn, speed_ratio, timed

CPU = torch.device("cpu")


def test_a_gpu_is_waited_for_before_the_clock_starts_and_before_it_stops(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    clock = iter((10.0, 12.5))

    def now() -> float:
        said.append("clock")
        return next(clock)

    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: said.append("wait"))
    monkeypatch.setattr(turns.time, "perf_counter", now)
    taken = timed(lambda: said.append("work"), torch.device("cuda"))
    assert said == ["wait", "clock", "work", "wait", "clock"]
    assert taken.wall_s == 2.5


def test_works_take_turns() -> None:
    said: list[str] = []
    taken = in_turn({name: lambda n=name: said.append(n) for name in "abc"}, 4, CPU)
    assert said == [*"abc"] * 4
    assert [len(taken[name]) for name in "abc"] == [4, 4, 4]


def test_rounds_end_when_time_is_over_but_not_before_the_third() -> None:
    assert len(in_turn({"a": lambda: None}, 9, CPU, seconds=0)["a"]) == 3
    assert len(in_turn({"a": lambda: None}, 2, CPU, seconds=0)["a"]) == 2


def test_a_spread_is_the_median_and_the_quartiles() -> None:
    assert Spread.of([4.0, 1.0, 2.0, 3.0, 5.0]) == Spread(3.0, 2.0, 4.0)
    assert Spread.of([7.0]) == Spread(7.0, 7.0, 7.0)


def test_a_ratio_is_of_each_round_by_itself() -> None:
    """A slow round slows both: the ratio of medians would be 20 / 5."""
    theirs = [Taken(s, 0) for s in (10.0, 20.0, 200.0)]
    mine = [Taken(s, 0) for s in (5.0, 5.0, 100.0)]
    assert speed_ratio(theirs, mine).value == 2.0


HELD = """
import torch
from mktn.engine.peak_memory import peak, reset_peak

def held(megabytes):
    before = reset_peak(torch.device("cpu"))
    for _ in range(2):
        torch.ones(megabytes * 250_000)  # the second when the first is gone
    return (peak(torch.device("cpu")) - before) / 1e6

held(1)
print(held(80), held(40))
"""


def test_a_peak_is_what_was_held_at_once_and_is_forgotten_afterwards() -> None:
    """In a process of its own: in the heap of one that has done much else the second tensor may
    not come to lie where the first was, and the peak is truly higher."""
    run = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, check=True)
    assert [*map(float, run.stdout.split())] == pytest.approx([80, 40], abs=6)
