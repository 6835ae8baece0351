"""Video features on disk: extraction parts, and the resampled store that training reads.

Shape legend: n clip rows of one video, R rows of a part, V videos, T frames, D global feature,
C patches of a frame, D_p patch feature. Features and patches are float16, spans float32 seconds.
Both stores are Zarr v3 groups with a `manifest.parquet` inside, whole or absent; they are written
by `mktn.features.writers`.

A damaged or missing file raises UserError naming it before a number of it is used: each file of a
store has a checksum (`mktn.features.store_checksums`), looked at when it is first read.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mktn.errors import UserError
from mktn.features.store_shapes import check_part, check_resampled
from mktn.features.zarr_group import FORMAT, ZarrGroup

__all__ = ["FORMAT", "FeatureStore", "ResampledStore", "VideoFeatures"]

SHARD_BYTES = 32 * 2**20
PART_CHUNK_ROWS = 64
PART_SCHEMA = {
    "video_id": pl.String,
    "part": pl.Int64,
    "offset": pl.Int64,
    "rows": pl.Int64,
    "status": pl.String,
    "error": pl.String,
    "duration_s": pl.Float64,
}
# What the numbers of all parts of a folder must have in common.
SAME = (
    *("origin", "backbone", "width", "weights", "weights_name", "weights_sha256"),
    *("code_version", "code_sha256", "clip", "stride", "fps", "frame_rate_policy", "frame_rate"),
    *("patches", "preprocessing", "dtype", "preset"),
)
RESAMPLED_SCHEMA = {
    "video_id": pl.String,
    "row": pl.Int64,
    "status": pl.String,
    "error": pl.String,
    "duration_s": pl.Float64,
}


@dataclasses.dataclass(frozen=True)
class VideoFeatures:
    """The clip features of one video.

    features (n,D) and patches (n,C,D_p) or None, float16; span_s (n,2) float32 seconds;
    duration_s of the video as it was decoded.
    """

    video_id: str
    features: np.ndarray
    patches: np.ndarray | None
    span_s: np.ndarray
    duration_s: float


class FeatureStore:
    """All `part-*.zarr` of a folder, or one part, as a mapping from video_id to VideoFeatures.

    `video_ids` are the usable ones, `errors` the reason of each other one, `paths` the parts.
    `attributes` are those of the parts; one that may differ and does is the list of its values.
    Raises UserError on a folder without parts, a part of another format, parts that do not belong
    together, a video in two parts, and, when read, an unknown video or one that is recorded as an
    error.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        alone = (self.directory / "span_s" / "zarr.json").is_file()
        self.paths = [self.directory] if alone else sorted(self.directory.glob("part-*.zarr"))
        if not self.paths:
            raise UserError(
                "no feature parts", where=self.directory, expected="part-*.zarr",
                do="run mktn extract-video",
            )  # fmt: skip
        self._parts = [ZarrGroup(path) for path in self.paths]
        self.attributes = _joined_attributes(self._parts)
        for part in self._parts:
            check_part(part, self._parts[0])
        manifests = [
            part.manifest(PART_SCHEMA).with_columns(_index=i) for i, part in enumerate(self._parts)
        ]
        self.manifest = pl.concat(manifests)
        self._rows = _by_video(self.manifest, self.directory)

    @property
    def video_ids(self) -> list[str]:
        """The videos that can be read, in the order of the parts."""
        return [name for name, row in self._rows.items() if row["status"] == "ok"]

    @property
    def errors(self) -> dict[str, str]:
        """video_id -> why it has no features."""
        return {n: row["error"] for n, row in self._rows.items() if row["status"] != "ok"}

    def __contains__(self, video_id: str) -> bool:
        return self._rows.get(video_id, {}).get("status") == "ok"

    def __len__(self) -> int:
        return len(self.video_ids)

    def __getitem__(self, video_id: str) -> VideoFeatures:
        """The features of one video; UserError when it is unknown or recorded as an error."""
        row = _usable(self._rows, video_id, self.directory)
        group = self._parts[row["_index"]]
        rows = slice(row["offset"], row["offset"] + row["rows"])
        names = ["features", "span_s", *(["patches"] if group.has("patches") else [])]
        arrays = group.read(names, rows)
        return VideoFeatures(
            video_id=video_id,
            features=arrays["features"],
            patches=arrays.get("patches"),
            span_s=arrays["span_s"],
            duration_s=row["duration_s"],
        )


class ResampledStore:
    """T frames a video, one chunk a video: what training reads.

    frames T, dimension D, patches C (0 when there are none), patch_dimension D_p, video_ids (the
    usable ones in row order), `row` video_id -> row, duration_s video_id -> seconds, attributes.
    Raises UserError on a store of another format or a folder that is none.
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self._group = ZarrGroup(self.directory)
        self.attributes = self._group.attributes
        check_resampled(self._group)
        self.manifest = self._group.manifest(RESAMPLED_SCHEMA)
        self._rows = _by_video(self.manifest, self.directory)
        self._names = ["features", *(["patches"] if self._group.has("patches") else [])]
        _, self.frames, self.dimension = self._group.array("features").shape
        patch_shape = self._group.array("patches").shape[2:] if len(self._names) > 1 else (0, 0)
        self.patches: int = patch_shape[0]
        self.patch_dimension: int = patch_shape[1]
        usable = sorted(
            (row for row in self._rows.values() if row["status"] == "ok"), key=lambda r: r["row"]
        )
        self.video_ids: list[str] = [row["video_id"] for row in usable]
        self.row: dict[str, int] = {row["video_id"]: row["row"] for row in usable}
        self.duration_s: dict[str, float] = {r["video_id"]: r["duration_s"] for r in usable}
        self.errors: dict[str, str] = {
            name: row["error"] for name, row in self._rows.items() if row["status"] != "ok"
        }

    def __contains__(self, video_id: str) -> bool:
        return video_id in self.row

    def __len__(self) -> int:
        return len(self.video_ids)

    def read(self, video_ids: Sequence[str]) -> tuple[np.ndarray, np.ndarray | None]:
        """features (V,T,D) and patches (V,T,C,D_p) or None, float16, in the order asked for.

        All chunks are requested at once and land in one array. UserError on an unknown video, one
        without features, or a damaged store.
        """
        rows = [_usable(self._rows, name, self.directory)["row"] for name in video_ids]
        return self._read(np.asarray(rows, np.int64))

    def load_all(self) -> tuple[np.ndarray, np.ndarray | None]:
        """All usable videos in row order, as `read(self.video_ids)`."""
        return self._read(slice(None))

    def _read(self, rows: np.ndarray | slice) -> tuple[np.ndarray, np.ndarray | None]:
        arrays = self._group.read(self._names, rows)
        return arrays["features"], arrays.get("patches")


def _joined_attributes(parts: Sequence[ZarrGroup]) -> dict[str, Any]:
    first = parts[0].attributes
    for part in parts[1:]:
        for key in SAME:
            if part.attributes.get(key) != first.get(key):
                raise UserError(
                    f"parts of one folder differ in {key}", where=part.path,
                    found=part.attributes.get(key), expected=first.get(key),
                    do="remove the older parts and make them again",
                )  # fmt: skip
    joined = {}
    for key in dict.fromkeys(key for part in parts for key in part.attributes):
        values = [part.attributes.get(key) for part in parts]
        distinct = [value for i, value in enumerate(values) if value not in values[:i]]
        joined[key] = distinct[0] if len(distinct) == 1 else distinct
    return joined


def _by_video(manifest: pl.DataFrame, where: Path) -> dict[str, dict[str, Any]]:
    rows = {row["video_id"]: row for row in manifest.iter_rows(named=True)}
    if len(rows) != manifest.height:
        twice = manifest.filter(pl.col("video_id").is_duplicated())["video_id"][0]
        raise UserError(
            "video recorded twice", where=where, found=repr(twice), expected="one row a video",
            do="remove the parts and extract them again",
        )  # fmt: skip
    return rows


def _usable(rows: Mapping[str, dict[str, Any]], video_id: str, where: Path) -> dict[str, Any]:
    row = rows.get(video_id)
    if row is None:
        raise UserError(
            "unknown video", where=where, found=repr(video_id),
            expected=f"one of its {len(rows)} videos",
        )  # fmt: skip
    if row["status"] != "ok":
        raise UserError(
            f"video {video_id!r} has no features", where=where, found=f"error: {row['error']}",
            do="mend the video and extract it again, or leave its pairs out",
        )  # fmt: skip
    return row
