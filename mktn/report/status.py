"""`mktn status`: which runs are done, running, interrupted and failed, and their best scores."""

import argparse
import dataclasses
import itertools
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mktn.errors import UserError
from mktn.report.layouts import TABLES, asked_of, tables_of
from mktn.report.lines import System
from mktn.report.run_status import STATES, RunStatus, all_statuses, duration, not_started, order

WIDTH = 100


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `mktn status`."""
    parser.add_argument("runs", nargs="?", default="runs", type=Path, help="default: runs")
    parser.add_argument("--json", action="store_true", help="a JSON list, an object a run")
    parser.add_argument(
        "--config", nargs="+", help="configuration files: list the runs that have not started too"
    )


def run(arguments: argparse.Namespace) -> None:
    """Print the table; it writes nothing."""
    folder = arguments.runs
    if not folder.exists() and not arguments.config and _works_beside(folder):
        logs = folder.parent / "logs"
        where = f"logs: {logs}" if logs.is_dir() else "and there are no logs yet"
        # Where JSON is asked for, standard output is JSON.
        print(f"no training has begun; {where}", file=sys.stderr if arguments.json else sys.stdout)
        if arguments.json:
            print("[]")
        return
    if not folder.is_dir() and not arguments.config:
        raise UserError(
            "no folder of runs",
            where=folder,
            found="a file" if folder.exists() else "nothing",
            expected="what snakemake made, as runs/",
            do="name it: mktn status DIRECTORY",
        )
    runs = all_statuses(folder, time.time())
    if arguments.config:
        runs += not_started(configured_runs(_configuration(arguments.config)), folder, runs)
        runs.sort(key=order)
    if arguments.json:
        print(json.dumps([dataclasses.asdict(run) for run in runs], indent=2))
    else:
        for line in table(runs):
            # Names and errors may hold anything.
            print("".join(letter if letter.isprintable() else "?" for letter in line))


def _works_beside(folder: Path) -> bool:
    """Whether Snakemake works, or has worked, where the pipeline's own `runs` would be."""
    beside = (folder.parent / name for name in ("logs", ".snakemake"))
    return folder.name == "runs" and any(path.is_dir() for path in beside)


def table(runs: Sequence[RunStatus]) -> Iterator[str]:
    """Lines for a person: a block a model and dataset, then the counts."""
    for names, block in itertools.groupby(runs, key=lambda r: (r.source, r.dataset, r.model)):
        members = [*block]
        ious = list(dict.fromkeys(iou for member in members for iou in member.recall))
        yield " / ".join(name for name in names if name)
        scores = f"R@1 at {'/'.join(ious)}" if ious else ""
        yield _line("variant", "seed", "state", "epoch", "best mIoU", "since", "left", scores)
        for member in members:
            yield from _lines(member, ious)
        yield ""
    yield counts(runs)


def counts(runs: Sequence[RunStatus]) -> str:
    """`5 runs: 2 evaluated, 1 running, ...`."""
    found = Counter(run.state for run in runs)
    said = ", ".join(f"{found[state]} {state}" for state in STATES if found[state])
    return f"{len(runs)} run{'' if len(runs) == 1 else 's'}" + (f": {said}" if said else "")


def configured_runs(config: Mapping[str, Any]) -> list[str]:
    """The runs that the configured tables need, as {source}/{dataset}/{model}/{variant}/seed{n}.

    Raises UserError where the configuration has not the keys for it.
    """
    try:
        partition = config.get("pairs", {}).get("partition", "standard")
        place = config["source"] + ("" if partition == "standard" else f"-{partition}")
        needed = _needed(config, partition == "standard")
        runs = [
            f"{place}/{dataset}/{model}/{variant}/seed{int(seed)}"
            for dataset, (model, variant) in needed
            for seed in config["seeds"]
        ]
        first = int(config["seeds"][0])
        return runs + [
            f"{place}/{dataset}/{baseline}/baseline/seed{first}"
            for dataset in dict.fromkeys(dataset for dataset, _ in needed)
            for baseline in config["baselines"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise UserError(
            "not the configuration of a workflow",
            where="--config",
            found=f"{type(error).__name__} {error}",
            expected="config.yaml, and what is laid over it",
        ) from error


def _needed(config: Mapping[str, Any], standard: bool) -> list[tuple[str, System]]:
    """Each trained system on each dataset, once; another partition has its test sets alone."""
    if not standard:
        return [(d, (config["model"], v)) for d in config["datasets"] for v in config["variants"]]
    needed: dict[tuple[str, System], None] = {}
    for name in tables_of(config):
        datasets, systems = asked_of(TABLES[name], config)
        needed |= dict.fromkeys((d, system) for d in datasets for system in systems)
    return list(needed)


def _configuration(files: Sequence[str]) -> dict[str, Any]:
    """The files laid over each other, as Snakemake does with --configfile."""
    from mktn.config import overlay, read_settings

    merged: dict[str, Any] = {}
    for file in files:
        merged = overlay(merged, read_settings(file))
    return merged


def _lines(run: RunStatus, ious: Sequence[str]) -> Iterator[str]:
    epoch = "" if run.epoch is None else f"{run.epoch}/{run.epochs or '?'}"
    best = "" if run.best is None else f"{run.best:.2f} at {run.best_epoch}"
    since = "" if run.elapsed_s is None else short(run.elapsed_s)
    left = "" if run.left_s is None else short(run.left_s)
    scores = "/".join(f"{run.recall[iou]:.1f}" if iou in run.recall else "-" for iou in ious)
    last = scores if run.recall else run.where or ""
    yield _line(run.variant, str(run.seed), run.state, epoch, best, since, left, last)
    for text in (run.note, run.error):
        if text:
            line = f"      {text}"
            yield line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"
    if run.log and run.state in ("failed", "interrupted"):
        yield f"      log: {_near(run.log)}"


def _line(variant: str, seed: str, state: str, epoch: str, best: str, *rest: str) -> str:
    since, left, last = rest
    line = f"  {variant:<19} {seed:>4}  {state:<11} {epoch:>7}  {best:>12}  {since:>6}  {left:>6}"
    return f"{line}  {last}".rstrip()


def short(seconds: float) -> str:
    """A duration in six characters: 45s, 12m, 3h20m, 2d4h."""
    return duration(seconds).replace("min", "m").replace(" ", "")


def _near(path: str) -> str:
    """The path from here, where that is below."""
    near = os.path.relpath(path)
    return path if near.startswith("..") else near
