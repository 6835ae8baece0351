"""Zarr arrays that grow together by whole shards."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import tensorstore
import zarr
import zarr.codecs
import zarr.storage

from mktn.features.store import SHARD_BYTES
from mktn.features.store_checksums import Sum, summed

Compressor = Literal["none", "blosc-zstd"]
Row = tuple[tuple[int, ...], str]  # shape and dtype of one row of an array


class ShardedArrays:
    """The arrays of a group, row by row, a shard of all of them in memory at most.

    rows: name -> shape and dtype of a row; chunk_rows: rows a chunk; rows_at_most: how many are to
    come. Shards hold as many whole chunks as make `SHARD_BYTES` of all arrays together, so that
    all of them are on disk up to the same row. `count` rows have been taken. `resume_at`: how many
    of the rows that an earlier job has written are good; what came after them is written again.
    Raises ValueError or KeyError where rows that it has written are not there.
    `sums` are the bytes and checksum of each file of a shard, taken as soon as it was written;
    given are those of the earlier job.
    `on_written` is called each time that more rows are on disk.
    """

    def __init__(
        self,
        group: zarr.Group,
        rows: Mapping[str, Row],
        chunk_rows: int,
        compressor: Compressor,
        rows_at_most: int | None = None,
        resume_at: int | None = None,
        on_written: Callable[[int], None] | None = None,
        sums: Mapping[str, Sum] | None = None,
    ) -> None:
        row_bytes = sum(int(np.prod(s)) * np.dtype(kind).itemsize for s, kind in rows.values())
        chunks = max(1, SHARD_BYTES // (row_bytes * chunk_rows))
        if rows_at_most is not None:
            chunks = min(chunks, max(1, -(-rows_at_most // chunk_rows)))
        shard_rows = chunks * chunk_rows
        self.on_written = on_written
        assert isinstance(group.store, zarr.storage.LocalStore)
        self._folder = group.store.root
        self.count = resume_at or 0
        self._filled = self.count % shard_rows
        self._buffers = {
            name: np.empty((shard_rows, *shape), dtype) for name, (shape, dtype) in rows.items()
        }
        # Those of whole shards: all others are written again.
        self.sums = {
            name: found
            for name, found in (sums or {}).items()
            if int(name.split("/")[2]) < self.count // shard_rows
        }
        self._arrays: dict[str, zarr.Array] = {}
        for name, (shape, dtype) in rows.items():
            if resume_at is None:
                self._arrays[name] = _create(
                    group, name, shape, dtype, chunk_rows, shard_rows, compressor
                )
                continue
            array = group[name]
            assert isinstance(array, zarr.Array)
            self._arrays[name] = array
            held = self._opened(name)[self.count - self._filled : self.count]
            self._buffers[name][: self._filled] = held.read().result()

    def append(self, rows: Mapping[str, np.ndarray]) -> None:
        """Take rows (n, *shape) of every array; a full shard goes to the disk."""
        taken, n = 0, len(next(iter(rows.values())))
        while taken < n:
            room = next(iter(self._buffers.values())).shape[0] - self._filled
            step = min(room, n - taken)
            for name, values in rows.items():
                self._buffers[name][self._filled : self._filled + step] = values[
                    taken : taken + step
                ]
            self._filled += step
            self.count += step
            taken += step
            if step == room:
                self.write()

    def write(self) -> None:
        """Write what is held; the arrays then end there."""
        for name, array in self._arrays.items():
            array.resize((self.count, *array.shape[1:]))
            if self._filled:
                rows = self._buffers[name][: self._filled]
                self._opened(name)[self.count - self._filled :].write(rows).result()
                shard = (self.count - 1) // len(self._buffers[name])
                file = f"{name}/c/{shard}{'/0' * (rows.ndim - 1)}"
                self.sums[file] = summed(self._folder / file)
        self._filled = 0
        if self.on_written is not None:
            self.on_written(self.count)

    def _opened(self, name: str) -> Any:
        """As tensorstore has it: Zarr's own writing of chunks takes four times as long."""
        spec = {
            "driver": "zarr3",
            "kvstore": {"driver": "file", "path": f"{self._folder / name}/"},
            # What is absent is lost, and never zeros.
            "store_data_equal_to_fill_value": True,
            "fill_missing_data_reads": False,
        }
        return tensorstore.open(spec, read=True, write=True).result()


def _create(
    group: zarr.Group,
    name: str,
    shape: tuple[int, ...],
    dtype: str,
    chunk_rows: int,
    shard_rows: int,
    compressor: Compressor,
) -> zarr.Array:
    return group.create_array(
        name,
        shape=(0, *shape),
        chunks=(chunk_rows, *shape),
        shards=(shard_rows, *shape),
        dtype=dtype,
        fill_value=0,
        compressors=(
            zarr.codecs.BloscCodec(cname="zstd", clevel=3, shuffle="bitshuffle")
            if compressor == "blosc-zstd"
            else None
        ),
    )
