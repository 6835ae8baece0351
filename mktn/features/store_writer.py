"""How the writers of `mktn.features.store` end a store.

A store is built beside its target and renamed when its block succeeds; when the block fails an
older store still stands.
"""

import sys
import types
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import polars as pl

from mktn.features.sharded import ShardedArrays
from mktn.features.store_checksums import write_checksums
from mktn.parquet import write_parquet

Raised = tuple[type[BaseException] | None, BaseException | None, types.TracebackType | None]


class StoreWriter(ABC):
    """Arrays and a manifest in a folder that is not yet the target, left as a whole store."""

    arrays: ShardedArrays
    manifest: list[dict[str, Any]]
    schema: dict[str, Any]
    _folder: Path

    def __exit__(self, *raised: *Raised) -> None:
        if raised[1] is None:
            try:
                self._finish()
            except BaseException:
                self._leave(*sys.exc_info())
                raise
        self._leave(*raised)

    def _finish(self) -> None:
        """The last rows, the manifest, and the checksums of all files, in this order."""
        self.arrays.write()
        rows = [{key: record[key] for key in self.schema} for record in self.manifest]
        frame = pl.DataFrame(rows, schema=self.schema, orient="row")
        write_parquet(frame, self._folder / "manifest.parquet")
        write_checksums(self._folder, self.arrays.sums)

    @abstractmethod
    def _leave(self, *raised: *Raised) -> None:
        """Put the whole store in its place, or clear up after what was raised."""
