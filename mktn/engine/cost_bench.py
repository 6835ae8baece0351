"""What computing takes: operations and seconds of a clip and of a query, at the published widths.

Operations are counted by `torch.utils.flop_counter` (matrix products and convolutions, a multiply
and an add are two); they are the same on any device. Seconds are core seconds, of this processor.
Of the model a batch is whole videos with `queries` queries together; a training step is the
forward pass, all losses and the backward pass. Each case is a process of its own, for its memory.
"""

import dataclasses
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from mktn.config import fill
from mktn.engine.criterion import Criterion, LossConfig
from mktn.engine.multipair_bench import MultipairSettings, random_batch
from mktn.errors import UserError
from mktn.models import VARIANTS, ModelConfig, build
from mktn.seeds import named_seed

# What is measured -> T and D of published.yaml.
MODELS = {"activitynet": (200, 500), "charades": (64, 1024), "tacos": (200, 4096)}
CLIPS = {"c3d": (16, 112), "i3d": (16, 224)}  # frames and pixels a side


@dataclasses.dataclass(frozen=True)
class CostSettings:
    """cases: of `MODELS` and `CLIPS`; scale: 1 is the published width of a backbone."""

    cases: tuple[str, ...] = (*CLIPS, *MODELS)
    scale: float = 1.0
    width: int = 256
    queries: int = 56
    queries_per_video: int = 4
    sentence_dimension: int = 512
    repeats: int = 3
    threads: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        unknown = [case for case in self.cases if case not in (*CLIPS, *MODELS)]
        if unknown:
            raise ValueError(f"cases {unknown[0]}: expected one of {', '.join((*CLIPS, *MODELS))}")
        for name in ("width", "queries", "queries_per_video", "repeats", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected at least 1")


def run(settings: CostSettings) -> Iterator[dict[str, Any]]:
    """A row a backbone (of a clip), and two a model (of a query answered and one trained on)."""
    for case in settings.cases:
        given = json.dumps(dataclasses.asdict(dataclasses.replace(settings, cases=(case,))))
        command = [sys.executable, "-m", "mktn.engine.cost_bench", given]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError("measuring costs failed", found=done.stderr.strip()[-400:])
        yield from json.loads(done.stdout)


def measure(settings: CostSettings) -> list[dict[str, Any]]:
    """The rows of the first case, measured in this process."""
    torch.set_num_threads(settings.threads)
    torch.manual_seed(named_seed(settings.seed, "bench", "cost"))
    case = settings.cases[0]
    return [_clip(case, settings)] if case in CLIPS else list(_query(case, settings))


def summary(row: dict[str, Any]) -> str:
    """A row for a person."""
    return (
        f"{row['case']}, {row['phase']}: {row['gflops']} GFLOP and {row['seconds']} s "
        f"a {row['unit']}, {row['gflops_per_s']} GFLOP/s, {row['parameters']} parameters, "
        f"peak {row['peak_mb']} MB"
    )


def _clip(name: str, settings: CostSettings) -> dict[str, Any]:
    from mktn.features.c3d import C3D
    from mktn.features.i3d import I3D

    frames, side = CLIPS[name]
    made = {"c3d": lambda: C3D(width=int(64 * settings.scale)), "i3d": lambda: I3D(settings.scale)}
    network: Any = made[name]().eval()
    clip = torch.randn(1, 3, frames, side, side)

    @torch.inference_mode()
    def work() -> None:
        network.features(clip)

    return _row(name, "extract", "clip", network, work, 1, settings)


def _query(name: str, settings: CostSettings) -> Iterator[dict[str, Any]]:
    frames, dimension = MODELS[name]
    sizes = MultipairSettings(
        queries=settings.queries, frames=frames, dimension=dimension, patches=1,
        sentence_dimension=settings.sentence_dimension, width=settings.width, words=13,
    )  # fmt: skip
    batch = dataclasses.replace(random_batch(sizes, settings.queries_per_video), patches=None)
    config = ModelConfig(
        frames=frames, dimension=dimension, patch_dimension=0,
        word_dimension=sizes.word_dimension, sentence_dimension=sizes.sentence_dimension,
        width=settings.width,
    )  # fmt: skip
    network: Any = build("mktn", "full", config)
    criterion = Criterion(LossConfig(), VARIANTS["full"])

    @torch.inference_mode()
    def answer() -> None:
        network(batch, matching=False)

    def train() -> None:
        network.zero_grad(set_to_none=True)
        criterion(network(batch), batch, 0.5)["total"].backward()

    for phase, work in (("answer", answer), ("train", train)):
        network.train(phase == "train")
        yield _row(name, phase, "query", network, work, len(batch.order), settings)


def _row(
    case: str,
    phase: str,
    unit: str,
    network: torch.nn.Module,
    work: Callable[[], None],
    count: int,
    settings: CostSettings,
) -> dict[str, Any]:
    counter = FlopCounterMode(display=False)
    with counter:
        work()
    seconds = []
    for _ in range(settings.repeats):
        began = time.process_time()
        work()
        seconds.append((time.process_time() - began) / count)
    gflops = counter.get_total_flops() / count / 1e9
    median_s = statistics.median(seconds)
    return {
        "case": case,
        "phase": phase,
        "unit": unit,
        "gflops": round(gflops, 4),
        "seconds": round(median_s, 5),
        "gflops_per_s": round(gflops / median_s, 1),
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6, 1),
        "threads": settings.threads,
        "repeats": settings.repeats,
    }


if __name__ == "__main__":
    print(json.dumps(measure(fill(CostSettings, json.loads(sys.argv[1])))))
