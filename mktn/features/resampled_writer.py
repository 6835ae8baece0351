"""Writing `{backbone}-T{T}.zarr`: videos go in one at a time, shards go out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import zarr

from mktn.features.sharded import Compressor, Row, ShardedArrays
from mktn.features.store import FORMAT, RESAMPLED_SCHEMA
from mktn.features.store_writer import Raised, StoreWriter
from mktn.files import written_beside


class ResampledWriter(StoreWriter):
    """Writes `{backbone}-T{T}.zarr`: T frames a video, one chunk a video inside shards.

    videos: how many are to come at most; frames T, dimension D, patches C and patch_dimension D_p
    (0 and 0: no patches); attributes: backbone, source and whatever describes the features.
    """

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
        self.path = Path(path)
        self.attributes = {
            "frames": frames, "patches": patches, **(attributes or {}), "format": FORMAT
        }  # fmt: skip
        self.videos = videos
        self.compressor: Compressor = compressor
        self.shapes: dict[str, tuple[int, ...]] = {"features": (frames, dimension)}
        if patches:
            self.shapes["patches"] = (frames, patches, patch_dimension)
        self.manifest: list[dict[str, Any]] = []
        self.schema = RESAMPLED_SCHEMA

    def __enter__(self) -> Self:
        self._context = written_beside(self.path)
        self._folder = self._context.__enter__()
        group = zarr.create_group(self._folder, zarr_format=3, attributes=self.attributes)
        rows: dict[str, Row] = {name: (shape, "float16") for name, shape in self.shapes.items()}
        self.arrays = ShardedArrays(group, rows, 1, self.compressor, self.videos)
        return self

    def _leave(self, *raised: *Raised) -> None:
        self._context.__exit__(*raised)

    def append(
        self, video_id: str, features: np.ndarray, patches: np.ndarray | None, duration_s: float
    ) -> None:
        """Add a video: features (T,D) and patches (T,C,D_p) or None, any float type."""
        rows = {"features": features, **({} if patches is None else {"patches": patches})}
        if {name: value.shape for name, value in rows.items()} != self.shapes:
            shapes = {name: value.shape for name, value in rows.items()}
            raise ValueError(f"{video_id} does not match the store: {shapes} not {self.shapes}")
        row = self.arrays.count
        self.arrays.append({name: value[None] for name, value in rows.items()})
        self._record(video_id, row, "ok", "", duration_s)

    def fail(self, video_id: str, error: str, duration_s: float = 0.0) -> None:
        """Record that a video has no features, and why."""
        self._record(video_id, -1, "error", error, duration_s)

    def _record(self, video_id: str, row: int, status: str, error: str, duration_s: float) -> None:
        values = (video_id, row, status, error, float(duration_s))
        self.manifest.append(dict(zip(RESAMPLED_SCHEMA, values, strict=True)))
