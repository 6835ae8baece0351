"""`efficiency.json`: read strictly.

The format, version 1, as `mktn efficiency` writes it; a *spread* is {"value", "low", "high"}: the
median over rounds and the quartiles.

    {"format": 1, "source": "simulated", "dataset": "charades", "partition": "standard",
     "model": "mktn", "variant": "full", "seed": 0, "weights": "trained" | "random",
     "sizes": {"frames": 64, ...},
     "split": "test", "videos": 60, "queries": 167,           what was answered in each mode
     "split_videos": 1334, "split_queries": 3720,             of which it is a sample
     "device": "cpu" | "cuda", "device_name": "...", "cpus": 2, "dtype": "float32",
     "threads": 1, "torch": "2.9.1",
     "batch_queries": 56, "warm_up_batches": 10, "repeats": 7, "n": 5, "nms": 0.5,
     "load_average_before": [l1, l5, l15], "load_average_after": [...],
     "text_out": "...", "operations": "...", "memory": "...", what these are, in words
     "parameters": 1234, "parameters_by_part": {"video": 12, ...}, "weights_mb": 4.9,
     "modes": [{"mode": "origin" | "cached" | "batched" | "multi_pair", "text": "in" | "out",
                "batches": 3, "vps": spread, "qps": spread, "seconds_query": spread,
                "cpu_share": 0.99,                            processor seconds a second
                "gflops_query": 0.1 | null, "peak_mb": 55.1 | null}, ...],
     "ratios": [{"mode": "multi_pair", "text": "in", "against": "origin" | "cached",
                 "value": ..., "low": ..., "high": ...}, ...],
     "beside": {"source": "simulated", "dataset": "charades", "model": "mmn",
                "variant": "origin", "seed": 0, "weights": ..., "sizes": {...}, "ratios": [...]}}

Text "in" counts the time of the model's own text encoder, "out" does not; word and sentence
vectors are read from the text store in both. gflops_query and peak_mb stand with text "in" alone;
peak_mb is null where memory could not be measured. A ratio is speed over speed, of each round by
itself. "beside" is there where another system took turns with this one: its ratios are this one's
speed in a mode over the other's speed in "against". Keys beyond these are left alone.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from mktn.checksums import read_sealed_json
from mktn.datasets import PARTITIONS
from mktn.engine.efficiency_format import BASELINES, FORMAT, MODES, TEXT, WEIGHTS
from mktn.errors import UserError
from mktn.report.results import SOURCES

BUSY = 0.9  # a share of a processor below which something else took it
AGAIN = "run mktn efficiency again with this version"


@dataclass(frozen=True)
class Spread:
    """The median over rounds and its quartiles."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ModeFigures:
    """What one mode takes, with the text encoder's time in or out."""

    batches: int
    vps: Spread  # videos a second, each with all its queries
    qps: Spread
    seconds_query: Spread
    cpu_share: float
    gflops_query: float | None
    peak_mb: float | None


@dataclass(frozen=True)
class Beside:
    """Another system that took turns with the one measured; `ratios` as in Efficiency.

    `source` and `dataset`: of its training, which of an older file are those of the one measured.
    """

    source: str
    dataset: str
    model: str
    variant: str
    seed: int
    weights: str
    ratios: dict[tuple[str, str, str], Spread]  # against: a mode of the other

    @property
    def system(self) -> tuple[str, str, str, str]:
        """Source, dataset, model and variant, as of Efficiency."""
        return self.source, self.dataset, self.model, self.variant


@dataclass(frozen=True)
class Efficiency:
    """One `efficiency.json`; `modes` by (mode, text), `ratios` by (mode, text, against)."""

    path: Path
    source: str
    dataset: str
    partition: str
    model: str
    variant: str
    seed: int
    weights: str
    sizes: dict[str, Any]
    split: str
    videos: int
    queries: int
    split_videos: int
    split_queries: int
    device: str
    device_name: str
    cpus: int
    dtype: str
    threads: int
    torch: str
    batch_queries: int
    warm_up_batches: int
    repeats: int
    n: int
    nms: float
    load_average_before: tuple[float, ...]
    load_average_after: tuple[float, ...]
    text_out: str
    operations: str
    memory: str
    parameters: int
    parameters_by_part: dict[str, int]
    weights_mb: float
    modes: dict[tuple[str, str], ModeFigures]
    ratios: dict[tuple[str, str, str], Spread]
    beside: Beside | None = None

    @property
    def system(self) -> tuple[str, str, str, str]:
        """Source, dataset, model and variant."""
        return self.source, self.dataset, self.model, self.variant

    @property
    def busy(self) -> bool:
        """Whether, on a CPU, something else took the processor in one of the modes."""
        shares = [figures.cpu_share for figures in self.modes.values()]
        return self.device == "cpu" and min(shares) < BUSY


_TEXTS = (
    *("source", "dataset", "partition", "model", "variant", "weights", "split", "device"),
    *("device_name", "dtype", "torch", "text_out", "operations", "memory"),
)
_COUNTS = (
    *("videos", "queries", "split_videos", "split_queries", "cpus", "threads"),
    *("batch_queries", "warm_up_batches", "repeats", "n", "parameters"),
)
_KNOWN = {
    "source": SOURCES,
    "partition": tuple(PARTITIONS),
    "weights": WEIGHTS,
    "device": ("cpu", "cuda"),
}


def read_efficiency(path: Path) -> Efficiency:
    """One efficiency.json. Raises UserError when it is absent, damaged, or of another version."""
    path = Path(path)
    try:
        value = read_sealed_json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            "efficiency cannot be read",
            where=path,
            found=error,
            expected="JSON of mktn efficiency",
        ) from error
    found = value.get("format") if isinstance(value, dict) else type(value).__name__
    if found != FORMAT or isinstance(found, bool):
        raise UserError(
            "efficiency of an unknown format", where=path, found=found,
            expected=f"format {FORMAT}", do=AGAIN,
        )  # fmt: skip
    reading = _Reading(path)
    fields: dict[str, Any] = {name: reading.of(value, name, str) for name in _TEXTS}
    fields |= {name: reading.count(value, name) for name in _COUNTS}
    for name, known in _KNOWN.items():
        if fields[name] not in known:
            raise UserError(
                f"unknown {name}", where=path, found=fields[name], expected=", ".join(known)
            )
    for name in ("load_average_before", "load_average_after"):
        loads = reading.of(value, name, list)
        fields[name] = tuple(reading.number(dict(enumerate(loads)), i, name) for i in range(3))
    parts = reading.of(value, "parameters_by_part", dict)
    return Efficiency(
        path=path,
        seed=reading.of(value, "seed", int),
        nms=reading.number(value, "nms"),
        weights_mb=reading.number(value, "weights_mb"),
        sizes=reading.of(value, "sizes", dict),
        parameters_by_part={part: reading.count(parts, part) for part in parts},
        modes=_modes(reading, reading.of(value, "modes", list)),
        ratios=_ratios(reading, reading.of(value, "ratios", list)),
        beside=_beside(reading, value),
        **fields,
    )


def _beside(reading: "_Reading", value: dict[str, Any]) -> Beside | None:
    if "beside" not in value:
        return None
    given, where = reading.of(value, "beside", dict), "beside."
    given = {name: value[name] for name in ("source", "dataset")} | given
    return Beside(
        source=reading.one(given, "source", SOURCES, where),
        dataset=reading.of(given, "dataset", str, where),
        model=reading.of(given, "model", str, where),
        variant=reading.of(given, "variant", str, where),
        seed=reading.of(given, "seed", int, where),
        weights=reading.one(given, "weights", WEIGHTS, where),
        ratios=_ratios(reading, reading.of(given, "ratios", list, where)),
    )


def _modes(reading: "_Reading", rows: list[Any]) -> dict[tuple[str, str], ModeFigures]:
    modes: dict[tuple[str, str], ModeFigures] = {}
    for index, row in enumerate(rows):
        where = f"modes[{index}]."
        key = (reading.one(row, "mode", MODES, where), reading.one(row, "text", TEXT, where))
        reading.once(key, modes)
        spreads = {
            name: reading.spread(reading.of(row, name, dict, where), f"{where}{name}.")
            for name in ("vps", "qps", "seconds_query")
        }
        modes[key] = ModeFigures(
            batches=reading.count(row, "batches", where),
            cpu_share=reading.number(row, "cpu_share", where),
            gflops_query=reading.absent_or_number(row, "gflops_query", where),
            peak_mb=reading.absent_or_number(row, "peak_mb", where),
            **spreads,
        )
    for missing in ((mode, text) for text in TEXT for mode in MODES if (mode, text) not in modes):
        raise UserError(
            "a mode is missing", where=reading.path, expected=" and text ".join(missing)
        )
    return modes


def _ratios(reading: "_Reading", rows: list[Any]) -> dict[tuple[str, str, str], Spread]:
    ratios: dict[tuple[str, str, str], Spread] = {}
    for index, row in enumerate(rows):
        where = f"ratios[{index}]."
        known = {"mode": MODES, "text": TEXT, "against": BASELINES}
        mode, text, against = (reading.one(row, name, known[name], where) for name in known)
        reading.once((mode, text, against), ratios)
        ratios[mode, text, against] = reading.spread(row, where)
    return ratios


@dataclass(frozen=True)
class _Reading:
    """Values of a file that must be there and of their kind; UserError where they are not."""

    path: Path

    def of(self, row: Any, name: Any, kind: type, where: str = "") -> Any:
        value = row.get(name) if isinstance(row, dict) else None
        if not isinstance(value, kind) or isinstance(value, bool):
            self._refuse(f"{where}{name}", value, kind.__name__)
        return value

    def one(self, row: Any, name: str, known: tuple[str, ...], where: str) -> str:
        value = row.get(name) if isinstance(row, dict) else None
        if value not in known:
            self._refuse(f"{where}{name}", value, ", ".join(known))
        return str(value)

    def count(self, row: Any, name: str, where: str = "") -> int:
        value = self.of(row, name, int, where)
        if value < 0:
            self._refuse(f"{where}{name}", value, "a count")
        return int(value)

    def number(self, row: Any, name: Any, where: str = "") -> float:
        value = row.get(name) if isinstance(row, dict) else None
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            return float(value)
        self._refuse(f"{where}{name}", value, "a finite number")

    def absent_or_number(self, row: Any, name: str, where: str) -> float | None:
        if isinstance(row, dict) and name in row and row[name] is None:
            return None
        return self.number(row, name, where)

    def spread(self, row: Any, where: str) -> Spread:
        return Spread(*(self.number(row, name, where) for name in ("value", "low", "high")))

    def once(self, key: tuple[str, ...], held: Any) -> None:
        if key in held:
            raise UserError("a figure stands twice", where=self.path, found=", ".join(key))

    def _refuse(self, where: str, found: object, expected: str) -> NoReturn:
        raise UserError(
            "missing or wrong key", where=f"{self.path}, {where}", found=repr(found)[:120],
            expected=expected,
        )  # fmt: skip
