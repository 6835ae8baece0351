"""Efficiency of our systems as tables show it."""

from collections.abc import Mapping
from dataclasses import dataclass

from mktn.report.lines import System
from mktn.report.results import Interval


@dataclass(frozen=True)
class Speed:
    """What was measured of a system on a dataset, by the metrics of `lines.Quantity`."""

    source: str
    dataset: str
    system: System
    queries: int
    seeds: int
    features: str
    where: str  # device, threads, dtype: a line
    quantities: Mapping[str, Interval]


def read_speeds(paths, layout, systems, runs):
    return []
