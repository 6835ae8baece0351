"""`mktn diagnose`: what a reviewer asks of one trained run, on the queries of one split.

The order that CSM is told, one query at a time against all of a video together, sentences that
training has and has not seen, and whether S, S_op and S_es find the right video. N queries.
"""

import argparse
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from mktn.checksums import write_sealed_json
from mktn.config import fill, read_settings
from mktn.engine.checkpoint import load
from mktn.engine.evaluate import EvaluationConfig, add_data, read_data, variant_name
from mktn.engine.metrics import bootstrap_interval, hits_at, paired_bootstrap, ranked_iou
from mktn.engine.predict import Predictions, choose_device, predict
from mktn.engine.retrieval import RANKS, positives_of, retrieved, similarities
from mktn.engine.seen import seen_minus_unseen, shares
from mktn.errors import UserError

if TYPE_CHECKING:
    from mktn.grouping.loader import PairData

DIAGNOSES_FORMAT = 2
PROTOCOL = ("source", "dataset", "comparison", "nms", "validation", "bootstraps", "order")
ORDERS = ("annotation", "shuffled", "none")

Floats = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class DiagnoseConfig(EvaluationConfig):
    """The protocol, and how many videos a query is searched among."""

    group_videos: int = 48

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.group_videos < 2:
            raise ValueError(f"group_videos {self.group_videos}: expected 2 or more")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `mktn diagnose`."""
    parser.add_argument("--run", required=True, help="folder of a trained run")
    add_data(parser)
    parser.add_argument("--out", required=True, type=Path, help="output: diagnoses.json")
    parser.add_argument("--settings", required=True, help="JSON or a file: DiagnoseConfig")


def run(arguments: argparse.Namespace) -> None:
    """Diagnose the run and write one row a number."""
    config = fill(DiagnoseConfig, read_settings(arguments.settings))
    torch.set_num_threads(config.threads)
    network, trained = load(arguments.run)
    if trained["model"] != "mktn":
        raise UserError(
            "these diagnostics are of mktn: other models match no videos with queries",
            where=arguments.run,
            found=trained["model"],
            expected="mktn",
        )
    data = read_data(arguments, config, trained)
    device = choose_device(config.device)
    network.to(device)
    print(data.place(device))
    answers = Answers(network, data, arguments.split, device, config)
    rows = [*of_answers(answers), *of_matching(answers)]
    write_sealed_json(
        {
            "format": DIAGNOSES_FORMAT,
            **{name: getattr(config, name) for name in PROTOCOL},
            **{name: trained[name] for name in ("model", "seed")},
            "variant": variant_name(trained),
            "split": arguments.split,
            "queries": len(answers.rows()),
            "videos": len(set(answers.videos())),
            "group_videos": config.group_videos,
            "diagnoses": rows,
        },
        arguments.out,
    )
    print(f"{len(rows)} diagnoses of {arguments.run}: {arguments.out}")


@dataclasses.dataclass
class Answers:
    """A trained network and the queries it is asked."""

    network: Any
    data: "PairData"
    split: str
    device: torch.device
    config: DiagnoseConfig

    def rows(self) -> npt.NDArray[np.int64]:
        """Row numbers of the queries in the order in which they are answered, (N,)."""
        return np.concatenate(self.data.packed(self.split))

    def keys(self) -> list[tuple[str, int | None, float | None]]:
        """(metric, n, iou) of each column of the scores."""
        recalls: list[tuple[str, int | None, float | None]] = [
            ("R", n, iou) for n in self.config.ns for iou in self.config.ious
        ]
        return [*recalls, ("mIoU", None, None)]

    def scores(self, **options: Any) -> Floats:
        """Each query's score in each column, (N, keys) in [0, 1]; options of `predict`."""
        thresholds = self.config.thresholds()
        found = predict(
            self.network,
            self.data,
            self.split,
            device=self.device,
            n=max(self.config.ns),
            nms_thresholds=sorted(set(thresholds.values())),
            seed=self.config.seed,
            **options,
        )
        target = self.data.span_s[self.rows()]
        strict = self.config.comparison == ">"

        def moments(iou: float) -> list[Any]:
            predictions: Predictions = found[thresholds[iou]]
            assert predictions.pair_ids == [self.data.pair_ids[row] for row in self.rows()]
            return list(predictions.spans_s)

        columns = [
            hits_at(moments(iou), target, n, iou, strict)
            for metric, n, iou in self.keys()
            if metric == "R" and n is not None and iou is not None
        ]
        best = ranked_iou(moments(self.config.ious[0]), target, 1)[:, 0]
        return np.stack([*columns, best], axis=1).astype(np.float64)

    def videos(self) -> npt.NDArray[np.str_]:
        """The video id of each query, (N,)."""
        return np.array([self.data.video_ids[row] for row in self.rows()])


def of_answers(answers: Answers) -> Iterator[dict[str, Any]]:
    """Order, one query at a time, and seen or unseen sentences: rows of the result."""
    usual = answers.scores(order="annotation")
    everyone = np.ones(len(usual), np.bool_)
    for order in ORDERS:
        scores = usual if order == "annotation" else answers.scores(order=order)
        against = None if order == "annotation" else usual
        yield from _rows(answers, "order", order, scores, everyone, against)
    yield from _rows(answers, "queries", "all of a video", usual, everyone)
    alone = answers.scores(order="annotation", alone=True)
    yield from _rows(answers, "queries", "one at a time", alone, everyone, usual)
    data = answers.data
    seen = np.isin(data.text_index[answers.rows()], data.text_index[data.split("train")])
    videos, config = answers.videos().tolist(), answers.config
    draws = config.seed, config.bootstraps
    for setting, asked in (("seen", seen), ("unseen", ~seen)):
        rows = _rows(answers, "sentence", setting, usual, asked) if asked.any() else ()
        for column, row in enumerate(rows):
            if setting == "seen" and not seen.all():
                row["difference"] = seen_minus_unseen(usual[:, column], seen, videos, *draws)
            yield row
    yield from shares(usual, answers.keys(), seen, videos, *draws)


def _rows(
    answers: Answers,
    diagnostic: str,
    setting: str,
    scores: Floats,
    asked: npt.NDArray[np.bool_],
    against: Floats | None = None,
) -> Iterator[dict[str, Any]]:
    videos = answers.videos()[asked].tolist()
    config = answers.config
    low, high = bootstrap_interval(scores[asked], videos, config.seed, config.bootstraps)
    for column, (metric, n, iou) in enumerate(answers.keys()):
        row: dict[str, Any] = {
            "diagnostic": diagnostic,
            "setting": setting,
            "metric": metric,
            "n": n,
            "iou": iou,
            "value": 100 * float(scores[asked, column].mean()),
            "ci_low": float(low[column]),
            "ci_high": float(high[column]),
            "queries": int(asked.sum()),
        }
        if against is not None:
            compared = paired_bootstrap(
                scores[asked, column],
                against[asked, column],
                videos,
                config.seed,
                config.bootstraps,
            )
            row["difference"] = [compared[k] for k in ("difference", "ci_low", "ci_high")]
        yield row


def of_matching(answers: Answers) -> Iterator[dict[str, Any]]:
    """Recall of the right video by each similarity, in groups and among all: rows."""
    config, data = answers.config, answers.data
    found, videos, rows = similarities(answers.network, data, answers.split, answers.device)
    owners = [data.video_ids[row] for row in rows]
    positive = positives_of(videos, owners, data.text_index[rows])
    sizes = {min(config.group_videos, len(videos)): "group", len(videos): "all"}
    for size, among in sizes.items():
        for name, similarity in found.items():
            hits, chances = retrieved(similarity, positive, videos, owners, size, config.seed)
            scores = hits.astype(np.float64)
            low, high = bootstrap_interval(scores, owners, config.seed, config.bootstraps)
            for column, rank in enumerate(RANKS):
                above = paired_bootstrap(
                    scores[:, column], chances[:, column], owners, config.seed, config.bootstraps
                )
                yield {
                    "diagnostic": "retrieval",
                    "setting": f"{name}, {size} videos" + (" (all)" if among == "all" else ""),
                    "metric": "R",
                    "n": rank,
                    "iou": None,
                    "value": 100 * float(scores[:, column].mean()),
                    "ci_low": float(low[column]),
                    "ci_high": float(high[column]),
                    "chance": 100 * float(chances[:, column].mean()),
                    "difference": [above[k] for k in ("difference", "ci_low", "ci_high")],
                    "queries": len(rows),
                }
