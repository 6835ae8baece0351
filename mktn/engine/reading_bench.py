"""How fast features are read: ours, HDF5 as peers read it, and a NumPy memory map, in one run.

V videos, T frames, D global feature, C patches. Every reader reads the same videos in the same
shuffled order, in rounds in which the readers take turns; the page cache is warm. A reader of a
batch gives one array (V,T,D), and one (V,T,C,D) where there are patches. `parts` are clip rows,
as `mktn resample` reads them.
"""

import dataclasses
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mktn.seeds import named_rng

REOPENED = "h5py, reopened for each video"
MEMORY_MAP = "numpy memmap"
STORE = "store"
PRELOADED = "store, preloaded"
# Opened anew and read whole, as a job begins: with its checksums, and without.
CHECKED, UNCHECKED = "store, opened, checked", "store, opened, unchecked"
# (reader, batch or one video) -> what it is compared with, and the ratio it is to reach
FIGURES: dict[tuple[str, str], tuple[str, float | None]] = {
    (STORE, "batch"): (REOPENED, 1.3),
    (STORE, "video"): (REOPENED, 1.0),
    (PRELOADED, "batch"): (MEMORY_MAP, 0.6),
    (CHECKED, "whole"): (UNCHECKED, None),
    (UNCHECKED, "whole"): (UNCHECKED, None),
}

Read = Callable[[Sequence[int]], Any]


@dataclasses.dataclass(frozen=True)
class ReadingSettings:
    """Sizes of the features (262 MB), and how long to measure.

    folder: where the files are made for the time of the run (five times the features), by
    default the system's folder for temporary files.
    """

    videos: int = 400
    frames: int = 320
    dimension: int = 1024
    patches: int = 0
    batch: int = 32
    repeats: int = 9  # rounds; medians are reported
    seed: int = 0
    folder: str = ""

    def __post_init__(self) -> None:
        for name in ("videos", "frames", "dimension", "batch", "repeats"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected at least 1")
        if self.patches < 0:
            raise ValueError(f"patches {self.patches}: expected at least 0")


def run(settings: ReadingSettings) -> Iterator[dict[str, Any]]:
    """One row a reader and way of reading: the median rate, its quartiles, and the ratio."""
    with tempfile.TemporaryDirectory(dir=settings.folder or None) as folder:
        size = write_features(Path(folder), settings)
        readers = open_readers(Path(folder), settings)
        for reading, count in videos_a_read(settings).items():
            chosen = {name: read for (name, way), read in readers.items() if way == reading}
            seconds = measure(chosen, settings, count)
            for name in chosen:
                yield row_of(name, reading, seconds, size, settings)


def videos_a_read(settings: ReadingSettings) -> dict[str, int]:
    """The ways of reading, each with how many videos are read at a time."""
    return {"batch": settings.batch, "video": 1, "whole": settings.videos}


def write_features(folder: Path, settings: ReadingSettings) -> int:
    """The same features as stores, an HDF5 file and .npy files; gives their size in bytes."""
    import h5py

    from mktn.features.writers import Compressor, PartWriter, ResampledWriter

    shapes = _shapes(settings)
    patch_dimension = settings.dimension if settings.patches else 0
    maps = {
        name: np.lib.format.open_memmap(
            folder / f"{name}.npy", "w+", np.float16, (settings.videos, *shape)
        )
        for name, shape in shapes.items()
    }
    rng = named_rng(settings.seed, "bench", "reading")

    span_s = np.zeros((settings.frames, 2))
    clips = PartWriter(
        folder / "part-0.zarr", 0, settings.dimension, settings.patches, patch_dimension
    )

    def writer(compressor: Compressor) -> ResampledWriter:
        return ResampledWriter(
            folder / f"{compressor}.zarr", settings.videos, settings.frames, settings.dimension,
            settings.patches, patch_dimension, compressor,
        )  # fmt: skip

    with (
        writer("none") as plain,
        writer("blosc-zstd") as compressed,
        clips,
        h5py.File(folder / "features.h5", "w") as hdf5,
    ):
        for video in range(settings.videos):
            arrays = {
                name: rng.standard_normal(shape, np.float32).astype(np.float16)
                for name, shape in shapes.items()
            }
            for store in (plain, compressed):
                store.append(_name(video), arrays["features"], arrays.get("patches"), 60.0)
            clips.append(_name(video), arrays["features"], arrays.get("patches"), span_s, 60.0)
            for name, array in arrays.items():
                hdf5[f"{_name(video)}/{name}"] = array
                maps[name][video] = array
    return sum(array.nbytes for array in maps.values())


def open_readers(folder: Path, settings: ReadingSettings) -> dict[tuple[str, str], Read]:
    """(reader, "batch", "video" or "whole") -> a function of the videos' numbers."""
    import h5py

    from mktn.features.reader import FeatureReader
    from mktn.features.store import FeatureStore, ResampledStore
    from mktn.features.store_checksums import NAME as CHECKSUMS

    names = list(_shapes(settings))
    store = ResampledStore(folder / "none.zarr")
    compressed = ResampledStore(folder / "blosc-zstd.zarr")
    parts = FeatureStore(folder)
    preloaded = FeatureReader(store, memory_gb=np.inf)
    path = folder / "features.h5"
    kept = h5py.File(path, "r")
    maps = [np.load(folder / f"{name}.npy", mmap_mode="r") for name in names]

    def from_file(file: Any, video: int) -> list[np.ndarray]:
        group = file[_name(video)]
        return [group[name][()] for name in names]

    def reopened(video: int) -> list[np.ndarray]:
        with h5py.File(path, "r") as file:
            return from_file(file, video)

    def stacked(read: Callable[[int], list[np.ndarray]]) -> Read:
        # As a collate function does.
        return lambda videos: [np.stack(part) for part in zip(*map(read, videos), strict=True)]

    def ours(reader: ResampledStore | FeatureReader) -> Read:
        return lambda videos: reader.read([_name(video) for video in videos])

    hdf5: dict[str, Callable[[int], list[np.ndarray]]] = {
        REOPENED: reopened,
        "h5py, kept open": lambda video: from_file(kept, video),
    }
    same: dict[str, Read] = {
        STORE: ours(store),
        "store, blosc-zstd": ours(compressed),
        PRELOADED: ours(preloaded),
        MEMORY_MAP: lambda videos: [array[list(videos)] for array in maps],
    }
    readers = {(name, "batch"): stacked(read) for name, read in hdf5.items()}
    readers["parts", "video"] = lambda videos: parts[_name(videos[0])]
    for name, read in hdf5.items():
        readers[name, "video"] = lambda videos, read=read: read(videos[0])  # type: ignore[misc]
    readers.update(
        {(name, way): read for name, read in same.items() for way in ("batch", "video")}
    )
    unchecked = folder / "unchecked.zarr"
    shutil.copytree(folder / "none.zarr", unchecked, copy_function=os.link)  # the same pages
    (unchecked / CHECKSUMS).unlink()
    for name, path_of in ((CHECKED, folder / "none.zarr"), (UNCHECKED, unchecked)):
        readers[name, "whole"] = lambda _, path_of=path_of: ResampledStore(path_of).load_all()  # type: ignore[misc]
    return readers


def measure(
    readers: dict[str, Read], settings: ReadingSettings, batch: int
) -> dict[str, list[float]]:
    """Seconds that each reader takes for all videos in each round, the first not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    for number in range(settings.repeats + 1):
        rng = named_rng(settings.seed, "bench", "order", batch, number)
        order = rng.permutation(settings.videos).tolist()
        batches = [order[first : first + batch] for first in range(0, len(order), batch)]
        for name, read in readers.items():
            started = time.perf_counter()
            for videos in batches:
                read(videos)
            if number:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def row_of(
    name: str,
    reading: str,
    seconds: dict[str, list[float]],
    size: int,
    settings: ReadingSettings,
) -> dict[str, Any]:
    """Medians and quartiles over rounds; a ratio is of the times within each round."""
    baseline, required = FIGURES.get((name, reading), (REOPENED, None))
    ratios = [b / s for b, s in zip(seconds[baseline], seconds[name], strict=True)]
    rate, low, high = _quartiles([size / 1e6 / s for s in seconds[name]])
    ratio, ratio_low, ratio_high = _quartiles(ratios)
    return {
        "reader": name,
        "videos_a_read": videos_a_read(settings)[reading],
        "mb_per_s": round(rate, 1),
        "mb_per_s_q1": round(low, 1),
        "mb_per_s_q3": round(high, 1),
        "baseline": baseline,
        "ratio": round(ratio, 3),
        "ratio_q1": round(ratio_low, 3),
        "ratio_q3": round(ratio_high, 3),
        "required_ratio": "" if required is None else required,
        "videos": settings.videos,
        "frames": settings.frames,
        "dimension": settings.dimension,
        "patches": settings.patches,
        "mb": round(size / 1e6, 1),
        "repeats": settings.repeats,
    }


def summary(row: dict[str, Any]) -> str:
    """A row as a line; what is required of the ratio stands beside it."""
    line = (
        f"{row['reader']:<30} {row['videos_a_read']:>3} videos a read: {row['mb_per_s']:8.0f} MB/s"
        f" ({row['mb_per_s_q1']:.0f} to {row['mb_per_s_q3']:.0f}), "
        f"{row['ratio']:.2f} x {row['baseline']}"
    )
    if row["required_ratio"] == "":
        return line
    verdict = "reached" if row["ratio"] >= row["required_ratio"] else "MISSED"
    return f"{line}; at least {row['required_ratio']:g} is {verdict}"


def _quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Median, first and third quartile."""
    low, high = np.quantile(values, (0.25, 0.75))
    return statistics.median(values), float(low), float(high)


def _shapes(settings: ReadingSettings) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {"features": (settings.frames, settings.dimension)}
    if settings.patches:
        shapes["patches"] = (settings.frames, settings.patches, settings.dimension)
    return shapes


def _name(video: int) -> str:
    return f"v{video:06d}"
