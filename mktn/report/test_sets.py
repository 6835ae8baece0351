"""`mktn test-sets`: every system's scores on every test set, as tidy csv and as Markdown.

The published re-partitions' test sets, and the test queries that more annotators gave moments.
"""

import argparse
import csv
import io
from collections.abc import Sequence
from pathlib import Path

from mktn.datasets import PARTITIONS
from mktn.engine.rescore import ANNOTATORS, HUMAN_SETS
from mktn.errors import UserError
from mktn.files import written_beside
from mktn.models.variants import VARIANTS_OF
from mktn.report.layouts import titles
from mktn.report.results import (
    BASELINES,
    INPUTS,
    Interval,
    Key,
    Run,
    check_same,
    over_seeds,
    read_run,
)
from mktn.report.rows import two_decimals
from mktn.report.sources import SOURCE_STATEMENTS, VALIDATION

COLUMNS = (
    *("source", "dataset", "partition", "test_set", "model", "variant", "metric", "n", "iou"),
    *("value", "ci_low", "ci_high", "queries", "videos", "rejected", "seeds"),
    *("comparison", "nms", "validation", "features"),
)
MEANINGS = {
    "test": "the dataset's own test split",
    "test_iid": "moments distributed as in training",
    "test_ood": "moments distributed otherwise than in training",
    "test_trivial": "compositions known from training",
    "novel_composition": "known words, combined as never in training",
    "novel_word": "words that training does not have",
    **{name: f"the queries annotated again, against {what}" for name, what in HUMAN_SETS.items()},
}
SYSTEMS = (*BASELINES, *VARIANTS_OF, ANNOTATORS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `mktn test-sets`."""
    parser.add_argument(
        "--metrics", required=True, nargs="+", type=Path, help="metrics.json of every test set"
    )
    parser.add_argument("--csv", required=True, type=Path, help="output: tidy csv")
    parser.add_argument("--markdown", required=True, type=Path, help="output: a section a dataset")


def run(arguments: argparse.Namespace) -> None:
    """Read the metrics, check that they belong together, write both tables."""
    systems = grouped([read_run(path) for path in arguments.metrics])
    with written_beside(arguments.csv) as beside, written_beside(arguments.markdown) as other:
        beside.write_text(as_csv(systems), encoding="utf-8")
        other.write_text(as_markdown(systems), encoding="utf-8")
    test_sets = len({(runs[0].dataset, runs[0].split) for runs in systems})
    print(f"{len(systems)} rows of {test_sets} test sets: {arguments.csv}")


def grouped(runs: Sequence[Run]) -> list[list[Run]]:
    """The runs of each dataset, test set and system over seeds, in printed order.

    Raises UserError on a run that stands twice, on runs of several sources or, within a dataset,
    of several partitions, protocols, features or texts, and on other queries within a test set.
    """
    systems: dict[tuple[str, str, str, str], list[Run]] = {}
    for run in runs:
        if run.split not in MEANINGS:
            raise UserError(
                "not a test set", where=run.path, found=run.split, expected=", ".join(MEANINGS)
            )
        check_same(run, runs[0], ("source", "bootstraps"), "runs of one table")
        of_dataset = [other for other in runs if other.dataset == run.dataset]
        protocol = ("partition", "comparison", "nms", "validation", *INPUTS)
        check_same(run, of_dataset[0], protocol, "runs of one dataset")
        of_set = [other for other in of_dataset if other.split == run.split]
        check_same(run, of_set[0], ("queries", "videos"), "runs of one test set")
        held = systems.setdefault((run.dataset, run.split, run.model, run.variant), [])
        if run.seed in {other.seed for other in held}:
            raise UserError(
                "run stands twice", where=run.path, found=f"{run.model}, seed {run.seed}"
            )
        check_same_metrics(run, held)
        held.append(run)
    test_sets, datasets = list(MEANINGS), list(titles(run.dataset for run in runs))

    def printed(key: tuple[str, str, str, str]) -> tuple[int, int, int]:
        dataset, test_set, model, _ = key
        order = SYSTEMS.index(model) if model in SYSTEMS else len(SYSTEMS) - 1
        return datasets.index(dataset), test_sets.index(test_set), order

    return [systems[key] for key in sorted(systems, key=printed)]


def check_same_metrics(run: Run, held: Sequence[Run]) -> None:
    """Raises UserError when seeds of one system have different metrics."""
    if held and set(held[0].metrics) != set(run.metrics):
        raise UserError(
            "seeds differ in their metrics", where=run.path, expected=f"those of {held[0].path}"
        )


def score(runs: Sequence[Run], key: Key) -> Interval:
    """One metric, joined over seeds."""
    return over_seeds([run.metrics[key] for run in runs])


def as_csv(systems: Sequence[Sequence[Run]]) -> str:
    """A row a number, in the order of COLUMNS."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for runs in systems:
        one = runs[0]
        for metric, n, iou in one.metrics:
            writer.writerow(
                [
                    *(one.source, one.dataset, one.partition, one.split, one.model, one.variant),
                    *(metric, "" if n is None else n, "" if iou is None else f"{iou:g}"),
                    *two_decimals(score(runs, (metric, n, iou))),
                    *(one.queries, one.videos, max(run.rejected for run in runs), len(runs)),
                    *(one.comparison, one.nms, one.validation, one.features),
                ]
            )
    return text.getvalue()


def as_markdown(systems: Sequence[Sequence[Run]]) -> str:
    """A section a dataset: its partition and protocol, and a line a test set and system."""
    source = systems[0][0].source
    parts = [
        "# Test sets",
        f"**Source: {source}.** {SOURCE_STATEMENTS[source]}",
        "Per cent, with 95 % intervals (bootstrap over videos,"
        f" {systems[0][0].bootstraps} resamples; several seeds are joined by Student's t).",
    ]
    for dataset, title in titles(runs[0].dataset for runs in systems).items():
        of_dataset = [runs for runs in systems if runs[0].dataset == dataset]
        if of_dataset:
            parts += [f"## {title}, partition {of_dataset[0][0].partition}", *section(of_dataset)]
    return "\n\n".join(parts) + "\n"


def section(systems: Sequence[Sequence[Run]]) -> list[str]:
    """The paragraphs of one dataset."""
    one = systems[0][0]
    nms = "by IoU, m - 0.05" if one.nms == "peer" else f"{one.nms}"
    seeds = sorted(
        {r.seed for runs in systems for r in runs if r.model not in (*BASELINES, ANNOTATORS)}
    )
    parts = [
        f"Partition {one.partition} ({', '.join(PARTITIONS[one.partition])}): trained, and"
        f" {VALIDATION[one.validation]}, within it. A hit when IoU {one.comparison} m, NMS"
        f" threshold {nms}, training seeds: {', '.join(map(str, seeds)) or 'none'}.",
        f"Features: {one.features}. Word vectors: {one.word_vectors}."
        f" Sentence vectors: {one.sentence_vectors}.",
    ]
    parts += dict.fromkeys(" ".join(n.split()) for runs in systems for r in runs for n in r.notes)
    keys = list(dict.fromkeys(key for runs in systems for key in runs[0].metrics))
    keys.sort(key=lambda key: key[0] == "mIoU")
    names = [f"{m}@{n}, IoU={iou:g}" if iou is not None else m for m, n, iou in keys]
    lines = [["Test set", "Model", *names], ["---", "---", *["---:"] * len(names)]]
    for runs in systems:
        cells = [_cell(runs, key) for key in keys]
        lines.append([f"`{runs[0].split}`", _name(runs[0]), *cells])
    parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    counted = {
        runs[
            0
        ].split: f"`{runs[0].split}`: {MEANINGS[runs[0].split]}; {runs[0].queries} queries of"
        f" {runs[0].videos} videos ({runs[0].rejected} rejected)."
        for runs in systems
    }
    parts.append("\n".join(f"- {text}" for text in counted.values()))
    if any(runs[0].model == ANNOTATORS for runs in systems):
        parts.append(
            "Annotators: each new annotator's moment scored as a prediction, never against itself,"
            " and averaged: a ceiling, and a strict one, as a model's moment may match one"
            " annotator more."
        )
    return parts


def _name(run: Run) -> str:
    if run.model == ANNOTATORS:
        return "annotators (leave one out)"
    return f"{run.model} (baseline)" if run.model in BASELINES else f"{run.model} `{run.variant}`"


def _cell(runs: Sequence[Run], key: Key) -> str:
    if key not in runs[0].metrics:
        return "-"
    value, low, high = two_decimals(score(runs, key))
    return f"{value} [{low}, {high}]"
