"""What Figure 5 of IA-Net shows: attention maps as `mktn attention` wrote them.

T frames, L words, K learned padding rows.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from mktn.engine.attention import COLUMNS, FRAME, PADDING, check_rows
from mktn.errors import UserError
from mktn.features.pairs_file import read_table_of
from mktn.report.layouts import titles

Floats = npt.NDArray[np.float64]
OF_PAIR = COLUMNS[:12]
WHOLE = ("seed", "block", "row", "column")
AGAIN = "run `mktn attention` again"


@dataclasses.dataclass(frozen=True)
class Axis:
    """Rows or columns of a map: frames by the seconds at which they begin and the last ends, or
    words; `padding` learned ones behind them."""

    words: tuple[str, ...]
    edges_s: tuple[float, ...]  # empty where these are words
    padding: int

    @property
    def timed(self) -> bool:
        """Whether these are frames."""
        return bool(self.edges_s)

    @property
    def length(self) -> int:
        """How many, padding included."""
        return max(len(self.words), len(self.edges_s) - 1) + self.padding


@dataclasses.dataclass(frozen=True)
class AttentionMap:
    """weights (rows, columns): what the rows attend to; a row sums to one."""

    weights: Floats
    rows: Axis
    columns: Axis


@dataclasses.dataclass(frozen=True)
class Attention:
    """The maps of one pair, by name and block; span: the annotated moment, seconds."""

    source: str
    dataset: str
    model: str
    variant: str
    seed: int
    chosen: str
    video_id: str
    pair_id: str
    sentence: str
    span: tuple[float, float]
    duration_s: float
    maps: dict[tuple[str, int], AttentionMap]

    @property
    def blocks(self) -> list[int]:
        """Numbers of the blocks."""
        return sorted({block for _, block in self.maps})

    @property
    def names(self) -> list[str]:
        """The maps that there are."""
        return list(dict.fromkeys(name for name, _ in self.maps))


def read_tables(paths: Sequence[Path]) -> pl.DataFrame:
    """The files' rows, dataset by dataset in printed order, in the order of COLUMNS.

    Raises UserError where a file cannot be read, or two are of one dataset or of other sources.
    """
    tables = [(path, read_table_of("attention", path, list(COLUMNS))) for path in paths]
    found: dict[str, pl.DataFrame] = {}
    for path, table in tables:
        _check_types(table, path)
        names = table["dataset"].unique().to_list()
        if len(names) != 1 or names[0] in found:
            raise UserError(
                "attention maps of not one dataset a file",
                where=path,
                found=", ".join(map(str, names)) or "none",
                expected="one that no other file has",
            )
        found[names[0]] = table.select(COLUMNS)
    sources = sorted({source for table in found.values() for source in table["source"].unique()})
    if len(sources) != 1:
        raise UserError("maps of several sources", where="--attention", found=", ".join(sources))
    return pl.concat([found[dataset] for dataset in titles(found)])


def _check_types(table: pl.DataFrame, path: Path) -> None:
    """Raise UserError where a column is of another type, or a frame has no seconds."""
    for name in COLUMNS:
        kind = table[name].dtype
        if name in WHOLE:
            fits, expected = kind.is_integer(), "whole numbers"
        elif name.endswith("_s") or name == "weight":
            # No seconds stand beside words: all of them, where a map has words alone.
            fits, expected = kind.is_numeric() or kind == pl.Null, "numbers"
        else:
            fits, expected = kind == pl.String, "text"
        if not fits:
            raise UserError(
                "column of another type", where=f"{path}, {name}", found=kind,
                expected=expected, do=AGAIN,
            )  # fmt: skip
    timed = [name for name in COLUMNS if name.endswith(("_from_s", "_to_s"))]
    frames = {side: table.filter(pl.col(f"{side}_kind") == FRAME) for side in ("row", "column")}
    lost = [name for name in timed if frames[name.partition("_")[0]][name].null_count()]
    if lost:
        raise UserError("a frame without seconds", where=f"{path}, {lost[0]}", do=AGAIN)


def attentions_of(table: pl.DataFrame) -> list[Attention]:
    """The maps of each pair. Raises UserError where one is not whole, or a row is not shares."""
    found = []
    for of_pair, rows in table.group_by(list(OF_PAIR), maintain_order=True):
        named = dict(zip(OF_PAIR, of_pair, strict=True))
        where = f"{named['dataset']}, {named['pair_id']}"
        maps = {}
        for (name, block), weights in rows.group_by(["map", "block"], maintain_order=True):
            key = str(name), int(str(block))
            maps[key] = _map(weights, f"{where}, block {block}, {name}")
        span = named.pop("start_s"), named.pop("end_s")
        found.append(Attention(**named, span=span, maps=maps))
    return found


def _map(table: pl.DataFrame, where: str) -> AttentionMap:
    table = table.sort("row", "column")
    shape = table["row"].n_unique(), table["column"].n_unique()
    at = np.indices(shape).reshape(2, -1)
    whole = len(table) == shape[0] * shape[1]
    if not whole or (at != table.select("row", "column").to_numpy().T).any():
        raise UserError(
            "an attention map is not whole",
            where=where,
            found=f"{len(table)} weights",
            expected=f"{shape[0]} x {shape[1]}, each once",
            do=AGAIN,
        )
    weights = table["weight"].to_numpy().reshape(shape)
    check_rows(weights, where)
    return AttentionMap(
        weights,
        _axis(table.filter(pl.col("column") == 0), "row"),
        _axis(table.filter(pl.col("row") == 0), "column"),
    )


def _axis(entries: pl.DataFrame, name: str) -> Axis:
    kind = entries[f"{name}_kind"]
    real = entries.filter(kind != PADDING)
    timed = kind[0] == FRAME
    starts, ends = (real[f"{name}_{key}"].to_list() for key in ("from_s", "to_s"))
    return Axis(
        words=() if timed else tuple(real[f"{name}_word"]),
        edges_s=(*starts, ends[-1]) if timed else (),
        padding=len(entries) - len(real),
    )
