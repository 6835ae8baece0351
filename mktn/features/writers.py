"""Writers of the stores of `mktn.features.store`: videos go in one at a time, shards go out.

At most one shard of each array is held in memory. A store is built beside its target and renamed
when its block succeeds; when the block fails nothing is left and an older store still stands.
"""

import abc
import contextlib
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import polars as pl
import zarr
import zarr.codecs

from mktn.features.store import (
    FORMAT,
    PART_CHUNK_ROWS,
    PART_SCHEMA,
    RESAMPLED_SCHEMA,
    SHARD_BYTES,
)
from mktn.files import written_beside

Compressor = Literal["none", "blosc-zstd"]


class _Writer(abc.ABC):
    """A group being written: its arrays, its manifest, and the swap at the end."""

    schema: Mapping[str, Any]

    def __init__(self, path: str | Path, attributes: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.attributes = {**attributes, "format": FORMAT}
        self.manifest: list[dict[str, Any]] = []
        self.arrays: dict[str, _ShardedArray] = {}
        self._context: contextlib.AbstractContextManager[Path] | None = None

    @abc.abstractmethod
    def _create(self, group: zarr.Group) -> "dict[str, _ShardedArray]": ...

    def __enter__(self) -> Self:
        self._context = written_beside(self.path)
        self._beside = self._context.__enter__()
        group = zarr.create_group(self._beside, zarr_format=3, attributes=self.attributes)
        self.arrays = self._create(group)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        assert self._context is not None
        if error is None:
            try:
                for array in self.arrays.values():
                    array.close()
                frame = pl.DataFrame(self.manifest, schema=dict(self.schema), orient="row")
                frame.write_parquet(self._beside / "manifest.parquet")
            except BaseException:
                self._context.__exit__(*sys.exc_info())
                raise
        self._context.__exit__(kind, error, traceback)


class PartWriter(_Writer):
    """Writes `part-{k}.zarr`: the clip features of some videos.

    path of the part, part its number k, dimension D, patches C and patch_dimension D_p (0 and 0:
    no patches), attributes: backbone, weights_sha256, clip, stride, fps, patches, code_version.
    """

    schema = PART_SCHEMA

    def __init__(
        self,
        path: str | Path,
        part: int,
        dimension: int,
        patches: int,
        patch_dimension: int,
        compressor: Compressor = "none",
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(path, attributes or {})
        self.part = part
        self.compressor: Compressor = compressor
        self.shapes: dict[str, tuple[int, ...]] = {"features": (dimension,)}
        if patches:
            self.shapes["patches"] = (patches, patch_dimension)

    def _create(self, group: zarr.Group) -> "dict[str, _ShardedArray]":
        def sharded(name: str, shape: tuple[int, ...], dtype: str) -> _ShardedArray:
            return _ShardedArray(group, name, shape, dtype, PART_CHUNK_ROWS, self.compressor)

        arrays = {name: sharded(name, shape, "float16") for name, shape in self.shapes.items()}
        return {**arrays, "span_s": sharded("span_s", (2,), "float32")}

    def append(
        self,
        video_id: str,
        features: np.ndarray,
        patches: np.ndarray | None,
        span_s: np.ndarray,
        duration_s: float,
    ) -> None:
        """Add a video: features (n,D), patches (n,C,D_p) or None, span_s (n,2) seconds."""
        rows = {"features": features, "span_s": span_s}
        if patches is not None:
            rows["patches"] = patches
        if len({len(value) for value in rows.values()}) != 1 or set(rows) != set(self.arrays):
            shapes = {name: value.shape for name, value in rows.items()}
            raise ValueError(f"rows of {video_id} do not match the part: {shapes}")
        offset = self.arrays["features"].count
        for name, value in rows.items():
            self.arrays[name].append(value)
        self._record(video_id, offset, len(features), "ok", "", duration_s)

    def fail(self, video_id: str, error: str, duration_s: float = 0.0) -> None:
        """Record that a video has no features, and why."""
        self._record(video_id, self.arrays["features"].count, 0, "error", error, duration_s)

    def _record(
        self, video_id: str, offset: int, rows: int, status: str, error: str, duration_s: float
    ) -> None:
        values = (video_id, self.part, offset, rows, status, error, float(duration_s))
        self.manifest.append(dict(zip(self.schema, values, strict=True)))


class ResampledWriter(_Writer):
    """Writes `{backbone}-T{T}.zarr`: T frames a video, one chunk a video inside shards.

    videos: how many are to come at most; frames T, dimension D, patches C and patch_dimension D_p
    (0 and 0: no patches); attributes: backbone, source and whatever describes the features.
    """

    schema = RESAMPLED_SCHEMA

    def __init__(
        self,
        path: str | Path,
        videos: int,
        frames: int,
        dimension: int,
        patches: int = 0,
        patch_dimension: int = 0,
        compressor: Compressor = "none",
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        described = {"frames": frames, "patches": patches, **(attributes or {})}
        super().__init__(path, described)
        self.videos = videos
        self.compressor: Compressor = compressor
        self.shapes: dict[str, tuple[int, ...]] = {"features": (frames, dimension)}
        if patches:
            self.shapes["patches"] = (frames, patches, patch_dimension)

    def _create(self, group: zarr.Group) -> "dict[str, _ShardedArray]":
        return {
            name: _ShardedArray(group, name, shape, "float16", 1, self.compressor, self.videos)
            for name, shape in self.shapes.items()
        }

    def append(
        self, video_id: str, features: np.ndarray, patches: np.ndarray | None, duration_s: float
    ) -> None:
        """Add a video: features (T,D) and patches (T,C,D_p) or None, any float type."""
        rows = {"features": features, **({} if patches is None else {"patches": patches})}
        if {name: value.shape for name, value in rows.items()} != self.shapes:
            shapes = {name: value.shape for name, value in rows.items()}
            raise ValueError(f"{video_id} does not match the store: {shapes} not {self.shapes}")
        row = self.arrays["features"].count
        for name, value in rows.items():
            self.arrays[name].append(value[None])
        self._record(video_id, row, "ok", "", duration_s)

    def fail(self, video_id: str, error: str, duration_s: float = 0.0) -> None:
        """Record that a video has no features, and why."""
        self._record(video_id, -1, "error", error, duration_s)

    def _record(self, video_id: str, row: int, status: str, error: str, duration_s: float) -> None:
        values = (video_id, row, status, error, float(duration_s))
        self.manifest.append(dict(zip(self.schema, values, strict=True)))


class _ShardedArray:
    """A Zarr array that grows by whole shards, as many rows in each as make `SHARD_BYTES`."""

    def __init__(
        self,
        group: zarr.Group,
        name: str,
        shape: tuple[int, ...],
        dtype: str,
        chunk_rows: int,
        compressor: Compressor,
        rows_at_most: int | None = None,
    ) -> None:
        row_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        chunks = max(1, SHARD_BYTES // (row_bytes * chunk_rows))
        if rows_at_most is not None:
            chunks = min(chunks, max(1, -(-rows_at_most // chunk_rows)))
        self.count = 0
        self._buffer = np.empty((chunks * chunk_rows, *shape), dtype)
        self._filled = 0
        self._array = group.create_array(
            name,
            shape=(0, *shape),
            chunks=(chunk_rows, *shape),
            shards=(chunks * chunk_rows, *shape),
            dtype=dtype,
            fill_value=0,
            compressors=(
                zarr.codecs.BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle")
                if compressor == "blosc-zstd"
                else None
            ),
        )

    def append(self, rows: np.ndarray) -> None:
        """Take rows (n, *shape); full shards go to the disk."""
        while len(rows):
            taken = rows[: len(self._buffer) - self._filled]
            self._buffer[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            self.count += len(taken)
            rows = rows[len(taken) :]
            if self._filled == len(self._buffer):
                self.close()

    def close(self) -> None:
        """Write what is held."""
        if self._filled:
            self._array.resize((self.count, *self._array.shape[1:]))
            self._array[self.count - self._filled :] = self._buffer[: self._filled]
            self._filled = 0
