"""`mktn profile`: where the time of a training step goes, on one page.

The steps are the training's own. The profiler's events are put to the part of the model that
asked for them: forward by the module in whose call they lie, backward by the number that autograd
gives an operation and its derivative.
"""

import argparse
import collections
import contextlib
import dataclasses
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.autograd import DeviceType
from torch.autograd.profiler import record_function
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from mktn.config import fill, read_settings
from mktn.engine.fit import Training
from mktn.engine.machine import processor
from mktn.engine.operations import count_operations
from mktn.engine.run_config import RunConfig
from mktn.engine.train import add_data, begun
from mktn.errors import UserError
from mktn.files import write_text
from mktn.models import check_variant

if TYPE_CHECKING:
    from mktn.grouping.batch import PairBatch

DEAREST = 10
PART = "part: "  # begins the name of what a module's call, or a phase, is recorded as
BACKWARD = "autograd::engine::evaluate_function: "
PHASES = ("batch", "forward", "losses", "backward", "update and checks")
DEEP = 2  # transfer.csm, and not its layers


@dataclasses.dataclass(frozen=True)
class Dear:
    """An operation in a part of the model: milliseconds a step by itself, and calls a step."""

    part: str
    backward: bool
    operation: str
    ms: float
    calls: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `mktn profile`."""
    add_data(parser)
    parser.add_argument("--steps", type=int, default=5, help="that are profiled; default: 5")
    parser.add_argument("--settings", required=True, help="JSON or a file: RunConfig, of a train")
    parser.add_argument("--out", required=True, type=Path, help="output: Markdown")


def run(arguments: argparse.Namespace) -> None:
    """Take some steps of a training, unprofiled for their time and profiled for its parts."""
    config = fill(RunConfig, read_settings(arguments.settings))
    check_variant(config.model, config.variant)
    if arguments.steps < 1:
        raise UserError("value refused", where="--steps", found=arguments.steps, expected=">= 1")
    training = begun(arguments, config, None)
    said = training.data.place(training.device)
    walls, waits = timed_steps(training, arguments.steps)
    found = dearest(training, arguments.steps)
    padded = padding(training, arguments.steps)
    page = as_page(training, said, walls, waits, found, arguments.steps, padded)
    write_text(page, arguments.out)
    print(page)


def timed_steps(training: Training, steps: int) -> tuple[list[float], list[float]]:
    """Seconds of each step, and of waiting for its batch, after as many that warm up."""
    walls: list[float] = []
    waits: list[float] = []
    with contextlib.closing(training.first_batches(2 * steps)) as batches:
        while True:
            asked = time.perf_counter()
            batch = next(batches, None)
            if batch is None:
                return walls[len(walls) // 2 :], waits[len(waits) // 2 :]
            waits.append(time.perf_counter() - asked)
            training.step(batch)
            _wait(training.device)
            walls.append(time.perf_counter() - asked)


def padding(training: Training, steps: int) -> tuple[float, float]:
    """The share of the batches' word cells that is padding, and of the forward's operations.

    Words alone are padded. A padded word costs what one more word would that every query had.
    """
    cells, padded, spent, all_spent = 0, 0, 0.0, 0.0
    with contextlib.closing(training.first_batches(steps)) as batches:
        for batch in batches:
            batch = batch.to(training.device)
            longer = dataclasses.replace(
                batch,
                words=functional.pad(batch.words, (0, 0, 0, 1)),
                word_mask=functional.pad(batch.word_mask, (0, 1)),
            )
            here, there = (_operations(training, one) for one in (batch, longer))
            queries = len(batch.word_mask)
            empty = int((~batch.word_mask).sum())
            cells, padded = cells + batch.word_mask.numel(), padded + empty
            spent += (there - here) / queries * empty
            all_spent += here
    return padded / cells, spent / all_spent


def _operations(training: Training, batch: "PairBatch") -> int:
    return count_operations(lambda: training.network(batch))


def dearest(training: Training, steps: int) -> list[Dear]:
    """Every operation of a step in every part of the model, the dearest first."""
    activities = [ProfilerActivity.CPU]
    if training.device.type == "cuda":
        activities.append(ProfilerActivity.CUDA)
    with (
        _named_parts(training),
        profile(activities=activities) as profiler,
        contextlib.closing(training.first_batches(steps)) as batches,
    ):
        for batch in batches:
            training.step(batch)
        _wait(training.device)
    return of_events(profiler.events() or [], steps, training.device.type == "cuda")


def of_events(events: Sequence[Any], steps: int, on_gpu: bool) -> list[Dear]:
    """The profiler's events as operations by parts. On a GPU time is the kernels'."""
    part_of = _parts(events)
    spent: dict[tuple[str, bool, str], list[float]] = collections.defaultdict(lambda: [0.0, 0.0])
    for event in events:
        if event.device_type != DeviceType.CPU or event.name.startswith(PART):
            continue
        own = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        part, backward = part_of[event.id]
        name = event.name.removeprefix(BACKWARD).removeprefix("aten::")
        entry = spent[part, backward, name]
        entry[0] += own
        entry[1] += 1
    found = [
        Dear(part, backward, name, us / 1000 / steps, calls / steps)
        for (part, backward, name), (us, calls) in spent.items()
        if us
    ]
    return sorted(found, key=lambda one: (-one.ms, one.part, one.operation))


def _parts(events: Sequence[Any]) -> dict[int, tuple[str, bool]]:
    """The id of each event -> the innermost part around it, and whether it is of the backward."""
    forward: dict[int, str] = {}  # autograd's number of an operation -> the part that called it
    found: dict[int, tuple[str, bool]] = {}
    ordered = sorted(
        (event for event in events if event.device_type == DeviceType.CPU),
        key=lambda event: (event.time_range.start, -event.time_range.end),
    )
    for event in ordered:
        parent = event.cpu_parent
        part, backward = found[parent.id] if parent is not None else ("update and checks", False)
        if event.name.startswith(PART):
            part = event.name.removeprefix(PART)
        elif event.name.startswith(BACKWARD) or event.scope == 1:
            part, backward = forward.get(event.sequence_nr, part), True
        elif event.sequence_nr >= 0 and not backward:
            forward[event.sequence_nr] = part
        found[event.id] = part, backward
    return found


@contextlib.contextmanager
def _named_parts(training: Training) -> Iterator[None]:
    """Calls of the model's parts, of the criterion and of the optimizer under their names."""
    handles = []
    parts: dict[str, torch.nn.Module] = {"losses": training.criterion}
    for name, module in training.network.named_modules():
        if name and name.count(".") < DEEP:
            parts[name] = module
    for name, module in parts.items():
        open_: list[Any] = []

        def enter(module: Any, given: Any, name: str = name, open_: list[Any] = open_) -> None:
            open_.append(record_function(PART + name))
            open_[-1].__enter__()

        def leave(module: Any, given: Any, output: Any, open_: list[Any] = open_) -> None:
            open_.pop().__exit__(None, None, None)

        handles += [
            module.register_forward_pre_hook(enter),
            module.register_forward_hook(leave),
        ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def as_page(
    training: Training,
    said: str,
    walls: Sequence[float],
    waits: Sequence[float],
    found: Sequence[Dear],
    steps: int,
    padded: tuple[float, float],
) -> str:
    """The page: how long a step is, the dearest operations, and the dearest parts."""
    config = training.config
    total = sum(one.ms for one in found)
    wall, wait = statistics.median(walls), statistics.median(waits)
    of_parts: dict[str, list[float]] = collections.defaultdict(lambda: [0.0, 0.0])
    for one in found:
        of_parts[one.part][one.backward] += one.ms
    lines = [
        f"# A training step of {config.model}/{config.variant} on {config.dataset}",
        f"**Source: {config.source}.** {processor(training.device)}, {config.threads}"
        f" {'thread' if config.threads == 1 else 'threads'}, torch {torch.__version__}; {said}.",
        f"A step takes {1000 * wall:.1f} ms (median of {len(walls)}, not profiled), of which"
        f" {1000 * wait:.1f} ms are waiting for its batch ({100 * wait / wall:.1f} %). The"
        f" profiler saw {total:.1f} ms of operations a step in {steps} others.",
        f"Padding: {100 * padded[0]:.1f} % of the cells of words, on which"
        f" {100 * padded[1]:.2f} % of the forward pass is spent (matrix products, attention and"
        " recurrent layers). Queries and frames are not padded.",
        "## The dearest operations, by themselves",
        "| | operation | part | ms a step | share | calls a step |\n|---:|---|---|---:|---:|---:|",
    ]
    rows = [
        f"| {rank} | {one.operation} | {one.part}{', backward' if one.backward else ''} |"
        f" {one.ms:.2f} | {100 * one.ms / total:.1f} % | {one.calls:.1f} |"
        for rank, one in enumerate(found[:DEAREST], start=1)
    ]
    lines[-1] += "\n" + "\n".join(rows)
    by_part = sorted(of_parts.items(), key=lambda item: -sum(item[1]))
    lines += [
        "## Parts of the model",
        "| part | forward, ms | backward, ms | share |\n|---|---:|---:|---:|\n"
        + "\n".join(
            f"| {part} | {forward:.2f} | {backward:.2f} |"
            f" {100 * (forward + backward) / total:.1f} % |"
            for part, (forward, backward) in by_part
        ),
    ]
    return "\n\n".join(lines) + "\n"


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
