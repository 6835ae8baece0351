"""Reading the tables of earlier steps: `pairs.parquet` and those made from it."""

from pathlib import Path

import polars as pl

from mktn.errors import UserError
from mktn.parquet import read_parquet


def read_pairs_file(path: str | Path, columns: list[str] | None = None) -> pl.DataFrame:
    """The pairs, or the named columns of them. Raises UserError when they cannot be read."""
    return read_table_of("pairs", path, columns)


def read_table_of(step: str, path: str | Path, columns: list[str] | None = None) -> pl.DataFrame:
    """The table that `mktn STEP` wrote. Raises UserError when it cannot be read."""
    try:
        return read_parquet(path, columns)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UserError(
            "table cannot be read", where=path, found=error, do=f"run `mktn {step}`"
        ) from error


def read_videos(path: str | Path) -> list[tuple[str, float]]:
    """(video_id, duration_s) of each video of the pairs, in their order; reads no text."""
    frame = read_pairs_file(path, ["video_id", "duration_s"])
    return list(frame.unique("video_id", keep="first", maintain_order=True).iter_rows())


def durations_s(pairs: pl.DataFrame) -> dict[str, float]:
    """video_id -> duration_s, sorted by id: the time axis that the annotations use."""
    longest = pairs.group_by("video_id").agg(pl.col("duration_s").max()).sort("video_id")
    return dict(longest.iter_rows())
