"""What Figure 3c shows: some test pairs and what each system answers, its first moment alone."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from mktn.config import fill
from mktn.engine.drawn_pairs import Draw, drawn_pairs
from mktn.engine.metrics import temporal_iou
from mktn.errors import UserError
from mktn.features.pairs_file import read_pairs_file, read_table_of
from mktn.report.layouts import TABLES, titles
from mktn.report.lines import System
from mktn.report.results import Run, check_runs, read_run

GROUND_TRUTH = "ground truth"
OURS: System = ("mktn", "full")
COLUMNS = (
    *("source", "dataset", "video_id", "pair_id", "sentence", "duration_s", "chosen"),
    *("system", "seed", "start_s", "end_s", "iou"),
)
NAMES = {line.system: line.name for line in (*TABLES["2"].lines, *TABLES["1"].lines)}
PAIR_COLUMNS = [
    *("dataset", "split", "video_id", "pair_id", "sentence"),
    *("start_s", "end_s", "duration_s"),
]
MOMENT_COLUMNS = ["pair_id", "nms", "rank", "start_s", "end_s"]
Span = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class TimelineSettings:
    """pairs a dataset, the seed of their draw, and pair ids in its place, by dataset."""

    pairs: int = 3
    seed: int = 0
    named: dict[str, Any] = dataclasses.field(default_factory=dict)

    def draw(self, dataset: str) -> Draw:
        """Of one dataset. Raises UserError on values that cannot be."""
        given = {"pairs": self.pairs, "seed": self.seed, "named": self.named.get(dataset, ())}
        return fill(Draw, given, f"--settings, named.{dataset}")


@dataclasses.dataclass(frozen=True)
class Given:
    """What a system answers, seconds; moment and iou are None where it has no answer."""

    run: Run
    moment: Span | None
    iou: float | None

    @property
    def name(self) -> str:
        """As printed."""
        return NAMES.get(self.run.system, "/".join(self.run.system))


@dataclasses.dataclass(frozen=True)
class Timeline:
    """A pair and its answers, ours first. span: the annotated moment, seconds."""

    source: str
    dataset: str
    video_id: str
    pair_id: str
    sentence: str
    duration_s: float
    queries: int  # of the video
    chosen: str
    span: Span
    given: tuple[Given, ...]


def read_timelines(
    metrics: Sequence[Path],
    predictions: Sequence[Path],
    pairs: Sequence[Path],
    settings: TimelineSettings,
) -> list[Timeline]:
    """The timelines, dataset by dataset in printed order, those of a dataset as drawn.

    predictions are in the order of metrics, one run a system and dataset. Raises UserError where
    they are not of the same data, and where pairs do not belong to them.
    """
    runs = [read_run(path) for path in metrics]
    if len(predictions) != len(runs):
        raise UserError(
            "not one file of predictions for each of the metrics",
            where="--predictions",
            found=len(predictions),
            expected=len(runs),
        )
    check_runs(runs, list(dict.fromkeys(run.system for run in runs)))
    _check_seeds(runs)
    answers = {path: read_table_of("evaluate", path, MOMENT_COLUMNS) for path in predictions}
    of_pairs = _pairs_of(pairs)
    found: list[Timeline] = []
    for dataset in titles(run.dataset for run in runs):
        asked = [(r, answers[p]) for r, p in zip(runs, predictions, strict=True)
                 if r.dataset == dataset]  # fmt: skip
        if dataset not in of_pairs:
            raise UserError(
                "no pairs of a dataset", where="--pairs", found=", ".join(of_pairs),
                expected=dataset,
            )  # fmt: skip
        path, table = of_pairs[dataset]
        found += _of_dataset(dataset, asked, table, path, settings.draw(dataset))
    unknown = sorted(set(settings.named) - set(of_pairs))
    if unknown:
        raise UserError(
            "pairs are named of a dataset that is not shown", where="--settings, named",
            found=unknown[0], expected=f"one of {', '.join(of_pairs)}",
        )  # fmt: skip
    return found


def rows_of(timelines: Sequence[Timeline]) -> list[list[object]]:
    """The figure as a tidy table, a row a bar, in the order of COLUMNS."""
    rows: list[list[object]] = []
    for one in timelines:
        head = [
            *(one.source, one.dataset, one.video_id, one.pair_id, one.sentence),
            *(one.duration_s, one.chosen),
        ]
        rows.append([*head, GROUND_TRUTH, "", *one.span, ""])
        for given in one.given:
            moment = ("", "") if given.moment is None else given.moment
            iou = "" if given.iou is None else given.iou
            rows.append([*head, "/".join(given.run.system), given.run.seed, *moment, iou])
    return rows


def _of_dataset(
    dataset: str,
    asked: Sequence[tuple[Run, pl.DataFrame]],
    table: pl.DataFrame,
    where: Path,
    draw: Draw,
) -> list[Timeline]:
    split = asked[0][0].split
    table = table.filter(pl.col("split") == split)
    known = set(table["pair_id"])
    first = [(run, _first_moments(run, frame, known, where)) for run, frame in asked]
    # Ours on top, whatever the order of the files.
    first.sort(key=lambda one: one[0].system != OURS)
    answered = set().union(*(moments for _, moments in first))
    shown = drawn_pairs(
        draw, table.select("pair_id", "video_id").iter_rows(), answered.__contains__, where
    )
    row_of = {row["pair_id"]: row for row in table.iter_rows(named=True)}
    counts = table["video_id"].value_counts()
    queries = dict(counts.iter_rows())
    return [
        _timeline(row_of[pair_id], queries[row_of[pair_id]["video_id"]], draw.said, first)
        for pair_id in shown
    ]


def _timeline(
    row: Mapping[str, Any],
    queries: int,
    chosen: str,
    first: Sequence[tuple[Run, Mapping[str, Span]]],
) -> Timeline:
    span = row["start_s"], row["end_s"]
    moments = [(run, of_run.get(row["pair_id"])) for run, of_run in first]
    return Timeline(
        source=first[0][0].source,
        **{name: row[name] for name in COLUMNS[1:6]},
        queries=queries,
        chosen=chosen,
        span=span,
        given=tuple(
            Given(run, moment, None if moment is None else float(temporal_iou(moment, span)))
            for run, moment in moments
        ),
    )


def _first_moments(run: Run, frame: pl.DataFrame, known: set[str], where: Path) -> dict[str, Span]:
    """pair_id -> the best moment, which is chosen before NMS, so that any threshold's will do."""
    best = frame.filter(pl.col("rank") == 1).unique("pair_id", maintain_order=True)
    found = {p: (s, e) for p, s, e in best.select("pair_id", "start_s", "end_s").iter_rows()}
    foreign = sorted(set(found) - known)
    if foreign:
        raise UserError(
            "predictions of a pair that is not there",
            where=f"{run.dataset}, {'/'.join(run.system)}",
            found=foreign[0],
            expected=f"{run.split} pairs of {where}",
            do="give the pairs.parquet that the run was evaluated on",
        )
    return found


def _pairs_of(paths: Sequence[Path]) -> dict[str, tuple[Path, pl.DataFrame]]:
    found: dict[str, tuple[Path, pl.DataFrame]] = {}
    for path in paths:
        frame = read_pairs_file(path, PAIR_COLUMNS)
        for (dataset,), of_dataset in frame.group_by("dataset", maintain_order=True):
            if dataset in found:
                raise UserError(
                    "a dataset has two files of pairs", where=path, found=dataset, expected="one"
                )
            found[str(dataset)] = path, of_dataset
    return found


def _check_seeds(runs: Sequence[Run]) -> None:
    """Refuse several runs of one system: the figure shows the answers of one."""
    seeds = sorted({run.seed for run in runs})
    if len(seeds) > 1:
        raise UserError(
            "runs of several seeds of training",
            where="--metrics",
            found=", ".join(map(str, seeds)),
            expected="one a system",
        )
