"""Reading the tables of earlier steps: `pairs.parquet` and those made from it."""

from pathlib import Path

import polars as pl

from mktn.errors import UserError
from mktn.features.table_checks import REJECTED, check_columns, check_table
from mktn.parquet import read_parquet


def read_pairs_file(path: str | Path, columns: list[str] | None = None) -> pl.DataFrame:
    """The pairs, or the named columns of them. Raises UserError as `read_table_of` does."""
    return read_table_of("pairs", path, columns)


def read_rejected(path: str | Path) -> pl.DataFrame:
    """The pairs that a step rejected. Raises UserError as `read_table_of` does."""
    return read_table_of(REJECTED, path, needed=["split"])


def read_table_of(
    step: str,
    path: str | Path,
    columns: list[str] | None = None,
    needed: list[str] | None = None,
) -> pl.DataFrame:
    """The table that `mktn STEP` wrote: the named columns of it, or all.

    needed: what must be among all of them. Raises UserError when it cannot be read, lacks a
    column, or does not hold what such a table must (`table_checks.check_table`).
    """
    do = f"run `mktn {'pairs` or `mktn group' if step == REJECTED else step}` again"
    try:
        frame = read_parquet(path, columns)
    except pl.exceptions.ColumnNotFoundError:
        frame = read_parquet(path)
        check_columns(frame, columns or (), path, do)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UserError("table cannot be read", where=path, found=error, do=do) from error
    check_columns(frame, needed or (), path, do)
    check_table(frame, step, path, do)
    return frame


def read_relations(path: str | Path, pair_ids: pl.Series) -> pl.DataFrame:
    """pair_a, pair_b, kind and weight of the relations of these pairs.

    Raises UserError as `read_table_of` does, and where a pair is not among `pair_ids`.
    """
    relations = read_table_of("relate", path, ["pair_a", "pair_b", "kind", "weight"])
    for name in ("pair_a", "pair_b"):
        foreign = relations.filter(~pl.col(name).is_in(pair_ids.implode()))
        if foreign.height:
            raise UserError(
                "relations of other pairs",
                where=path,
                found=f"{foreign.height} rows, the first of {foreign[name][0]}",
                do="run `mktn relate` again",
            )
    return relations


def read_videos(path: str | Path) -> list[tuple[str, float]]:
    """(video_id, duration_s) of each video of the pairs, in their order; reads no text."""
    frame = read_pairs_file(path, ["video_id", "duration_s"])
    return list(frame.unique("video_id", keep="first", maintain_order=True).iter_rows())


def durations_s(pairs: pl.DataFrame) -> dict[str, float]:
    """video_id -> duration_s, sorted by id: the time axis that the annotations use."""
    longest = pairs.group_by("video_id").agg(pl.col("duration_s").max()).sort("video_id")
    return dict(longest.iter_rows())
