"""What a checkpoint of a training costs: its size, and the time to write and read it.

A training of the default sizes takes real steps on a random batch; after each one its state is
written and read, so that step, writing and reading are of the same process and the same minute.
"""

import contextlib
import dataclasses
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from mktn.engine.criterion import Criterion, LossConfig
from mktn.engine.fit import Training
from mktn.engine.multipair_bench import MultipairSettings, random_batch
from mktn.engine.resume import read, write
from mktn.engine.run_config import RunConfig, TrainConfig
from mktn.grouping.batch import PairBatch
from mktn.models import VARIANTS, ModelConfig, build
from mktn.seeds import named_seed

if TYPE_CHECKING:
    from mktn.grouping.loader import PairData

MB = 1e6


@dataclasses.dataclass(frozen=True)
class CheckpointSettings:
    """The sizes of config.yaml on simulated ActivityNet Captions, and how long to measure."""

    repeats: int = 15
    minutes: float = 10.0  # between checkpoints: whose share of the time is reported
    seed: int = 0
    threads: int = 1
    device: str = "auto"
    queries: int = 48
    queries_per_video: int = 4
    frames: int = 32
    dimension: int = 1024
    patches: int = 4
    words: int = 30
    word_dimension: int = 300
    sentence_dimension: int = 256
    width: int = 64
    heads: int = 4

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if name not in ("seed", "device", "minutes") and value < 1:
                raise ValueError(f"{name} {value}: expected at least 1")
        if not self.minutes > 0:
            raise ValueError(f"minutes {self.minutes}: expected more than 0")


class _OneBatch:
    """Stands in for PairData: the same batch at every step."""

    def __init__(self, batch: PairBatch, steps: int) -> None:
        self.of, self.steps = batch, steps

    def packed(self, split: str, **options: Any) -> list[np.ndarray]:
        return [np.arange(len(self.of.order))] * self.steps

    def batch(self, rows: np.ndarray, **options: Any) -> PairBatch:
        return self.of

    def ahead(self, batches: Iterable[PairBatch]) -> Iterator[PairBatch]:
        return iter(batches)


class _Measured(Exception):
    """All repeats are done; what the training would do next is not asked for."""


def run(settings: CheckpointSettings) -> Iterator[dict[str, Any]]:
    """One row: medians over the repeats."""
    torch.set_num_threads(settings.threads)
    torch.manual_seed(named_seed(settings.seed, "bench", "weights"))
    names = {field.name for field in dataclasses.fields(MultipairSettings)}
    given = {name: value for name, value in dataclasses.asdict(settings).items() if name in names}
    per_video = settings.queries_per_video
    batch = random_batch(
        MultipairSettings(**{**given, "queries_per_video": (per_video,)}), per_video
    )
    fields = {field.name for field in dataclasses.fields(ModelConfig)}
    sizes = ModelConfig(
        **{name: value for name, value in given.items() if name in fields},
        patch_dimension=settings.dimension,
    )
    network = build("mktn", "full", sizes)
    config = RunConfig("random", "random", device=settings.device, train=TrainConfig(epochs=1))
    criterion = Criterion(LossConfig(), VARIANTS["full"])
    data = cast("PairData", _OneBatch(batch, settings.repeats + 1))
    training = Training(network, criterion, data, config)
    times: dict[str, list[float]] = {"step_s": [], "write_s": [], "read_s": []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "resume.safetensors"
        since = time.perf_counter()

        def measure() -> None:
            nonlocal since
            marks = [since, time.perf_counter()]
            tensors, values = training.state()
            write(path, tensors, {"training": values})
            marks.append(time.perf_counter())
            read(path)
            marks.append(time.perf_counter())
            for taken, start, end in zip(times.values(), marks, marks[1:], strict=False):
                taken.append(end - start)
            if len(times["step_s"]) > settings.repeats:
                raise _Measured
            since = time.perf_counter()

        with contextlib.suppress(_Measured):
            training.fit(measure)
        size = path.stat().st_size
    # The first step is slower: it finds its memory.
    medians = {name: statistics.median(taken[1:]) for name, taken in times.items()}
    yield {
        "parameters": sum(p.numel() for p in network.parameters()),
        "file_mb": size / MB,
        **medians,
        "share_of_time": medians["write_s"] / (60 * settings.minutes),
        "minutes": settings.minutes,
        "width": settings.width,
        "threads": settings.threads,
        "device": torch.cuda.get_device_name() if training.device.type == "cuda" else "cpu",
        "torch": torch.__version__,
    }


def summary(row: dict[str, Any]) -> str:
    """A row in words."""
    return (
        f"{row['parameters']} parameters: {row['file_mb']:.1f} MB, written in "
        f"{1e3 * row['write_s']:.0f} ms, read in {1e3 * row['read_s']:.0f} ms; a step takes "
        f"{1e3 * row['step_s']:.0f} ms; every {row['minutes']:g} minutes it is "
        f"{100 * row['share_of_time']:.3f} % of the time"
    )
