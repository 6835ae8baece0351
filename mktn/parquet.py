"""All Parquet of mktn is written and read here, so that all of it has a checksum.

Pages have checksums of their own in Parquet, but its footer has none, and Polars writes and reads
neither: the file's key-value metadata has the CRC-32C of the whole file (`mktn.checksums`).
"""

import io
from pathlib import Path

import polars as pl

from mktn.checksums import KEY, UNSEALED, check, note_unverified, sealed
from mktn.files import write_bytes


def parquet_bytes(frame: pl.DataFrame) -> bytes:
    """The file of a table, with its checksum; the same for the same table."""
    stream = io.BytesIO()
    frame.write_parquet(stream, metadata={KEY: UNSEALED})
    return sealed(stream.getvalue())


def write_parquet(frame: pl.DataFrame, target: str | Path) -> None:
    """Write a table to `target` in one step."""
    write_bytes(parquet_bytes(frame), target)


def read_parquet(
    path: str | Path, columns: list[str] | None = None, delete: str | Path | None = None
) -> pl.DataFrame:
    """The table, or the named columns of it, checked.

    delete: what is to be made again where the file is damaged, if not the file itself. Raises
    UserError where it is damaged, OSError or PolarsError where it cannot be read. One that
    has no checksum is noted (`mktn.checksums.unverified`).
    """
    data = Path(path).read_bytes()
    known = check(data, path, delete)
    frame = pl.read_parquet(io.BytesIO(data), columns=columns)
    if not known:
        note_unverified(path)
    return frame
