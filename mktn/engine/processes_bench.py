"""A training step shared by several processes of this machine against the step of one alone.

The two are taken in turn by the same processes, so that other work on the machine slows both.
Batches are random, of the sizes of a dataset.
"""

import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import torch
from torch import distributed

from mktn.engine.criterion import Criterion, LossConfig
from mktn.engine.distributed import Processes
from mktn.engine.multipair_bench import MultipairSettings, random_batch
from mktn.engine.objective import Objective
from mktn.grouping.share import share
from mktn.models import VARIANTS, ModelConfig, build
from mktn.seeds import named_seed

# queries a video, and the sizes: of the default synthetic data and of simulated Charades-STA
CASES: dict[str, tuple[int, dict[str, Any]]] = {
    "synthetic": (4, {"queries": 48, "frames": 32, "dimension": 64, "width": 64}),
    "charades": (3, {"queries": 56, "frames": 64, "dimension": 1024, "width": 256}),
    "one video": (56, {"queries": 56, "frames": 64, "dimension": 1024, "width": 256}),
}


@dataclasses.dataclass(frozen=True)
class ProcessesSettings:
    """How many processes, and how long to measure."""

    processes: int = 2
    repeats: int = 9  # of each, taken in turn; the median is reported
    threads: int = 1  # of each process
    cases: tuple[str, ...] = tuple(CASES)

    def __post_init__(self) -> None:
        if self.processes < 2 or self.repeats < 1 or self.threads < 1:
            raise ValueError("processes of at least 2, repeats and threads of at least 1 must be")
        if unknown := sorted(set(self.cases) - set(CASES)):
            raise ValueError(f"cases {unknown}: expected some of {', '.join(CASES)}")


def run(settings: ProcessesSettings) -> Iterator[dict[str, Any]]:
    """One row a case."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "mktn.engine.processes_bench",
            json.dumps(dataclasses.asdict(settings)),
            folder,
        ]
        running = [
            subprocess.Popen([*command, str(rank)], stdout=subprocess.PIPE, text=True)
            for rank in range(settings.processes)
        ]
        said = [process.communicate()[0] for process in running]
        if any(process.returncode for process in running):
            raise RuntimeError("a measuring process failed")
    for line in said[0].splitlines():
        yield json.loads(line)


def summary(row: dict[str, Any]) -> str:
    """A row in words."""
    return (
        f"{row['case']:>9}, {row['videos']} videos, {row['queries']} queries: "
        f"{1000 * row['alone_s']:.0f} ms alone, {1000 * row['shared_s']:.0f} ms in "
        f"{row['processes']} processes, {row['speedup']:.2f} x; "
        f"CPU {1000 * row['alone_cpu_s']:.0f} and {1000 * row['shared_cpu_s']:.0f} ms each, "
        f"{row['cpu_speedup']:.2f} x"
    )


def _measure(settings: ProcessesSettings, folder: str, rank: int) -> None:
    torch.set_num_threads(settings.threads)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=settings.processes
    )
    processes = Processes(torch.device("cpu"), rank, settings.processes)
    for case in settings.cases:
        row = _case(case, settings, processes)
        if processes.first:
            print(json.dumps(row), flush=True)
    distributed.destroy_process_group()


def _case(case: str, settings: ProcessesSettings, processes: Processes) -> dict[str, Any]:
    per_video, given = CASES[case]
    sizes = MultipairSettings(**given)
    whole = random_batch(sizes, per_video)
    own = share(whole, *processes.part)
    torch.manual_seed(named_seed(0, "bench", "weights"))
    config = ModelConfig(
        frames=sizes.frames,
        dimension=sizes.dimension,
        patch_dimension=sizes.dimension,
        word_dimension=sizes.word_dimension,
        sentence_dimension=sizes.sentence_dimension,
        width=sizes.width,
    )
    made = Objective(build("mktn", "full", config), Criterion(LossConfig(), VARIANTS["full"]))
    parallel = processes.parallel(made)
    optimizer = torch.optim.AdamW(made.parameters(), 1e-6)

    def step(module: torch.nn.Module, batch: Any, scale: int) -> tuple[float, float]:
        began, began_cpu = time.perf_counter(), time.process_time()
        optimizer.zero_grad(set_to_none=True)
        (module(batch, 0.5)["total"] * scale).backward()
        optimizer.step()
        return time.perf_counter() - began, time.process_time() - began_cpu

    alone, shared = [], []
    for _ in range(settings.repeats + 2):
        processes.wait()
        if processes.first:
            alone.append(step(made, whole, 1))
        processes.wait()
        shared.append(step(parallel, own, processes.size))
    # The first two warm up: DistributedDataParallel arranges its buckets anew after one.
    alone_s, alone_cpu_s = _medians(alone[2:] or shared)
    shared_s, shared_cpu_s = _medians(shared[2:])
    return {
        "case": case,
        "processes": processes.size,
        "threads": settings.threads,
        "cpus": os.cpu_count(),
        "videos": len(whole.frames),
        "queries": len(whole.video_index),
        **{"alone_s": alone_s, "shared_s": shared_s, "speedup": alone_s / shared_s},
        **{"alone_cpu_s": alone_cpu_s, "shared_cpu_s": shared_cpu_s},
        "cpu_speedup": alone_cpu_s / shared_cpu_s,
        "torch": torch.__version__,
    }


def _medians(times: list[tuple[float, float]]) -> tuple[float, float]:
    wall, cpu = zip(*times, strict=True)
    return statistics.median(wall), statistics.median(cpu)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    _measure(ProcessesSettings(**given), sys.argv[2], int(sys.argv[3]))
