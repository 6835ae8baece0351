"""How far each run of a folder is, from its files alone: nothing is written, no file is trusted.

A run's folder is {source}/{dataset}/{model}/{variant}/seed{n}.
"""

import dataclasses
import json
import math
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mktn.engine.run_state import RunState, alive, best_of, read_state, silence_s
from mktn.job_log import ended, last_lines

TRAINED = ("model.safetensors", "config.json", "log.parquet")
DEPTH = 5  # folders from the runs' to a run's
# In the order in which they are counted. "empty": a folder with no run in it.
STATES = ("evaluated", "done", "running", "interrupted", "failed", "empty", "not started")


@dataclasses.dataclass(frozen=True)
class RunStatus:
    """One run; what is not known is None. Durations are in seconds, scores in per cent."""

    path: str
    source: str
    dataset: str
    model: str
    variant: str
    seed: int
    state: str  # one of STATES
    epoch: int | None = None  # finished
    epochs: int | None = None  # at most
    best: float | None = None  # validation mIoU
    best_epoch: int | None = None  # from 0
    elapsed_s: float | None = None  # since it started, while it runs
    left_s: float | None = None  # at most
    where: str | None = None  # host and process or job
    note: str | None = None  # what else a person should know
    error: str | None = None
    log: str | None = None
    recall: dict[str, float] = dataclasses.field(default_factory=dict)  # IoU -> R@1


def all_statuses(folder: Path, now: float) -> list[RunStatus]:
    """The status of each run below `folder`, sorted by path, seeds as numbers."""
    found = [_status(path, folder, now) for path in _run_folders(folder)]
    return sorted(found, key=order)


def order(run: RunStatus) -> tuple[object, ...]:
    """By which runs are sorted."""
    return run.source, run.dataset, run.model, run.variant, run.seed, run.path


def not_started(
    configured: Sequence[str], folder: Path, runs: Sequence[RunStatus]
) -> Iterator[RunStatus]:
    """Those of `configured` (paths below `folder`) of which there is no folder."""
    there = {run.path for run in runs}
    for name in configured:
        path = folder / name
        if str(path) not in there:
            yield RunStatus(str(path), **_names(path), state="not started")


def _run_folders(folder: Path) -> Iterator[Path]:
    for root, names, _ in os.walk(folder, followlinks=True):
        depth = len(Path(root).relative_to(folder).parts)
        runs = [name for name in names if re.fullmatch(r"seed\d{1,18}", name)]
        yield from (Path(root) / name for name in runs)
        # Links may lead in a circle.
        names[:] = [name for name in names if name not in runs] if depth < DEPTH - 1 else []


def _names(path: Path) -> dict[str, Any]:
    parts = ["", "", "", "", *Path(os.path.abspath(path)).parts]
    source, dataset, model, variant, seed = parts[-5:]
    named = {"source": source, "dataset": dataset, "model": model, "variant": variant}
    return named | {"seed": int(seed.removeprefix("seed"))}


def _status(path: Path, folder: Path, now: float) -> RunStatus:
    told = read_state(path)
    trained = all(os.path.isfile(path / name) for name in TRAINED)
    evaluated = any(os.path.isfile(file) for file in path.glob("metrics*.json"))
    known: dict[str, Any] = {}
    works = alive(told, now) if told and told.state == "running" else False
    if told and works is not False:
        state = "running"
        known = _running(told, now)
    elif trained or (evaluated and not told):
        state = "evaluated" if evaluated else "done"
        if told and told.state != "done" and told.updated > os.path.getmtime(path / TRAINED[0]):
            known = {"note": f"a later training here: {_stopped(told, now)[0]}"}
    elif told and told.state != "done":
        state, known = _stopped(told, now)
        if known.get("note") and not os.path.isfile(path / "resume.safetensors"):
            known["note"] = known["note"].replace("it goes on", "it begins anew")
    elif os.path.isfile(path / "resume.safetensors"):
        state, known = "interrupted", {"note": "it goes on when it is run again"}
    else:
        state = "empty"
        if told:
            known = {"note": "it was done; its files were removed"}
    if state in ("done", "evaluated") and trained:
        known |= _finished(path)
    elif told:
        known |= {"epoch": told.epoch, "epochs": told.epochs}
        known |= {"best": told.best, "best_epoch": told.best_epoch}
    if state == "evaluated":
        known["recall"] = _recall(_json(path / "metrics.json"))
    return RunStatus(str(path), **_names(path), state=state, **known)


def _running(told: RunState, now: float) -> dict[str, Any]:
    left = None
    if told.epoch_s is not None:
        left = max(0.0, (told.epochs - told.epoch - told.share) * told.epoch_s)
    silent = silence_s(told, now)
    note = None if silent is None else f"no sign for {duration(silent)}"
    started = max(0.0, now - told.started)
    return {"elapsed_s": started, "left_s": left, "where": _where(told), "note": note}


def _stopped(told: RunState, now: float) -> tuple[str, dict[str, Any]]:
    """A run whose process is gone, or said that it stopped."""
    known: dict[str, Any] = {"where": _where(told), "log": told.log}
    log = Path(told.log) if told.log else None
    if told.state == "interrupted":
        return "interrupted", known | {"note": "it goes on when it is run again"}
    if told.state == "failed":
        return "failed", known | {"error": told.error}
    # It could not say how it ended; perhaps its log does.
    status = ended(log) if log and os.path.isfile(log) else None
    if log and status is not None and 0 < status < 128:
        return "failed", known | {"error": next(iter(last_lines(log, 1)), None)}
    if told.host != socket.gethostname():
        return "interrupted", known | {"note": f"no sign for {duration(now - told.updated)}"}
    return "interrupted", known | {"note": "its process is gone; it goes on when it is run again"}


def _where(told: RunState) -> str:
    return f"{told.host} job {told.slurm_job}" if told.slurm_job else f"{told.host} pid {told.pid}"


def _finished(path: Path) -> dict[str, Any]:
    """What the files of a whole run say."""
    import polars as pl

    known: dict[str, Any] = {}
    config = _json(path / "config.json") or {}
    train = config.get("train")
    epochs = train.get("epochs") if isinstance(train, Mapping) else None
    if isinstance(epochs, int):
        known["epochs"] = epochs
    try:
        log = pl.read_parquet(path / "log.parquet", columns=["epoch", "val_mIoU"])
        known["epoch"] = len(log)
        known["best"], known["best_epoch"] = best_of(log.to_dicts())
    except Exception as error:  # polars has many, and a foreign file is no reason to stop
        known["note"] = f"log.parquet cannot be read ({type(error).__name__})"
    return known


def _recall(metrics: Mapping[str, Any] | None) -> dict[str, float]:
    """R@1 in per cent by IoU, as far as metrics.json has it."""
    found: dict[str, float] = {}
    rows = (metrics or {}).get("metrics")
    for row in rows if isinstance(rows, list) else []:
        if not isinstance(row, Mapping) or (row.get("metric"), row.get("n")) != ("R", 1):
            continue
        iou, value = row.get("iou"), row.get("value")
        if (
            isinstance(iou, int | float)
            and isinstance(value, int | float)
            and math.isfinite(value)
        ):
            found[f"{iou:g}"] = float(value)
    return found


def _json(path: Path) -> dict[str, Any] | None:
    try:
        if not os.path.isfile(path):  # reading a pipe would wait
            return None
        value = json.loads(path.read_text(encoding="utf-8"))
        return value if isinstance(value, dict) else None
    except (OSError, ValueError, RecursionError):
        return None


def duration(seconds: float) -> str:
    """A duration in its two largest units: 45 s, 12 min, 3 h, 3 h 20 min, 2 d 4 h."""
    minutes = int(seconds // 60)
    if minutes < 1:
        return f"{max(0, int(seconds))} s"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
