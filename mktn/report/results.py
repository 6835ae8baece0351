"""`metrics.json` of evaluated runs: read strictly, checked against each other, seeds joined.

The format, version 1, as `mktn evaluate` writes it (value and interval in per cent):

    {"format": 1, "source": "synthetic" | "simulated" | "published" | "own",
     "dataset": "activitynet" | "charades" | "tacos" | a name of your own,
     "partition": "standard" | "cd" | "cg",
     "model": "mktn", "variant": "full", "seed": 0,
     "split": "test", "queries": 120, "videos": 30, "rejected": 0,
     "comparison": ">" | ">=", "nms": 0.5 | "peer", "validation": "official" | "held_out" | "own",
     "bootstraps": 1000, "notes": ["what a reader must know"],
     "metrics": [{"metric": "R", "n": 1, "iou": 0.5, "value": v, "ci_low": l, "ci_high": h}, ...,
                 {"metric": "mIoU", "n": null, "iou": null, "value": ..., ...}]}

Baselines have the models "random", "train-prior" and "place-prior" and the variant "baseline".
What it was made from stands in "features", "word_vectors" and "sentence_vectors", a line each, and
in "features_sha256" and "text_sha256" of all attributes of the stores; metrics of an older version
do not have them. A file without "partition" is from before there were others: standard. Keys
beyond these are left alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mktn.checksums import read_sealed_json
from mktn.datasets import PARTITIONS
from mktn.engine.metrics import METRICS_FORMAT
from mktn.errors import UserError
from mktn.report.lines import System, name_of

SOURCES = ("synthetic", "simulated", "published", "own")
VALIDATIONS = ("official", "held_out", "own")
BASELINES = ("random", "train-prior", "place-prior")
# Student's t, 97.5 %, by degrees of freedom; more seeds take the last, which is wider.
T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)

# What mktn evaluate says of the stores that it read.
INPUTS = ("features", "word_vectors", "sentence_vectors", "features_sha256", "text_sha256")
NOT_RECORDED = "not recorded"

Key = tuple[str, int | None, float | None]  # metric, n, iou


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % interval, per cent."""

    value: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True)
class Run:
    """One `metrics.json`."""

    path: Path
    source: str
    dataset: str
    partition: str
    model: str
    variant: str
    seed: int
    split: str
    queries: int
    videos: int
    rejected: int
    comparison: str
    nms: float | str
    validation: str
    bootstraps: int
    notes: tuple[str, ...]
    metrics: dict[Key, Interval]
    features: str = NOT_RECORDED
    word_vectors: str = NOT_RECORDED
    sentence_vectors: str = NOT_RECORDED
    features_sha256: str = NOT_RECORDED
    text_sha256: str = NOT_RECORDED

    @property
    def system(self) -> System:
        """Model and variant."""
        return self.model, self.variant


TYPES: dict[str, type | tuple[type, ...]] = {
    "source": str,
    "dataset": str,
    "partition": str,
    "model": str,
    "variant": str,
    "seed": int,
    "split": str,
    "queries": int,
    "videos": int,
    "rejected": int,
    "comparison": str,
    "nms": (int, float, str),
    "validation": str,
    "bootstraps": int,
    "notes": list,
    "metrics": list,
}


def read_run(path: Path) -> Run:
    """One metrics.json. Raises UserError when it is absent, broken, or of another version."""
    try:
        value = read_sealed_json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            "metrics cannot be read", where=path, found=error, expected="JSON of mktn evaluate"
        ) from error
    if not isinstance(value, dict) or value.get("format") != METRICS_FORMAT:
        found = value.get("format") if isinstance(value, dict) else type(value).__name__
        raise UserError(
            "metrics of an unknown format",
            where=path,
            found=found,
            expected=f"format {METRICS_FORMAT}",
            do="run mktn evaluate again with this version",
        )
    value = {"partition": "standard", **value}
    for name, kind in TYPES.items():
        if not isinstance(value.get(name), kind) or isinstance(value[name], bool):
            raise UserError(
                "missing or wrong key",
                where=f"{path}, {name}",
                found=repr(value.get(name)),
                expected=getattr(kind, "__name__", "a number or text"),
            )
    known_values = (("source", SOURCES), ("validation", VALIDATIONS), ("partition", PARTITIONS))
    for name, known in known_values:
        if value[name] not in known:
            raise UserError(
                f"unknown {name}", where=path, found=value[name], expected=", ".join(known)
            )
    fields = {name: value[name] for name in TYPES if name not in ("notes", "metrics")}
    for name in INPUTS:
        fields[name] = value.get(name, NOT_RECORDED)
        if not isinstance(fields[name], str):
            raise UserError("wrong key", where=f"{path}, {name}", found=repr(fields[name]))
    return Run(
        path=path,
        notes=tuple(str(note) for note in value["notes"]),
        metrics=_read_metrics(path, value["metrics"]),
        **fields,
    )


def _read_metrics(path: Path, rows: list[Any]) -> dict[Key, Interval]:
    metrics: dict[Key, Interval] = {}
    for index, row in enumerate(rows):
        where = f"{path}, metrics[{index}]"
        try:
            n, iou = row["n"], row["iou"]
            key = (
                str(row["metric"]),
                n if n is None else int(n),
                iou if iou is None else float(iou),
            )
            interval = Interval(*(float(row[name]) for name in ("value", "ci_low", "ci_high")))
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                "broken metric",
                where=where,
                found=repr(row)[:120],
                expected="metric, n, iou, value, ci_low, ci_high",
            ) from error
        if not all(map(math.isfinite, (interval.value, interval.ci_low, interval.ci_high))):
            raise UserError("metric is not finite", where=where, found=repr(row)[:120])
        if key in metrics:
            raise UserError("metric stands twice", where=where, found=repr(row)[:120])
        metrics[key] = interval
    if not metrics:
        raise UserError("no metrics", where=path, expected="at least one")
    return metrics


def check_runs(runs: Sequence[Run], systems: Sequence[System]) -> None:
    """Every dataset must have every system with the same seeds, scored in the same way.

    Raises UserError on a run that stands twice or is missing, on runs of several sources, and,
    within a dataset, on another split, comparison, NMS, validation, count or set of metrics, or on
    other features or text; and on another partition than the standard one, whose numbers the
    paper does not print.
    """
    seen: dict[tuple[str, str, str, int], Run] = {}
    for run in runs:
        key = (run.dataset, run.model, run.variant, run.seed)
        if key in seen:
            raise UserError(
                "run stands twice",
                where=run.path,
                found="/".join(map(str, key)),
                expected=f"it once, as in {seen[key].path}",
            )
        seen[key] = run
        if run.partition != "standard":
            raise UserError(
                "run is of another partition than the paper's",
                where=run.path,
                found=run.partition,
                expected="standard",
                do="see mktn test-sets for the test sets of other partitions",
            )
        if run.model not in BASELINES and run.system not in systems:
            raise UserError(
                "variant is not in the table",
                where=run.path,
                found=name_of(run.system, systems),
                expected=", ".join(name_of(system, systems) for system in systems),
            )
        check_same(run, runs[0], ("source", "bootstraps"), "runs of one table")
    baselines = {run.model for run in runs if run.model in BASELINES}
    for dataset in {run.dataset: None for run in runs}:
        of_dataset = [run for run in runs if run.dataset == dataset]
        for run in of_dataset:
            names = ("split", "comparison", "nms", "validation", "queries", "videos", *INPUTS)
            check_same(run, of_dataset[0], names, "runs of one dataset")
            if set(run.metrics) != set(of_dataset[0].metrics):
                raise UserError(
                    "runs of one dataset differ in their metrics",
                    where=run.path,
                    expected=f"those of {of_dataset[0].path}",
                )
        _check_complete(dataset, of_dataset, systems, baselines)


def check_same(run: Run, first: Run, names: Sequence[str], which: str) -> None:
    """Raises UserError when a run differs from the first in one of the fields `names`."""
    for name in names:
        if getattr(run, name) != getattr(first, name):
            raise UserError(
                f"{which} differ in {name}",
                where=run.path,
                found=getattr(run, name),
                expected=f"{getattr(first, name)}, as in {first.path}",
            )


def _check_complete(
    dataset: str, runs: Sequence[Run], systems: Sequence[System], baselines: set[str]
) -> None:
    seeds = sorted({run.seed for run in runs if run.model not in BASELINES})
    for system in systems:
        found = sorted(run.seed for run in runs if run.system == system)
        if found != seeds or not found:
            raise UserError(
                "runs of a variant are missing",
                where=f"{dataset}, {name_of(system, systems)}",
                found=f"seeds {found}" if found else "no run",
                expected=f"seeds {seeds}" if seeds else "at least one",
                do="give its metrics.json to --metrics, or leave the variant out of --variants",
            )
    for model in sorted(baselines - {run.model for run in runs}):
        raise UserError(
            "baseline is missing",
            where=f"{dataset}, {model}",
            found="no run",
            expected="its metrics.json, as for the other datasets",
        )


def over_seeds(intervals: Sequence[Interval], lowest: float = 0.0) -> Interval:
    """The mean over seeds, with both uncertainties in its interval, within [lowest, 100].

    The test videos are the same for every seed, so their uncertainty does not shrink with more
    seeds: each side of the interval is sqrt(mean half-width^2 + (t * s / sqrt(S))^2) from the
    mean, with s the standard deviation over S seeds and t Student's at S - 1. One seed keeps
    its bootstrap interval.
    """
    seeds = len(intervals)
    if seeds == 1:
        return intervals[0]
    mean = math.fsum(i.value for i in intervals) / seeds
    variance = math.fsum((i.value - mean) ** 2 for i in intervals) / (seeds - 1)
    over = T_975[min(seeds - 2, len(T_975) - 1)] ** 2 * variance / seeds
    below = math.fsum((i.value - i.ci_low) ** 2 for i in intervals) / seeds
    above = math.fsum((i.ci_high - i.value) ** 2 for i in intervals) / seeds
    low, high = mean - math.sqrt(below + over), mean + math.sqrt(above + over)
    return Interval(mean, max(lowest, low), min(100.0, high))
