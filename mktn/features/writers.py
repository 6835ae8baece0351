"""Writing `part-{k}.zarr`: videos go in one at a time, shards go out.

One shard of all arrays together is held in memory at most.
"""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import zarr

from mktn.errors import UserError
from mktn.features.journal import PartJournal
from mktn.features.resampled_writer import ResampledWriter
from mktn.features.sharded import Compressor, Row, ShardedArrays
from mktn.features.store import FORMAT, PART_CHUNK_ROWS, PART_SCHEMA
from mktn.features.store_writer import Raised, StoreWriter
from mktn.files import written_beside

__all__ = ["PartWriter", "ResampledWriter"]

Resumable = Literal["no", "shards", "videos"]


class PartWriter(StoreWriter):
    """Writes `part-{k}.zarr`: the clip features of some videos, in a fixed order.

    path of the part, part its number k, dimension D, patches C and patch_dimension D_p (0 and 0:
    no patches), attributes: backbone, weights_sha256, clip, stride, fps, patches, code_version.

    resumable: "no" leaves nothing when its block fails. "shards" keeps what is in whole shards and
    "videos" every video, also when the process is killed; a later writer goes on from there if its
    shape, attributes and `identity` (what else the rows depend on: the videos, the settings) are
    the same, else it starts again. `done` are the videos that then need no work: leave them out,
    and append the others in the order of the first job. The finished part is the same to the byte.
    stamps: video_id -> what else its rows depend on, as the file's size and time; from the first
    video on whose stamp is another, all are made again.
    `note` is a line about it for the log. Raises UserError while another process writes the part.
    """

    def __init__(
        self,
        path: str | Path,
        part: int,
        dimension: int,
        patches: int,
        patch_dimension: int,
        compressor: Compressor = "none",
        attributes: Mapping[str, Any] | None = None,
        *,
        resumable: Resumable = "no",
        identity: Mapping[str, Any] | None = None,
        stamps: Mapping[str, str] | None = None,
    ) -> None:
        self.path = Path(path)
        self.part = part
        self.compressor: Compressor = compressor
        self.attributes = {**(attributes or {}), "format": FORMAT}
        self.resumable: Resumable = resumable
        self.identity = dict(identity or {})
        self.stamps = dict(stamps or {})
        self.rows: dict[str, Row] = {"features": ((dimension,), "float16")}
        if patches:
            self.rows["patches"] = ((patches, patch_dimension), "float16")
        self.rows["span_s"] = ((2,), "float32")
        self.manifest: list[dict[str, Any]] = []
        self.note = ""
        self.schema = PART_SCHEMA
        self._journal: PartJournal | None = None

    @property
    def done(self) -> set[str]:
        """The videos that are recorded, with features or an error."""
        return {record["video_id"] for record in self.manifest}

    def __enter__(self) -> Self:
        if self.resumable == "no":
            self._context = written_beside(self.path)
            self._folder = self._context.__enter__()
            self._open(None)
            return self
        shapes = {name: [list(shape), kind] for name, (shape, kind) in self.rows.items()}
        self._journal = PartJournal(
            self.path,
            {
                **self.identity,
                "part": self.part,
                "rows": shapes,
                "compressor": self.compressor,
                "attributes": self.attributes,
            },
        )
        self._folder = self._journal.store
        try:
            self._go_on(self._journal)
        except BaseException:
            self._journal.close()
            raise
        self.note = self._journal.note
        return self

    def _go_on(self, journal: PartJournal) -> None:
        """Take over what an interrupted job has left, as far as it still holds."""
        found = journal.state
        if found is not None and (name := journal.damaged()):
            journal.restart(f"{name} of the interrupted job is damaged")
        elif found is not None:
            self.manifest = list(itertools.takewhile(self._holds, found))
            try:
                rows = sum(record["rows"] for record in self.manifest)
                self._open(rows)
                journal.save_state(rows, self.manifest, self.arrays.sums)
            except (ValueError, KeyError):
                journal.restart("what the interrupted job left is damaged")
        if journal.state is None:
            self.manifest = []
            self._open(None)
        elif found is not None and len(self.manifest) == len(found):
            for record, rows_of in journal.kept(len(self.manifest)):
                if not self._holds(record):
                    break
                self._take(record, rows_of)
        journal.forget(len(self.manifest))

    def _holds(self, record: Mapping[str, Any]) -> bool:
        return bool(record.get("stamp", "") == self.stamps.get(record["video_id"], ""))

    def _open(self, resume_at: int | None) -> None:
        if resume_at is None:
            group = zarr.create_group(self._folder, zarr_format=3, attributes=self.attributes)
        else:
            group = zarr.open_group(self._folder, mode="r+", zarr_format=3)
        self.arrays = ShardedArrays(
            group, self.rows, PART_CHUNK_ROWS, self.compressor, None, resume_at, self._written,
            self._journal.sums if self._journal is not None else {},
        )  # fmt: skip
        if resume_at is None:
            self._written(0)

    def _written(self, rows: int) -> None:
        if self._journal is not None:
            self._journal.save_state(rows, self.manifest, self.arrays.sums)

    def _leave(self, *raised: *Raised) -> None:
        if self._journal is None:
            self._context.__exit__(*raised)
        elif raised[1] is None:
            self._journal.finish(self.path)
        elif self.manifest or not isinstance(raised[1], UserError):
            self._journal.close()
        else:
            self._journal.abandon()

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
        found = {name: value.shape[1:] for name, value in rows.items()}
        same_length = len({len(value) for value in rows.values()}) == 1
        if not same_length or found != {name: shape for name, (shape, _) in self.rows.items()}:
            shapes = {name: value.shape for name, value in rows.items()}
            raise ValueError(f"rows of {video_id} do not match the part: {shapes}")
        typed = {name: np.asarray(rows[name], dtype) for name, (_, dtype) in self.rows.items()}
        self._add(video_id, len(features), "ok", "", duration_s, typed)

    def fail(self, video_id: str, error: str, duration_s: float = 0.0) -> None:
        """Record that a video has no features, and why."""
        self._add(video_id, 0, "error", error, duration_s, {})

    def _add(
        self,
        video_id: str,
        rows: int,
        status: str,
        error: str,
        duration_s: float,
        values: Mapping[str, np.ndarray],
    ) -> None:
        fields = (video_id, self.part, self.arrays.count, rows, status, error, float(duration_s))
        record = dict(zip(PART_SCHEMA, fields, strict=True))
        record["stamp"] = self.stamps.get(video_id, "")
        if self._journal is not None and self.resumable == "videos":
            self._journal.keep(len(self.manifest), record, values)
        self._take(record, values)

    def _take(self, record: dict[str, Any], values: Mapping[str, np.ndarray]) -> None:
        if record["rows"]:
            self.arrays.append(values)
        self.manifest.append(record)
