"""How `mktn resample` fares when the same videos lie in more and more parts: time, memory, files.

Parts are made here, of random rows, and each number of parts is resampled by the command in a
process of its own, which may hold `open_files` at once.
"""

import dataclasses
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mktn.engine.dag_bench import measured
from mktn.seeds import named_rng

RESAMPLE = (
    "import resource, sys; from mktn.cli import main; "
    "hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]; "
    "resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv.pop(1)), hard)); "
    "sys.exit(main(sys.argv[1:]))"
)


@dataclasses.dataclass(frozen=True)
class PartsSettings:
    """videos, a multiple of each of `parts`, have `rows` clips of D; parts[0] is the base."""

    parts: tuple[int, ...] = (10, 100, 1000)
    videos: int = 4000
    rows: int = 10
    dimension: int = 64
    frames: int = 16
    repeats: int = 3
    open_files: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("videos", "rows", "dimension", "frames", "repeats"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected at least 1")
        if not self.parts or any(n < 1 or self.videos % n for n in self.parts):
            raise ValueError(f"parts {self.parts}: expected divisors of videos {self.videos}")


def run(settings: PartsSettings) -> Iterator[dict[str, Any]]:
    """A row a number of parts: medians of the repeats, in which the numbers take turns."""
    with tempfile.TemporaryDirectory() as name:
        folders = {parts: Path(name) / str(parts) for parts in settings.parts}
        for parts, folder in folders.items():
            make_parts(folder, parts, settings)
        found: dict[int, list[tuple[float, int]]] = {parts: [] for parts in settings.parts}
        for _ in range(settings.repeats):
            for parts, folder in folders.items():
                command = [
                    *(sys.executable, "-c", RESAMPLE, str(settings.open_files), "resample"),
                    *("--features", str(folder), "--pairs", str(folder / "pairs.parquet")),
                    *("--frames", str(settings.frames), "--out", str(folder / "t.zarr")),
                ]
                _, cpu_s, peak, _ = measured(command)
                found[parts].append((cpu_s, peak))
    base = statistics.median(cpu_s for cpu_s, _ in found[settings.parts[0]])
    for parts, runs in found.items():
        cpu_s = statistics.median(cpu_s for cpu_s, _ in runs)
        yield {
            "parts": parts,
            "videos": settings.videos,
            "cpu_s": round(cpu_s, 2),
            "peak_mb": round(statistics.median(peak for _, peak in runs) / 1e6, 1),
            "ratio_to_base": round(cpu_s / base, 2),
            "open_files": settings.open_files,
            "repeats": settings.repeats,
        }


def summary(row: dict[str, Any]) -> str:
    """A row for a person."""
    return (
        f"{row['videos']} videos in {row['parts']} parts: {row['cpu_s']} s of a core, "
        f"{row['peak_mb']} MB, {row['ratio_to_base']} x the base"
    )


def make_parts(folder: Path, parts: int, settings: PartsSettings) -> None:
    """Write part-*.zarr and pairs.parquet of all their videos."""
    import polars as pl

    from mktn.features.writers import PartWriter
    from mktn.parquet import write_parquet

    rng = named_rng(settings.seed, "bench", "parts")
    clips = rng.standard_normal((settings.rows, settings.dimension)).astype(np.float16)
    start_s = np.arange(settings.rows, dtype=np.float32)
    span_s = np.stack([start_s, start_s + 2], axis=1)
    duration_s = settings.rows + 1.0
    names = [f"v{number}" for number in range(settings.videos)]
    for part in range(parts):
        path = folder / f"part-{part}.zarr"
        with PartWriter(path, part, settings.dimension, 0, 0) as writer:
            for name in names[part::parts]:
                writer.append(name, clips, None, span_s, duration_s)
    rows = [("charades", "train", n, f"train/{n}#0", "a", 0, 0.0, 1.0, duration_s) for n in names]
    columns = ("dataset", "split", "video_id", "pair_id", "sentence", "order")
    frame = pl.DataFrame(rows, (*columns, "start_s", "end_s", "duration_s"), orient="row")
    write_parquet(frame, folder / "pairs.parquet")
