"""Efficiency of our systems as tables and figures show it: read, checked against each other."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mktn.errors import UserError
from mktn.report.efficiency_files import Efficiency, Spread, read_efficiency
from mktn.report.lines import Layout, Line, Shown, System, name_of
from mktn.report.results import Interval, Run

# The model's own text encoder counts; word and sentence vectors are read before.
TEXT = "in"
# What speeds that stand in one table share, beside their dataset.
SHARED = (
    *("source", "split", "videos", "queries", "device", "device_name", "cpus"),
    *("dtype", "threads", "torch", "batch_queries", "n", "nms"),
)
MEBI = 2**20
# Name of a ratio -> the mode of the origin that it is against.
AGAINST = {"origin": "origin", "cached": "cached", "together": "multi_pair"}


@dataclass(frozen=True)
class Speed:
    """What a table shows of a system's efficiency, by the metrics of `lines.Quantity`.

    An interval is that of the quartiles over rounds, NaN where the value is exact.
    """

    source: str
    dataset: str
    system: System
    queries: int
    where: str  # on what it was measured: a line
    load: float  # average of the machine before, over a minute
    busy: bool  # whether something else took the processor meanwhile
    quantities: Mapping[str, Interval]


def read_speeds(
    paths: Sequence[Path], layout: Layout, systems: Sequence[System], runs: Sequence[Run]
) -> list[Speed]:
    """What the table shows of each system, on the datasets of `runs` or, without, of the files.

    Raises UserError as `read_systems` does, and where a system has no file.
    """
    found = read_systems(paths, systems, layout, runs)
    if not layout.quantities:
        return []
    named = dict.fromkeys([run.dataset for run in runs] or [dataset for dataset, _ in found])
    line_of = {line.system: line for line in layout.lines}
    speeds = []
    for dataset in named:
        for system in systems:
            own = measured(found, dataset, system, systems)
            reference = layout.reference_of(system)
            other = found.get((dataset, reference)) if reference else None
            shown = _quantities(line_of[system], own, other)
            kept = {q.metric: shown[q.metric] for q in layout.quantities if q.metric in shown}
            speeds.append(
                Speed(
                    own.source,
                    dataset,
                    system,
                    own.queries,
                    conditions(own),
                    own.load_average_before[0],
                    own.busy,
                    kept,
                )
            )
    return speeds


def read_systems(
    paths: Sequence[Path], systems: Sequence[System], shown: Shown, runs: Sequence[Run]
) -> dict[tuple[str, System], Efficiency]:
    """`{(dataset, system): its efficiency.json}`, those of a dataset measured in the same way.

    Raises UserError where a file stands twice, is of a system, dataset or partition that is not
    shown, of another source than `runs`, or was measured otherwise than others of its dataset.
    """
    found: dict[tuple[str, System], Efficiency] = {}
    for path in paths:
        one = read_efficiency(path)
        key = one.dataset, (one.model, one.variant)
        if not shown.holds(one.dataset, one.source) or key[1] not in systems:
            theirs = ", ".join("/".join(system) for system in systems)
            raise UserError(
                "efficiency does not belong in the table",
                where=path,
                found=f"{one.model}/{one.variant} on {one.dataset}",
                expected=f"{theirs} on {', '.join(shown.datasets)}",
            )
        if key in found:
            raise UserError(
                "efficiency stands twice", where=path, expected=f"it once, as in {found[key].path}"
            )
        _check_belongs(one, runs)
        for name in SHARED:
            first = next((other for (at, _), other in found.items() if at == one.dataset), one)
            if getattr(one, name) != getattr(first, name):
                raise UserError(
                    f"efficiencies of one dataset differ in {name}",
                    where=path,
                    found=getattr(one, name),
                    expected=f"{getattr(first, name)}, as in {first.path}",
                    do="measure them again in the same way, on one machine",
                )
        found[key] = one
    return found


def _check_belongs(one: Efficiency, runs: Sequence[Run]) -> None:
    """Refuse another partition than the papers' and another source than that of the scores."""
    first = runs[0] if runs else None
    for name, expected, why in (
        ("partition", "standard", "of the paper"),
        ("source", first.source if first else one.source, f"as in {first.path}" if first else ""),
    ):
        if getattr(one, name) != expected:
            raise UserError(
                f"efficiency is of another {name}",
                where=one.path,
                found=getattr(one, name),
                expected=f"{expected}, {why}",
            )


def measured(
    found: Mapping[tuple[str, System], Efficiency],
    dataset: str,
    system: System,
    systems: Sequence[System],
) -> Efficiency:
    """The efficiency of a system. Raises UserError where it is missing."""
    if (dataset, system) not in found:
        raise UserError(
            "efficiency of a system is missing",
            where=f"{dataset}, {name_of(system, systems)}",
            found="no file",
            expected="its efficiency.json",
            do="give it to --efficiency, or leave the system out of --variants",
        )
    return found[dataset, system]


def conditions(one: Efficiency) -> str:
    """On what and of what it was measured, in a line."""
    threads = f"{one.threads} thread{'' if one.threads == 1 else 's'}"
    return (
        f"{one.device_name} ({one.device}), {threads}, {one.dtype}, at most"
        f" {one.batch_queries} queries a batch; {one.queries} of {one.split_queries} {one.split}"
        f" queries, {one.videos} of {one.split_videos} videos; the time of the model's own text"
        f" encoder counts; medians and quartiles of {one.repeats} rounds"
    )


def _quantities(line: Line, own: Efficiency, origin: Efficiency | None) -> dict[str, Interval]:
    """Every quantity of a line; ratios where it is compared with the `origin` of its model."""
    mode = own.modes[line.mode, TEXT]
    shown = {
        "VPS": interval(mode.vps),
        "run_time_s": interval(mode.seconds_query),
        "params_M": _exact(own.parameters / 1e6),
        "size_MiB": _exact(own.parameters * 4 / MEBI),  # float32
    }
    if line.mode == "origin":
        shown["VPS_cached"] = interval(own.modes["cached", TEXT].vps)
        shown["VPS_together"] = interval(own.modes["multi_pair", TEXT].vps)
    elif origin is not None:
        for name, against in AGAINST.items():
            shown[f"VPS_over_{name}"] = _ratio(line.mode, own, origin, against)
    return shown


def _ratio(mode: str, own: Efficiency, origin: Efficiency, against: str) -> Interval:
    """Speed over that of `origin` in the mode `against`.

    Of the same rounds where the two took turns, else with the widest quotient of the quartiles.
    """
    beside = own.beside
    if beside is not None and beside.system == origin.system:
        paired = beside.ratios.get((mode, TEXT, against))
        if paired is not None:
            return interval(paired)
    above, below = own.modes[mode, TEXT].vps, origin.modes[against, TEXT].vps
    return Interval(above.value / below.value, above.low / below.high, above.high / below.low)


def interval(spread: Spread) -> Interval:
    """The median with its quartiles."""
    return Interval(spread.value, spread.low, spread.high)


def _exact(value: float) -> Interval:
    return Interval(value, math.nan, math.nan)
