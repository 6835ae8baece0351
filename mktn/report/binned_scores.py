"""R@1 by length and by position of the moment: bins of the test queries of a dataset.

Q queries of a dataset's split. A bin reaches from `low` up to `high`, the last one with `high`.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from mktn.engine.metrics import bootstrap_interval
from mktn.errors import UserError
from mktn.features.pairs_file import read_pairs_file
from mktn.report.differences import Scores
from mktn.report.layouts import titles
from mktn.report.lines import Figure
from mktn.report.results import Interval, Key, over_seeds
from mktn.report.rows import two_decimals

BINS = (
    *("method", "type", "model", "variant", "dataset", "by", "bin", "low", "high"),
    *("metric", "n", "iou", "value", "ci_low", "ci_high", "queries", "videos", "seeds", "source"),
)
# figure -> what the queries are binned by, from start_s, end_s and duration_s of their moments.
LENGTHS = ("length_s", "length_share")
POSITIONS = ("start_share", "centre_share", "end_share")
DECIMALS = 3  # of the bounds of bins, so that those of the csv are those that were counted with

Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Binning:
    """Settings: by dataset the IoU of its table, and how many bins, at most."""

    table_iou: dict[str, float]
    bins: int = 5

    def __post_init__(self) -> None:
        if not 1 <= self.bins <= 50:
            raise ValueError(f"bins {self.bins}, expected 1 to 50")


def bin_rows(
    name: str,
    figure: Figure,
    scores: Sequence[Scores],
    pairs_files: Sequence[Path],
    binning: Binning,
    seed: int,
) -> list[list[object]]:
    """Rows of BINS: systems in the figure's order, then the baselines, seeds joined.

    Lengths have bins of equally many queries, because their distribution is skewed and differs
    between datasets; positions have bins of equal width, which all datasets share. A bin's
    interval is the bootstrap over its videos; with one video there is none. Raises UserError where
    a dataset has no table IoU or its runs were not scored at it.
    """
    spans = _spans(pairs_files)
    method_of = {line.system: (line.method, line.type) for line in figure.lines}
    method_of |= {(model, "baseline"): (model, "") for model in figure.baselines}
    rows: list[list[object]] = []
    for dataset in titles(one.run.dataset for one in scores):
        of_dataset = [one for one in scores if one.run.dataset == dataset]
        key: Key = ("R", 1, _table_iou(binning, dataset, of_dataset[0]))
        values = _values(of_dataset[0].pair_ids, spans[dataset])
        for by in LENGTHS if name == "lengths" else POSITIONS:
            if by in LENGTHS:
                edges = equal_counts(values[by], binning.bins)
            else:
                edges = np.round(np.linspace(0, 1, binning.bins + 1), DECIMALS)
            within = bin_of(values[by], edges)
            for system, (method, kind) in method_of.items():
                seeds = [one for one in of_dataset if one.run.system == system]
                for at in range(len(edges) - 1) if seeds else ():
                    bounds = (f"{edge:.{DECIMALS}f}" for edge in edges[at : at + 2])
                    rows.append([
                        *(method, kind, *system, dataset, by, at, *bounds, *key),
                        *_cells(seeds, key, within == at, seed),
                        *(len(seeds), seeds[0].run.source),
                    ])  # fmt: skip
    return rows


def equal_counts(values: Floats, bins: int) -> Floats:
    """Bounds `(b + 1,)` of at most `bins` bins with equally many of `values`, `(Q,)`.

    Equal values stay together, so that there may be fewer bins and other counts.
    """
    # Bounds are observed values, so that no bin is empty.
    shares = np.linspace(0, 1, min(bins, len(values)) + 1)
    edges = np.round(np.quantile(values, shares, method="higher"), DECIMALS)
    unit = 10.0**-DECIMALS
    edges[0], edges[-1] = _down(values.min(), unit), -_down(-values.max(), unit)
    edges = np.unique(edges)
    # Of one value alone: a bin needs two bounds.
    return edges if len(edges) > 1 else np.array([edges[0], edges[0] + unit])


def _down(value: float, unit: float) -> float:
    return float(np.round(np.floor(np.round(value / unit, 6)) * unit, DECIMALS))


def bin_of(values: Floats, edges: Floats) -> npt.NDArray[np.int64]:
    """The bin, from 0, of each of `values`, `(Q,)`; what lies outside is in the nearest."""
    return np.asarray(np.searchsorted(edges[1:-1], values, side="right"))


def _cells(
    seeds: Sequence[Scores], key: Key, inside: npt.NDArray[np.bool_], seed: int
) -> list[object]:
    """value, ci_low, ci_high, queries and videos of a system in one bin."""
    queries = int(inside.sum())
    videos = [video for video, kept in zip(seeds[0].video_ids, inside, strict=True) if kept]
    distinct = len(set(videos))
    if not queries:
        return ["", "", "", 0, 0]
    found = []
    for one in seeds:
        hits = one.per_query[inside][:, [one.keys.index(key)]]
        low, high = bootstrap_interval(hits, videos, seed, one.run.bootstraps)
        found.append(Interval(float(100 * hits.mean()), float(low[0]), float(high[0])))
    value, *interval = two_decimals(over_seeds(found))
    # One video drawn again and again is always itself: that says nothing of others.
    return [value, *(interval if distinct > 1 else ("", "")), queries, distinct]


def _table_iou(binning: Binning, dataset: str, one: Scores) -> float:
    iou = binning.table_iou.get(dataset)
    if not isinstance(iou, int | float) or isinstance(iou, bool):
        raise UserError(
            "no IoU of a dataset's table",
            where=f"--settings.table_iou.{dataset}",
            found="none" if iou is None else repr(iou),
            expected="a number, as 0.5",
        )
    if ("R", 1, float(iou)) not in one.keys:
        raise UserError(
            "runs are not scored at the IoU of the table",
            where=one.run.path,
            found=", ".join(f"{m:g}" for _, n, m in one.keys if n == 1 and m is not None),
            expected=f"{iou:g}",
        )
    return float(iou)


def _spans(paths: Sequence[Path]) -> dict[str, pl.DataFrame]:
    """pair_id, start_s, end_s and duration_s of each dataset."""
    columns = ["dataset", "pair_id", "start_s", "end_s", "duration_s"]
    frames = [read_pairs_file(path, columns) for path in paths]
    return {str(d): of for frame in frames for (d,), of in frame.group_by("dataset")}


def _values(pair_ids: Sequence[str], spans: pl.DataFrame) -> dict[str, Floats]:
    """What each query is binned by, `(Q,)` in the order of `pair_ids`."""
    asked = pl.DataFrame({"pair_id": pair_ids}).join(spans, on="pair_id", maintain_order="left")
    start, end, duration = asked.select("start_s", "end_s", "duration_s").to_numpy().T
    return {
        "length_s": end - start,
        "length_share": (end - start) / duration,
        "start_share": start / duration,
        "centre_share": (start + end) / (2 * duration),
        "end_share": end / duration,
    }
