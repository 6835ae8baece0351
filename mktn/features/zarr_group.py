"""Reading a Zarr v3 group of features and its manifest, each file checked before its use."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import tensorstore

from mktn.errors import UserError
from mktn.features.store_checksums import StoreChecksums
from mktn.features.store_shapes import check_manifest
from mktn.parquet import read_parquet

FORMAT = 1


class ZarrGroup:
    """A Zarr v3 group folder: attributes by JSON, arrays by tensorstore, its manifest.

    A shard is checked when rows of it are first read, so that a job checks once what it reads and
    nothing else. Raises UserError where a file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._arrays: dict[str, Any] = {}
        self._unchecked: dict[str, np.ndarray] = {}  # array -> which of its shards
        self._shard_rows: dict[str, int] = {}
        self.checksums = StoreChecksums(path)
        self.checksums.check("zarr.json")
        try:
            metadata = json.loads((path / "zarr.json").read_text(encoding="utf-8"))
            attributes = metadata.get("attributes", {})
            if not isinstance(attributes, dict):
                raise ValueError("attributes that are no mapping")
        except (OSError, ValueError, AttributeError, RecursionError) as error:
            raise UserError(
                "not a store of features or text", where=path, found=type(error).__name__,
                expected="a Zarr v3 group with zarr.json", do="remove it and make it again",
            ) from error  # fmt: skip
        self.attributes: dict[str, Any] = attributes
        if self.attributes.get("format") != FORMAT:
            raise UserError(
                "store written by another version", where=path,
                found=f"format {self.attributes.get('format')!r}", expected=f"format {FORMAT}",
                do="remove it and make it again",
            )  # fmt: skip
        self.checksums.note_missing()

    def has(self, name: str) -> bool:
        return (self.path / name / "zarr.json").is_file()

    def array(self, name: str) -> Any:
        """The array (a tensorstore.TensorStore), opened once: opening costs more than a read."""
        if name not in self._arrays:
            self.checksums.check(f"{name}/zarr.json")
            spec = {
                "driver": "zarr3",
                "kvstore": {"driver": "file", "path": f"{self.path / name}/"},
                "fill_missing_data_reads": False,  # a lost shard is an error, never zeros
            }
            try:
                self._arrays[name] = tensorstore.open(spec, read=True).result()
            except ValueError as error:
                raise self._unreadable(name, error) from error
        return self._arrays[name]

    def read(self, names: Sequence[str], rows: np.ndarray | slice) -> dict[str, np.ndarray]:
        """The rows of several arrays, requested together. UserError where a shard is damaged."""
        found, futures = {}, {}
        for name in names:
            source = self.array(name)[rows]
            self._check_shards(name, rows)
            # NumPy's own memory: its pages cost a quarter less time than those of a fresh buffer.
            found[name] = np.empty(source.shape, source.dtype.numpy_dtype)
            futures[name] = tensorstore.array(found[name], copy=False).write(source)
        for name, future in futures.items():
            try:
                future.result()
            except ValueError as error:
                raise self._unreadable(name, error) from error
        return found

    def _check_shards(self, name: str, rows: np.ndarray | slice) -> None:
        """Check the shards of these rows that were not read before."""
        if name not in self._unchecked:
            array = self.array(name)
            self._shard_rows[name] = array.chunk_layout.write_chunk.shape[0]
            count = -(-array.shape[0] // self._shard_rows[name])
            self._unchecked[name] = np.full(count, self.checksums.known)
        unchecked, shard_rows = self._unchecked[name], self._shard_rows[name]
        if not unchecked.any():
            return
        if isinstance(rows, slice):
            first, end, _ = rows.indices(self.array(name).shape[0])
            shards = np.arange(first // shard_rows, -(-end // shard_rows))
        else:
            shards = np.unique(rows // shard_rows)
        inner = "/0" * (self.array(name).ndim - 1)
        for shard in shards[unchecked[shards]]:
            self.checksums.check(f"{name}/c/{shard}{inner}")
            unchecked[shard] = False

    def _unreadable(self, name: str, error: ValueError) -> UserError:
        reason = str(error).partition(" [tensorstore_spec=")[0]
        return UserError(
            f"array {name!r} cannot be read", where=self.path, found=reason,
            do="remove the store and make it again",
        )  # fmt: skip

    def manifest(self, schema: Mapping[str, Any]) -> pl.DataFrame:
        """`manifest.parquet`. Raises UserError where a column of the schema is missing or of
        another type, an id cannot name a file, or rows are said to be that the arrays lack."""
        path = self.path / "manifest.parquet"
        if not path.is_file():
            raise UserError("missing file", where=path, do="remove the store and make it again")
        self.checksums.check(path.name)
        try:
            frame = read_parquet(path, delete=self.path)
        except (OSError, pl.exceptions.PolarsError) as error:
            raise UserError(
                "manifest cannot be read", where=path, found=error,
                do="remove the store and make it again",
            ) from error  # fmt: skip
        check_manifest(frame, schema, self.array("features").shape[0], path)
        return frame
