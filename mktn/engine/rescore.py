"""`mktn rescore`: a run's predictions against the moments of several annotators, and theirs.

Nothing is predicted again: the queries are those of the test split that were annotated again,
and the predictions are those of `mktn evaluate`. Q queries, A annotators a query at most.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mktn.checksums import read_sealed_json, write_sealed_json
from mktn.config import fill, read_settings
from mktn.engine.metrics import METRICS_FORMAT, evaluate_rankings
from mktn.errors import UserError

# What a moment is compared with, on the same queries.
HUMAN_SETS = {
    "human": "the best of the new annotators",
    "human_with_original": "the best of the new annotators and the published annotation",
    "human_original_only": "the published annotation",
}
SPANS = ["pair_id", "annotator", "start_percent", "end_percent"]
MOMENTS = ["pair_id", "nms", "rank", "start_s", "end_s"]
ANNOTATORS, LEAVE_ONE_OUT = "annotators", "leave_one_out"  # model and variant of the ceiling

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class RescoreConfig:
    """The bootstrap's seed; the rest of the protocol is that of the metrics.json given."""

    seed: int = 0


@dataclass(frozen=True)
class Queries:
    """The queries annotated again, their spans in per cent of the duration.

    The new annotators gave whole per cents, so that IoUs of exactly m are common among them:
    in seconds, rounding would put those on either side of m.
    """

    pair_ids: list[str]  # (Q)
    video_ids: list[str]  # (Q)
    duration_s: Floats  # (Q)
    original: Floats  # (Q,2)
    human: Floats  # (Q,A,2), NaN where a query has fewer annotators
    rejected: int  # annotated again, but without features

    def targets(self, test_set: str) -> Floats:
        """What each query's moments are compared with, per cent, (Q, any, 2)."""
        original = self.original[:, None]
        if test_set == "human":
            return self.human
        if test_set == "human_original_only":
            return original
        return np.concatenate([self.human, original], axis=1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `mktn rescore`."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--predictions", type=Path, help="predictions.parquet beside --metrics")
    what.add_argument(
        "--annotators", action="store_true", help="score each annotator against the others"
    )
    parser.add_argument(
        "--metrics", required=True, type=Path, help="metrics.json of the run, or of the protocol"
    )
    parser.add_argument("--pairs", required=True, type=Path, help="pairs.parquet")
    parser.add_argument("--groups", required=True, type=Path, help="groups.parquet")
    parser.add_argument("--reannotations", required=True, type=Path, help="of mktn reannotations")
    for name, meaning in HUMAN_SETS.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, required=True, type=Path, help=f"output: against {meaning}")
    parser.add_argument("--settings", help="JSON or a file: RescoreConfig")


def run(arguments: argparse.Namespace) -> None:
    """Score against each of HUMAN_SETS and write a metrics.json of each."""
    config = fill(RescoreConfig, read_settings(arguments.settings))
    before = read_metrics(arguments.metrics)
    queries = read_queries(arguments.pairs, arguments.groups, arguments.reannotations)
    ious = [*dict.fromkeys(row["iou"] for row in before["metrics"] if row["metric"] == "R")]
    ns = [*dict.fromkeys(row["n"] for row in before["metrics"] if row["metric"] == "R")]
    draws = before["comparison"], config.seed, before["bootstraps"]
    ranked: Any
    if arguments.annotators:
        before |= {"model": ANNOTATORS, "variant": LEAVE_ONE_OUT}
    else:
        limits = {
            iou: round(iou - 0.05, 4) if before["nms"] == "peer" else float(before["nms"])
            for iou in ious
        }
        moments = read_moments(
            arguments.predictions, queries, sorted(set(limits.values())), max(ns)
        )
        ranked = {iou: moments[limit] for iou, limit in limits.items()}
    for test_set in HUMAN_SETS:
        if arguments.annotators:
            answers, targets, video_ids = left_out(queries, test_set)
            scores = evaluate_rankings(list(answers), targets, video_ids, (1,), ious, *draws)
        else:
            targets = queries.targets(test_set) * queries.duration_s[:, None, None] / 100
            scores = evaluate_rankings(ranked, targets, queries.video_ids, ns, ious, *draws)
        document = {
            **before,
            "split": test_set,
            "queries": len(queries.pair_ids),
            "videos": len(set(queries.video_ids)),
            "rejected": queries.rejected,
            "metrics": scores,
        }
        write_sealed_json(document, getattr(arguments, test_set))
    print(f"{len(queries.pair_ids)} queries annotated again, {queries.rejected} without features")


def left_out(queries: Queries, test_set: str) -> tuple[Floats, Floats, list[str]]:
    """Each annotator's moment as an answer (R,1,2), its targets (R,any,2), its video (R).

    Moments and targets are in per cent. The targets are those of the test set without the
    annotator's own moment; R is the number of annotations.
    """
    query, annotator = np.nonzero(~np.isnan(queries.human[..., 0]))  # (R,), (R,)
    targets = queries.targets(test_set)[query]
    if test_set != "human_original_only":
        targets[np.arange(len(query)), annotator] = np.nan
    answers = queries.human[query, annotator][:, None]
    return answers, targets, [queries.video_ids[q] for q in query]


def read_metrics(path: Path) -> dict[str, Any]:
    """The metrics.json of the standard test split. Raises UserError when it is another's."""
    try:
        value = read_sealed_json(path)
    except (OSError, ValueError) as error:
        raise UserError(
            "metrics cannot be read", where=path, found=error, do="run `mktn evaluate`"
        ) from error
    if not isinstance(value, dict) or value.get("format") != METRICS_FORMAT:
        raise UserError(
            "metrics of an unknown format", where=path, expected=f"format {METRICS_FORMAT}"
        )
    if value["split"] != "test":
        raise UserError(
            "only the test split was annotated again",
            where=path,
            found=f"split {value['split']}",
            expected="test",
            do="give metrics.json and predictions.parquet of the standard partition",
        )
    return value


def read_queries(pairs: Path, groups: Path, reannotations: Path) -> Queries:
    """The test queries annotated again. Raises UserError where none of them is among the pairs."""
    import polars as pl

    from mktn.features.pairs_file import read_pairs_file, read_table_of

    spans = read_table_of("reannotations", reannotations, needed=SPANS)
    usable = read_table_of("group", groups, ["pair_id"])
    test = read_pairs_file(pairs, ["pair_id", "video_id", "start_s", "end_s", "duration_s"])
    wanted = test.filter(pl.col("pair_id").is_in(spans["pair_id"].unique().implode()))
    asked = wanted.filter(pl.col("pair_id").is_in(usable["pair_id"].implode()))
    if asked.is_empty():
        raise UserError(
            "no usable pair was annotated again",
            where=reannotations,
            found=f"moments of {spans['pair_id'].n_unique()} other queries",
            expected=f"queries of {pairs}",
        )
    row = {pair_id: index for index, pair_id in enumerate(asked["pair_id"])}
    of_asked = spans.filter(pl.col("pair_id").is_in(asked["pair_id"].implode()))
    annotators = of_asked["annotator"].to_numpy()
    human = np.full((len(row), annotators.max() + 1, 2), np.nan)
    rows = [row[pair_id] for pair_id in of_asked["pair_id"]]
    human[rows, annotators] = of_asked.select("start_percent", "end_percent").to_numpy()
    duration_s = asked["duration_s"].to_numpy().astype(np.float64)
    return Queries(
        asked["pair_id"].to_list(),
        asked["video_id"].to_list(),
        duration_s,
        100 * asked.select("start_s", "end_s").to_numpy() / duration_s[:, None],
        human,
        spans["pair_id"].n_unique() - asked.height,
    )


def read_moments(
    path: Path, queries: Queries, thresholds: Sequence[float], n: int
) -> dict[float, Floats]:
    """The first n moments of each query at each NMS threshold, (Q,n,2), NaN where absent.

    Raises UserError where a threshold, or every query, is missing.
    """
    import polars as pl

    from mktn.features.pairs_file import read_table_of

    table = read_table_of("evaluate", path, MOMENTS).filter(pl.col("rank") <= n)
    row = {pair_id: index for index, pair_id in enumerate(queries.pair_ids)}
    table = table.filter(pl.col("pair_id").is_in(queries.pair_ids))
    found = {}
    for threshold in thresholds:
        of_threshold = table.filter((pl.col("nms") - threshold).abs() < 1e-9)
        if of_threshold.is_empty():
            raise UserError(
                "predictions of other queries or another NMS threshold",
                where=path,
                expected=f"the queries annotated again, at {threshold:g}",
                do="run `mktn evaluate` again and give both of its files",
            )
        moments = np.full((len(row), n, 2), np.nan)
        rows = [row[pair_id] for pair_id in of_threshold["pair_id"]]
        ranks = of_threshold["rank"].to_numpy() - 1
        moments[rows, ranks] = of_threshold.select("start_s", "end_s").to_numpy()
        found[threshold] = moments
    return found
