"""Differences against a reference on the same queries, from the predictions of both runs.

Q queries of a dataset's split, M metrics, n moments a query.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import polars as pl

from mktn.engine.metrics import Ranked, hits_at, paired_bootstrap, ranked_iou
from mktn.errors import UserError
from mktn.features.pairs_file import read_pairs_file, read_table_of
from mktn.report.lines import System
from mktn.report.results import BASELINES, Interval, Key, Run, over_seeds

TOLERANCE = 1e-6  # per cent, between metrics.json and the metric rebuilt from the predictions

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """What one run scored on each query: `per_query` (Q, M) in [0, 1], columns as `keys`."""

    run: Run
    keys: tuple[Key, ...]
    per_query: Floats
    video_ids: tuple[str, ...]  # (Q,)
    pair_ids: tuple[str, ...]  # (Q,)


def nms_threshold(run: Run, iou: float) -> float:
    """The NMS threshold of the ranking that is scored at this IoU, as `mktn evaluate` sets it."""
    return round(iou - 0.05, 4) if run.nms == "peer" else float(run.nms)


def read_scores(runs: Sequence[tuple[Run, Path]], pairs_files: Sequence[Path]) -> list[Scores]:
    """Each run's score on each query, rebuilt from its `predictions.parquet`.

    `runs` are those of a table, each with the path of its predictions; `pairs_files` hold their
    targets, a dataset each. Raises UserError where a dataset has no pairs or two files of them,
    where predictions are broken or of other pairs, and where they do not give the metrics.
    """
    pairs = _read_pairs(pairs_files)
    scores = []
    for dataset in dict.fromkeys(run.dataset for run, _ in runs):
        of_dataset = [(run, path) for run, path in runs if run.dataset == dataset]
        if dataset not in pairs:
            raise UserError(
                "no pairs of a dataset", where="--pairs", found=", ".join(pairs), expected=dataset
            )
        split = of_dataset[0][0].split
        targets = pairs[dataset].filter(pl.col("split") == split)
        moments = [_read_moments(path, run, targets) for run, path in of_dataset]
        # A query that a model finds no moment for is absent from its predictions alone.
        asked = np.any([_answered(by_threshold) for by_threshold in moments], axis=0)
        _check_counts(of_dataset[0], targets, asked)
        spans = targets.select("start_s", "end_s").to_numpy()[asked]
        video_ids, pair_ids = (
            tuple(targets[name].filter(pl.Series(asked))) for name in ("video_id", "pair_id")
        )
        for (run, path), by_threshold in zip(of_dataset, moments, strict=True):
            kept = {threshold: array[asked] for threshold, array in by_threshold.items()}
            per_query = _per_query(run, kept, spans)
            _check_rebuilt(run, path, per_query)
            scores.append(Scores(run, tuple(run.metrics), per_query, video_ids, pair_ids))
    return scores


def differences(
    scores: Sequence[Scores], reference_of: Callable[[System], System | None], seed: int
) -> dict[tuple[str, System, Key], Interval]:
    """`{(dataset, system, key): system - its reference}` in points, each seed with its own.

    The interval of a seed is a paired bootstrap over videos, whose draws follow from `seed`;
    several seeds are joined by `over_seeds`. A system whose reference is absent, or that has
    none, has no difference; nor have baselines.
    """
    trained = {
        (one.run.dataset, one.run.system, one.run.seed): one
        for one in scores
        if one.run.model not in BASELINES
    }
    by_seed: dict[tuple[str, System, Key], list[Interval]] = {}
    for (dataset, system, of_seed), one in trained.items():
        reference = reference_of(system)
        other = trained.get((dataset, reference, of_seed)) if reference else None
        if other is None:
            continue
        for column, key in enumerate(one.keys):
            found = paired_bootstrap(
                one.per_query[:, column],
                other.per_query[:, other.keys.index(key)],
                one.video_ids,
                seed,
                one.run.bootstraps,
            )
            interval = Interval(found["difference"], found["ci_low"], found["ci_high"])
            by_seed.setdefault((dataset, system, key), []).append(interval)
    return {key: over_seeds(intervals, lowest=-100.0) for key, intervals in by_seed.items()}


def _read_pairs(paths: Sequence[Path]) -> dict[str, pl.DataFrame]:
    """The targets of each dataset: split, video_id, pair_id, start_s, end_s."""
    pairs: dict[str, pl.DataFrame] = {}
    columns = ["dataset", "split", "video_id", "pair_id", "start_s", "end_s"]
    for path in paths:
        frame = read_pairs_file(path, columns)
        for (dataset,), of_dataset in frame.group_by("dataset", maintain_order=True):
            if dataset in pairs:
                raise UserError(
                    "a dataset has two files of pairs", where=path, found=dataset, expected="one"
                )
            pairs[str(dataset)] = of_dataset
    return pairs


def _read_moments(path: Path, run: Run, targets: pl.DataFrame) -> dict[float, Floats]:
    """The ranked moments (targets, n, 2) for each NMS threshold of a run, NaN where absent."""
    columns = ["pair_id", "nms", "rank", "start_s", "end_s"]
    frame = read_table_of("evaluate", path, columns)
    rows = targets.select("pair_id").with_row_index("row")
    frame = frame.join(rows, on="pair_id", how="left", maintain_order="left")
    unknown = frame.filter(pl.col("row").is_null())
    if unknown.height:
        raise UserError(
            "predictions of a pair that is not there",
            where=path,
            found=unknown["pair_id"][0],
            expected=f"{run.split} pairs of {run.dataset}",
            do="give the pairs.parquet that the run was evaluated on",
        )
    n = max((n for _, n, _ in run.metrics if n is not None), default=1)
    frame = frame.filter(pl.col("rank") <= n)
    by_threshold = {}
    for iou in (iou for _, _, iou in run.metrics if iou is not None):
        threshold = nms_threshold(run, iou)
        ranked = frame.filter(pl.col("nms") == threshold)
        if not ranked.height:
            raise UserError(
                "no predictions for an NMS threshold",
                where=path,
                found=", ".join(f"{nms:g}" for nms in frame["nms"].unique().sort()),
                expected=f"{threshold:g}, as {run.path} says",
            )
        moments = np.full((targets.height, n, 2), np.nan)
        at = ranked["row"].to_numpy(), ranked["rank"].to_numpy() - 1
        moments[at] = ranked.select("start_s", "end_s").to_numpy()
        by_threshold[threshold] = moments
    return by_threshold


def _answered(by_threshold: Mapping[float, Floats]) -> npt.NDArray[np.bool_]:
    return np.any([~np.isnan(m[:, 0, 0]) for m in by_threshold.values()], axis=0)


def _per_query(run: Run, moments: Mapping[float, Floats], spans: Floats) -> Floats:
    """The value (Q, M) of each metric on each query, in the order of `run.metrics`."""
    columns: list[npt.NDArray[np.floating | np.bool_]] = []
    for metric, n, iou in run.metrics:
        if metric == "R" and n is not None and iou is not None:
            ranked = cast(Ranked, moments[nms_threshold(run, iou)])
            columns.append(hits_at(ranked, spans, n, iou, run.comparison == ">"))
        elif metric == "mIoU":
            # The first moment is chosen before NMS, so any threshold's will do.
            ranked = cast(Ranked, next(iter(moments.values())))
            columns.append(ranked_iou(ranked, spans, 1)[:, 0])
        else:
            raise UserError(
                "metric has no value a query", where=run.path, found=metric, expected="R or mIoU"
            )
    return np.stack(columns, axis=1).astype(np.float64)


def _check_counts(
    first: tuple[Run, Path], targets: pl.DataFrame, asked: npt.NDArray[np.bool_]
) -> None:
    run, path = first
    videos = targets["video_id"].filter(pl.Series(asked)).n_unique()
    if (int(asked.sum()), videos) != (run.queries, run.videos):
        raise UserError(
            "predictions do not belong to the metrics",
            where=path,
            found=f"{int(asked.sum())} queries of {videos} videos",
            expected=f"{run.queries} of {run.videos}, as {run.path} says",
            do="evaluate the run again, or give the predictions in the order of the metrics",
        )


def _check_rebuilt(run: Run, path: Path, per_query: Floats) -> None:
    """Refuse predictions that do not give the values in metrics.json."""
    rebuilt = 100.0 * per_query.mean(axis=0)
    for (metric, n, iou), value in zip(run.metrics, rebuilt, strict=True):
        written = run.metrics[metric, n, iou].value
        if abs(value - written) > TOLERANCE:
            name = metric if n is None else f"{metric}@{n}, IoU={iou:g}"
            raise UserError(
                "predictions do not give the metrics",
                where=path,
                found=f"{name} of {value:.4f}",
                expected=f"{written:.4f}, as {run.path} says",
                do="evaluate the run again, or give the predictions in the order of the metrics",
            )
