"""How fast a large HDF5 of features is imported, in how much memory, against plain h5py.

The file is made here, in the layout of ActivityNet's published C3D features: a group a video with
`c3d_features` (n,500) float32. It is read right after it was written, so from the page cache: a
disk that reads slower than that is the bound. The import is the whole command in a process of its
own, its sha256 of the file included; plain reading is each dataset whole, in the same order.
"""

import contextlib
import dataclasses
import io
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mktn.errors import UserError
from mktn.seeds import named_rng

MEGABYTE = 1_000_000
CLIP, STRIDE, FPS = 16, 8, 30.0
SECONDS = (5.0, 231.0)  # of ActivityNet's videos; 118 in the middle


@dataclasses.dataclass(frozen=True)
class ImportBenchSettings:
    """megabytes of the values in the file; dimension D; folder to work in (the system's own).

    compression: gzip is how peers' converters write, and what is measured is then mostly that.
    """

    megabytes: int = 2000
    dimension: int = 500
    compression: Literal["none", "gzip"] = "none"
    repeats: int = 1
    folder: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("megabytes", "dimension", "repeats"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected at least 1")


def make_file(folder: Path, settings: ImportBenchSettings) -> tuple[int, int]:
    """Write features.hdf5 and pairs.parquet of its videos; gives videos and bytes of values."""
    import h5py
    import polars as pl

    from mktn.parquet import write_parquet

    rng = named_rng(settings.seed, "bench", "import")
    # The values of one long video, of which each takes a part from another row on.
    most = int(SECONDS[1] * FPS / STRIDE)
    values = rng.standard_normal((2 * most, settings.dimension), dtype=np.float32)
    durations: dict[str, float] = {}
    size = 0
    options = {"compression": "gzip"} if settings.compression == "gzip" else {}
    with h5py.File(folder / "features.hdf5", "w") as file:
        while size < settings.megabytes * MEGABYTE:
            duration_s = float(rng.uniform(*SECONDS))
            rows = max(1, int((duration_s * FPS - CLIP) / STRIDE) + 1)
            first = int(rng.integers(most))
            name = f"v_{len(durations):07d}"
            array = values[first : first + rows]
            file.create_dataset(f"{name}/c3d_features", data=array, **options)
            durations[name] = duration_s
            size += array.nbytes
    pairs = {"video_id": list(durations), "duration_s": list(durations.values())}
    write_parquet(pl.DataFrame(pairs), folder / "pairs.parquet")
    return len(durations), size


def read_plainly(folder: Path) -> float:
    """Seconds to read every dataset of the file whole with h5py."""
    import h5py

    began = time.perf_counter()
    with h5py.File(folder / "features.hdf5", "r") as file:
        for name in sorted(file):
            file[f"{name}/c3d_features"][:]
    return time.perf_counter() - began


def import_once(folder: Path, dimension: int) -> dict[str, float]:
    """Import the file in this process: seconds, peak MB, and MB before it began."""
    import h5py  # noqa: F401 its memory is taken before it counts

    from mktn.features import importers  # noqa: F401

    before = _status("VmRSS")
    began = time.perf_counter()
    command(folder, dimension)
    return {
        "seconds": time.perf_counter() - began,
        "peak_mb": _status("VmHWM") / MEGABYTE,
        "before_mb": before / MEGABYTE,
    }


def command(folder: Path, dimension: int) -> None:
    """Run `mktn import-features` on the file. Raises UserError with what it said."""
    from mktn.cli import main

    settings = {
        "backbone": "c3d", "key": "{name}/c3d_features", "dimension": dimension,
        "clip": CLIP, "stride": STRIDE, "fps": FPS,
    }  # fmt: skip
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        status = main([
            "import-features", "--from", str(folder / "features.hdf5"),
            "--pairs", str(folder / "pairs.parquet"), "--out", str(folder / "part-0.zarr"),
            "--part", "0", "--parts", "1", "--settings", json.dumps(settings),
        ])  # fmt: skip
    if status or ", 0 left out" not in said.getvalue():
        raise UserError("the import failed", found=said.getvalue()[-400:])


def summary(row: dict[str, Any]) -> str:
    """A row in words."""
    return (
        f"import of {row['input_mb']:.0f} MB ({row['videos']} videos of "
        f"{row['dimension']}, {row['compression']}): {row['mb_per_s']:.0f} MB/s, "
        f"{row['ratio_to_h5py']:.2f} x plain h5py ({row['h5py_mb_per_s']:.0f} MB/s); "
        f"peak {row['peak_mb']:.0f} MB, of which {row['before_mb']:.0f} before it began"
    )


def run(settings: ImportBenchSettings) -> Iterator[dict[str, Any]]:
    """One row: medians of the repeats, of which each reads plainly and then imports."""
    with tempfile.TemporaryDirectory(prefix="mktn-import-", dir=settings.folder) as name:
        folder = Path(name)
        needed = 2 * settings.megabytes * MEGABYTE
        if shutil.disk_usage(folder).free < needed:
            raise UserError(
                "too little room on the disk", where=folder, expected=f"{needed // MEGABYTE} MB",
                do="set folder or fewer megabytes",
            )  # fmt: skip
        videos, size = make_file(folder, settings)
        plain, imports = [], []
        for _ in range(settings.repeats):
            plain.append(read_plainly(folder))
            imports.append(_in_child(folder, settings.dimension))
    seconds = statistics.median(row["seconds"] for row in imports)
    h5py_s = statistics.median(plain)
    yield {
        "videos": videos,
        "input_mb": round(size / MEGABYTE, 1),
        "seconds": round(seconds, 2),
        "mb_per_s": round(size / MEGABYTE / seconds, 1),
        "h5py_mb_per_s": round(size / MEGABYTE / h5py_s, 1),
        "ratio_to_h5py": round(h5py_s / seconds, 3),
        "peak_mb": round(max(row["peak_mb"] for row in imports), 1),
        "before_mb": round(max(row["before_mb"] for row in imports), 1),
        **{k: v for k, v in dataclasses.asdict(settings).items() if k != "folder"},
    }


def _in_child(folder: Path, dimension: int) -> dict[str, float]:
    arguments = [sys.executable, "-m", "mktn.engine.import_bench", str(folder), str(dimension)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError("measuring the import failed", found=done.stderr.strip()[-400:])
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def _status(name: str) -> int:
    """Bytes of a field of this process; not `ru_maxrss`, which begins at the parent's."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise UserError("peak memory cannot be measured", found=f"no {name}", expected="Linux")


if __name__ == "__main__":
    print(json.dumps(import_once(Path(sys.argv[1]), int(sys.argv[2]))))
