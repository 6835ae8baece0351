"""The numbers of Figures 3a and 3b of the MKTN paper: scores and speeds of our systems."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mktn.errors import UserError
from mktn.report.efficiency_files import Efficiency, Spread
from mktn.report.layouts import TABLES
from mktn.report.lines import Figure, Line, System
from mktn.report.reported import read_reported
from mktn.report.results import Key, Run, over_seeds
from mktn.report.rows import significant, two_decimals
from mktn.report.speeds import TEXT, conditions, measured, read_systems

POINTS = (
    *("method", "type", "model", "variant", "dataset", "mode", "metric", "n", "iou"),
    *("value", "ci_low", "ci_high", "queries", "seeds", "reported"),
    *("qps", "qps_low", "qps_high", "busy", "measured_on", "source"),
)
BARS = (
    *("method", "type", "model", "variant", "dataset", "mode", "metric"),
    *("value", "low", "high", "reported", "queries", "busy", "measured_on", "source"),
)
RECALL: Key = ("R", 1, 0.5)
VPS: Key = ("VPS", None, None)
# `busy`: 1 where something else took the processor while the system was measured, else 0.


def speed_rows(
    figure: Figure,
    systems: Sequence[System],
    runs: Sequence[Run],
    efficiency: Sequence[Path],
    reported_csv: Path,
) -> list[list[object]]:
    """Rows of POINTS where the figure is scored, else of BARS; a dataset after the other.

    Raises UserError as `read_systems` and `read_reported` do, and where R@1 of a system is absent.
    """
    speeds = read_systems(efficiency, systems, figure, runs)
    reported = _reported(reported_csv, figure)
    rows: list[list[object]] = []
    for dataset in dict.fromkeys(dataset for dataset, _ in speeds):
        for line in (line for line in figure.lines if line.system in systems):
            own = measured(speeds, dataset, line.system, systems)
            printed = reported.get((dataset, line.system), "")
            if figure.scored:
                rows.append(_point(line, own, runs, printed))
            else:
                rows += _bars(line, own, printed)
    return rows


def _reported(path: Path, figure: Figure) -> dict[tuple[str, System], str]:
    """What the paper's tables print of the figure's metric, by dataset and system."""
    found: dict[tuple[str, System], str] = {}
    for table in figure.reported_in:
        for (dataset, system, key), printed in read_reported(
            path, TABLES[table]
        ).of_system.items():
            if key == (RECALL if figure.scored else VPS):
                found.setdefault((dataset, system), printed)
    return found


def _point(line: Line, own: Efficiency, runs: Sequence[Run], printed: str) -> list[object]:
    """R@1 over seeds against QPS."""
    scored = [run for run in runs if (run.dataset, run.system) == (own.dataset, line.system)]
    if not scored or RECALL not in scored[0].metrics:
        raise UserError(
            "no R@1, IoU=0.5 of a system",
            where=scored[0].path if scored else "--metrics",
            expected=f"that of {'/'.join(line.system)} on {own.dataset}",
        )
    recall = over_seeds([run.metrics[RECALL] for run in scored])
    return [
        *(line.method, line.type, *line.system, own.dataset, line.mode, *RECALL),
        *(*two_decimals(recall), scored[0].queries, len(scored), printed),
        *(*_three(own.modes[line.mode, TEXT].qps), int(own.busy), conditions(own), own.source),
    ]


def _bars(line: Line, own: Efficiency, printed: str) -> Iterator[list[object]]:
    """VPS in the line's mode and, of a model alone, with each video encoded once and together."""
    for mode in (line.mode, "cached", "multi_pair") if line.mode == "origin" else (line.mode,):
        yield [
            *(line.method, line.type, *line.system, own.dataset, mode, "VPS"),
            *(*_three(own.modes[mode, TEXT].vps), printed if mode == line.mode else ""),
            *(own.queries, int(own.busy), conditions(own), own.source),
        ]


def _three(spread: Spread) -> list[str]:
    return [significant(number) for number in (spread.value, spread.low, spread.high)]
