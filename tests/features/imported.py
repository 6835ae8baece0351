"""What the tests of imported features share: the command, and pairs of given durations."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mktn.cli import main
from mktn.features.store import FeatureStore


def pairs(folder: Path, durations_s: dict[str, float]) -> Path:
    path = folder / "pairs.parquet"
    columns = {"video_id": list(durations_s), "duration_s": list(durations_s.values())}
    pl.DataFrame(columns).write_parquet(path)
    return path


def run(source: Path, pairs_path: Path, folder: Path, settings: dict[str, Any], *more: str) -> int:
    """The exit status of `mktn import-features`; the part is part-0.zarr of the folder."""
    given = {"backbone": "c3d", "dimension": 4, **settings}
    if "preset" in settings:
        given = settings
    return main([
        "import-features", "--from", str(source), "--pairs", str(pairs_path),
        "--out", str(folder / "part-0.zarr"), "--part", "0", "--parts", "1",
        "--settings", json.dumps(given), *more,
    ])  # fmt: skip


def imported(
    source: Path, durations_s: dict[str, float], folder: Path, settings: dict[str, Any], *more: str
) -> FeatureStore:
    folder.mkdir(exist_ok=True)
    assert run(source, pairs(folder, durations_s), folder, settings, *more) == 0
    return FeatureStore(folder)


def imported_part(
    source: Path, pairs_path: Path, folder: Path, part: int, parts: int, **settings: Any
) -> FeatureStore:
    """The store of one part of several; clips of 16 every 8 at 8 frames a second."""
    given = {"backbone": "c3d", "dimension": 4, "clip": 16, "stride": 8, "fps": 8, **settings}
    out = folder / f"part-{part}.zarr"
    assert main([
        "import-features", "--from", str(source), "--pairs", str(pairs_path), "--out", str(out),
        "--part", str(part), "--parts", str(parts), "--settings", json.dumps(given),
    ]) == 0  # fmt: skip
    return FeatureStore(out)


def rows_in(duration_s: float, clip: int, stride: int, fps: float) -> int:
    """Rows of an extractor that leaves the last part of a clip out."""
    return int((duration_s * fps - clip) // stride) + 1


def features(rows: int, dimension: int = 4, start: int = 0) -> np.ndarray:
    """float32 (rows, dimension) that float16 holds exactly, no two rows the same."""
    first = np.arange(start, start + rows)[:, None] % 2048
    return (first + np.arange(dimension) % 2 / 2).astype(np.float32)
