"""`mktn efficiency`: how fast a model answers, what it computes and what memory that takes.

One process and one device. The same queries are answered in four modes, in turn: the modes of
mktn.engine.efficiency_format, each with the model's own text encoder in and out of the time. What
is written is described in mktn.report.efficiency_files.
"""

import argparse
import dataclasses
import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from mktn.checksums import write_sealed_json
from mktn.config import fill, read_settings
from mktn.engine.answering import Answering, TextPlayback, Workload
from mktn.engine.checkpoint import load
from mktn.engine.efficiency_format import BASELINES, FORMAT, MODES, TEXT
from mktn.engine.evaluate import (
    EVALUATED,
    EvaluationConfig,
    check_same,
    check_sizes,
    loader_config,
    variant_name,
)
from mktn.engine.operations import COUNTED, count_operations
from mktn.engine.peak_memory import peak, reset_peak
from mktn.engine.predict import choose_device
from mktn.engine.run_config import model_config
from mktn.engine.turns import Spread, Taken, in_turn, speed_ratio
from mktn.errors import UserError
from mktn.files import locked
from mktn.models import SIZES_OF, build, check_variant
from mktn.seeds import named_seed

if TYPE_CHECKING:
    from mktn.grouping.loader import PairData

MEGABYTE = 1e6
TEXT_OUT = "the encoder's results of the same batches, computed before, are played back"


@dataclasses.dataclass(frozen=True)
class EfficiencyConfig:
    """What is measured, and how long.

    videos: how many of the split's, spread evenly over their numbers of queries; None: all.
    batch_queries: the most of a batch where several pairs are answered together. Rounds end after
    `repeats`, or, from the third on, when `minutes` are over. sizes: of random weights.
    """

    source: str
    dataset: str
    partition: str = "standard"
    nms: Any = 0.5  # as in EvaluationConfig; of "peer" the threshold of table_iou
    table_iou: float = 0.5
    n: int = 5
    videos: int | None = None
    batch_queries: int = 56
    warm_up_batches: int = 10
    repeats: int = 7
    minutes: float = 20.0
    seed: int = 0
    device: str = "auto"
    threads: int = 1
    loader: dict[str, Any] = dataclasses.field(default_factory=dict)
    sizes: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("n", "batch_queries", "warm_up_batches", "repeats", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected at least 1")
        if self.videos is not None and self.videos < 1:
            raise ValueError(f"videos {self.videos}: expected at least 1")
        if self.minutes < 0:
            raise ValueError(f"minutes {self.minutes}: expected at least 0")
        self.protocol()

    def protocol(self) -> EvaluationConfig:
        """As far as it is that of scores."""
        return EvaluationConfig(
            self.source, self.dataset, (self.table_iou,), self.table_iou, nms=self.nms,
            ns=(self.n,), partition=self.partition, loader=self.loader,
        )  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `mktn efficiency`."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--run", help="folder of a trained run")
    what.add_argument("--model", choices=tuple(SIZES_OF), help="random weights of this model")
    parser.add_argument("--variant", help="of --model")
    parser.add_argument("--pairs", required=True, help="pairs.parquet")
    parser.add_argument("--groups", required=True, help="groups.parquet")
    parser.add_argument("--features", required=True, help="{backbone}-T{T}.zarr")
    parser.add_argument("--text", required=True, help="text store of the same pairs")
    parser.add_argument("--split", default="test", choices=EVALUATED, help="what is answered")
    parser.add_argument("--out", required=True, type=Path, help="output: efficiency.json")
    parser.add_argument("--settings", required=True, help="JSON or a file: EfficiencyConfig")


def run(arguments: argparse.Namespace) -> None:
    """Measure one model on this machine, alone among measurements, and write efficiency.json."""
    from mktn.grouping.loader import PairData

    config = fill(EfficiencyConfig, read_settings(arguments.settings))
    if (arguments.model is None) != (arguments.variant is None):
        raise UserError("--variant is of --model", expected="--run, or --model and --variant")
    if arguments.model is not None:
        check_variant(arguments.model, arguments.variant)
    torch.set_num_threads(config.threads)
    device = choose_device(config.device)
    trained: dict[str, Any] = {}
    network: nn.Module | None = None
    if arguments.run:
        network, trained = load(arguments.run)
    data = PairData(
        arguments.pairs, arguments.groups, arguments.features, arguments.text,
        config=loader_config(config.protocol(), trained),
    )  # fmt: skip
    data.check_partition(config.partition)
    data.check_dataset(config.dataset)
    data.check_splits(arguments.split)
    if network is not None:
        check_same(trained, config.protocol(), data, arguments.run)
        check_sizes(trained, data, arguments.run)
        identity = {"model": trained["model"], "variant": variant_name(trained)}
        identity |= {"seed": trained["seed"], "weights": "trained", "sizes": trained["sizes"]}
    else:
        network, sizes = _random(arguments.model, arguments.variant, data, config)
        identity = {"model": arguments.model, "variant": arguments.variant}
        identity |= {"seed": config.seed, "weights": "random", "sizes": sizes}
    rows = sampled(data, arguments.split, config.videos)
    whole = data.split(arguments.split)
    named = {"source": config.source, "dataset": config.dataset, "partition": config.partition}
    asked = {
        "split": arguments.split,
        "videos": len(rows),
        "queries": sum(map(len, rows)),
        "split_videos": len({data.video_ids[row] for row in whole}),
        "split_queries": len(whole),
    }
    with _alone():
        work = Workload.read(data, rows, config.batch_queries, device)
        measured = measure(network.to(device).eval(), work, config, device)
    result = {"format": FORMAT, **named, **identity, **asked, **measured}
    write_sealed_json(result, arguments.out)
    for line in summary(result):
        print(line)


def _random(
    model: str, variant: str, data: "PairData", config: EfficiencyConfig
) -> tuple[nn.Module, dict[str, Any]]:
    sizes = model_config(data, config.sizes, model)
    torch.manual_seed(named_seed(config.seed, "efficiency", "weights"))
    return build(model, variant, sizes), dataclasses.asdict(sizes)


def sampled(data: "PairData", split: str, videos: int | None) -> list[np.ndarray]:
    """The row numbers of each video's pairs, in the order of the file.

    Of a sample the videos are spread evenly over the videos ordered by their number of queries, so
    that a video of the sample has as many queries, on average, as one of the split.
    """
    rows_of: dict[str, list[int]] = {}
    for row in data.split(split).tolist():
        rows_of.setdefault(data.video_ids[row], []).append(row)
    found = [np.array(rows) for rows in rows_of.values()]
    if videos is None or videos == len(found):
        return found
    if videos > len(found):
        raise UserError(
            "more videos are asked for than there are", where=f"settings.videos, {split}",
            found=videos, expected=f"at most {len(found)}",
        )  # fmt: skip
    by_queries = sorted(range(len(found)), key=lambda number: len(found[number]))
    places = ((np.arange(videos) + 0.5) * len(found) / videos).astype(int)
    return [found[number] for number in sorted(by_queries[place] for place in places)]


@contextmanager
def _alone() -> Iterator[None]:
    """While no other measurement of this user runs on this machine: each would slow the other."""
    path = Path(tempfile.gettempdir()) / f"mktn-efficiency-{os.getuid()}.lock"
    with locked(path, wait=False) as free:
        if free:
            yield
            return
    print("another measurement runs on this machine: waiting for it", flush=True)
    with locked(path):
        yield


def measure(
    network: nn.Module, work: Workload, config: EfficiencyConfig, device: torch.device
) -> dict[str, Any]:
    """All that efficiency.json says beside what was measured on what."""
    threshold = config.protocol().thresholds()[config.table_iou]
    answering = Answering(network, work, config.n, threshold)
    playback = {mode: TextPlayback(network) for mode in MODES}
    # Each pass warms the next up: one is counted and recorded, the next one's memory is measured.
    operations = {mode: _first_pass(answering, mode, playback[mode]) for mode in MODES}
    memory, peaks = _peaks(answering, device)
    for mode in MODES:
        left = config.warm_up_batches - (1 + (mode in peaks)) * work.batches(mode)
        while left > 0:
            left -= len(answering.run(mode, left))

    def passing(mode: str, text: str) -> Callable[[], object]:
        def played() -> object:
            with playback[mode].playing():
                return answering.run(mode)

        return played if text == "out" else partial(answering.run, mode)

    works = {(mode, text): passing(mode, text) for text in TEXT for mode in MODES}
    before = os.getloadavg()
    taken = in_turn(works, config.repeats, device, seconds=60 * config.minutes)
    after = os.getloadavg()
    return {
        **_conditions(config, device),
        "load_average_before": list(before),
        "load_average_after": list(after),
        "repeats": len(taken[MODES[0], "in"]),
        "text_out": TEXT_OUT,
        "operations": COUNTED,
        "memory": memory,
        **parameters(network),
        "modes": [
            {
                "mode": mode,
                "text": text,
                "batches": work.batches(mode),
                **_speed(taken[mode, text], work),
                "gflops_query": operations[mode] / work.queries / 1e9 if text == "in" else None,
                "peak_mb": peaks.get(mode) if text == "in" else None,
            }
            for mode, text in works
        ],
        "ratios": [
            {"mode": mode, "text": text, "against": other}
            | dataclasses.asdict(speed_ratio(taken[other, text], taken[mode, text]))
            for mode, text in works
            for other in BASELINES
            if mode != other
        ],
    }


def _first_pass(answering: Answering, mode: str, playback: TextPlayback) -> int:
    """Operations of a pass; its text is recorded, its answers are looked at."""
    answers = []
    with playback.recording():
        operations = count_operations(lambda: answers.extend(answering.run(mode)))
    if sum(len(scores) for _, scores in answers) != answering.work.queries:
        raise RuntimeError(f"{mode} did not answer every query")
    if not all(bool(torch.isfinite(scores).all()) for _, scores in answers):
        raise UserError(
            "the model's answer is not a number", where=mode,
            do="look for a feature that is not finite in these videos",
        )  # fmt: skip
    return operations


def _conditions(config: EfficiencyConfig, device: torch.device) -> dict[str, Any]:
    gpu = device.type == "cuda"
    tf32 = gpu and torch.backends.cudnn.allow_tf32
    return {
        "device": device.type,
        "device_name": torch.cuda.get_device_name(device) if gpu else _processor(),
        "cpus": os.cpu_count(),
        "dtype": "float32, TF32 in cuDNN" if tf32 else "float32",
        "threads": config.threads,
        "torch": torch.__version__,
        "batch_queries": config.batch_queries,
        "warm_up_batches": config.warm_up_batches,
        "n": config.n,
        "nms": config.protocol().thresholds()[config.table_iou],
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, names), platform.processor() or platform.machine())


def _peaks(answering: Answering, device: torch.device) -> tuple[str, dict[str, float]]:
    """What a pass of each mode holds at most, in MB beyond weights and features; by what means."""
    peaks = {}
    try:
        for mode in MODES:
            before = reset_peak(device)
            answering.run(mode)
            peaks[mode] = (peak(device) - before) / MEGABYTE
    except UserError as error:
        return f"not measured: {error}", {}
    if device.type == "cuda":
        return "the most that CUDA's allocator held, beyond weights and features", peaks
    return "the peak resident set, beyond that with weights and features loaded", peaks


def parameters(network: nn.Module) -> dict[str, Any]:
    """Trainable parameters, in all and by top-level part, and MB of weights and buffers."""
    parts: dict[str, int] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            part = name.partition(".")[0]
            parts[part] = parts.get(part, 0) + parameter.numel()
    held = [*network.parameters(), *network.buffers()]
    return {
        "parameters": sum(parts.values()),
        "parameters_by_part": parts,
        "weights_mb": sum(value.numel() * value.element_size() for value in held) / MEGABYTE,
    }


def _speed(taken: list[Taken], work: Workload) -> dict[str, Any]:
    seconds = [one.wall_s for one in taken]
    videos, queries = len(work.videos), work.queries
    return {
        "vps": dataclasses.asdict(Spread.of([videos / s for s in seconds])),
        "qps": dataclasses.asdict(Spread.of([queries / s for s in seconds])),
        "seconds_query": dataclasses.asdict(Spread.of([s / queries for s in seconds])),
        # Of one thread on a CPU it is near 1 where nothing else took the processor.
        "cpu_share": Spread.of([one.cpu_s / one.wall_s for one in taken]).value,
    }


def summary(result: dict[str, Any]) -> Iterator[str]:
    """Lines for a person."""
    yield (
        f"{result['model']} {result['variant']} ({result['weights']} weights), "
        f"{result['parameters']} parameters, {result['videos']} videos, "
        f"{result['queries']} queries, {result['device_name']}, {result['dtype']}"
    )
    for row in result["modes"]:
        line = (
            f"{row['mode']:>10}, text {row['text']:<3}: {row['vps']['value']:8.2f} videos/s, "
            f"{row['qps']['value']:8.2f} queries/s"
        )
        if row["text"] == "in":
            held = row["peak_mb"]
            line += f", {row['gflops_query']:.4f} GFLOP a query, peak "
            line += "not measured" if held is None else f"{held:.1f} MB"
        yield line
