"""What `mktn efficiency` measures: the figures of one network that answers one workload."""

import dataclasses
import os
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from mktn.engine.answering import Answering, TextPlayback, Workload
from mktn.engine.efficiency_format import BASELINES, MODES, TEXT
from mktn.engine.evaluate import EvaluationConfig
from mktn.engine.machine import processor
from mktn.engine.operations import COUNTED, count_operations
from mktn.engine.peak_memory import peak, reset_peak
from mktn.engine.turns import Spread, Taken, in_turn, speed_ratio
from mktn.errors import UserError

MEGABYTE = 1e6
TEXT_OUT = "the encoder's results of the same batches, computed before, are played back"


@dataclasses.dataclass(frozen=True)
class EfficiencyConfig:
    """What is measured, and how long.

    videos: at most, of the split, spread evenly over their numbers of queries; None: all.
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


def measure(
    network: nn.Module,
    work: Workload,
    config: EfficiencyConfig,
    device: torch.device,
    beside: nn.Module | None = None,
) -> dict[str, Any]:
    """All that efficiency.json says beside what was measured on what.

    `beside`: a network that answers the same queries one pair at a time, in turn with the other.
    """
    answering = _answering(network, work, config)
    playback = {mode: TextPlayback(network) for mode in MODES}
    # Each pass warms the next up: one is counted and recorded, the next one's memory is measured.
    operations = {mode: _first_pass(answering, mode, playback[mode]) for mode in MODES}
    memory, peaks = _peaks(answering, device)
    works: dict[tuple[str, ...], Callable[[], object]] = {}
    for mode in MODES:
        _warm_up(answering, mode, config, passes=1 + (mode in peaks))
        works |= _passes(answering, mode, playback[mode])
    if beside is not None:
        other = _answering(beside, work, config)
        for mode in BASELINES:
            recorded = TextPlayback(beside)
            _first_pass(other, mode, recorded)
            _warm_up(other, mode, config, passes=1)
            for name, passing in _passes(other, mode, recorded).items():
                works[*name, "beside"] = passing
    before = os.getloadavg()
    taken = in_turn(works, config.repeats, device, seconds=60 * config.minutes)
    after = os.getloadavg()

    def ratios(*who: str) -> list[dict[str, Any]]:
        return [
            {"mode": mode, "text": text, "against": other}
            | dataclasses.asdict(speed_ratio(taken[other, text, *who], taken[mode, text]))
            for text in TEXT
            for mode in MODES
            for other in BASELINES
            if who or mode != other
        ]

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
            for text in TEXT
            for mode in MODES
        ],
        "ratios": ratios(),
        **({} if beside is None else {"ratios_beside": ratios("beside")}),
    }


def _answering(network: nn.Module, work: Workload, config: EfficiencyConfig) -> Answering:
    threshold = config.protocol().thresholds()[config.table_iou]
    return Answering(network, work, config.n, threshold)


def _warm_up(answering: Answering, mode: str, config: EfficiencyConfig, passes: int) -> None:
    """So many passes were made before."""
    left = config.warm_up_batches - passes * answering.work.batches(mode)
    while left > 0:
        left -= len(answering.run(mode, left))


def _passes(
    answering: Answering, mode: str, playback: TextPlayback
) -> dict[tuple[str, ...], Callable[[], object]]:
    """What is timed of a mode: with the text encoder, and with its results played back."""

    def played() -> object:
        with playback.playing():
            return answering.run(mode)

    return {(mode, "in"): partial(answering.run, mode), (mode, "out"): played}


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
        "device_name": processor(device),
        "cpus": os.cpu_count(),
        "dtype": "float32, TF32 in cuDNN" if tf32 else "float32",
        "threads": config.threads,
        "torch": torch.__version__,
        "batch_queries": config.batch_queries,
        "warm_up_batches": config.warm_up_batches,
        "n": config.n,
        "nms": config.protocol().thresholds()[config.table_iou],
    }


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
