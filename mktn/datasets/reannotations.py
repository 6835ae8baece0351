"""`mktn reannotations`: the moments that five more annotators gave queries of the test split.

From Otani et al., "Uncovering Hidden Challenges in Query-Based Video Moment Retrieval" (BMVC
2020): `human_reannotation/test_*.csv` with HITId, video_id, description, start, end, a row an
annotator, start and end in per cent of the video's duration. The published rows are what the
authors kept (they left out queries whose video was no longer there); all of them are used here.
"""

import argparse
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from mktn.datasets import read_pairs
from mktn.datasets.annotations import annotation_folder, number, read_csv
from mktn.datasets.sentences import normalised
from mktn.errors import UserError
from mktn.files import written_beside
from mktn.parquet import write_parquet

FOLDERS = {"activitynet": "activitynet_captions", "charades": "charades_sta"}
COLUMNS = ("HITId", "video_id", "description", "start", "end")
LEAST = 2  # annotators of a query: each is scored against the others
SCHEMA = {
    "pair_id": pl.String,
    "annotator": pl.Int64,
    **dict.fromkeys(("start_s", "end_s", "start_percent", "end_percent"), pl.Float64),
}
REJECTED_SCHEMA = {
    **{name: pl.String for name in COLUMNS[:3]},
    "start_percent": pl.Float64,
    "end_percent": pl.Float64,
    "reason": pl.String,
}


@dataclass
class Reannotations:
    """Spans of test queries: tables of SCHEMA and REJECTED_SCHEMA, and how many were clipped."""

    spans: pl.DataFrame
    rejected: pl.DataFrame
    clipped: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `mktn reannotations`."""
    parser.add_argument("--dataset", required=True, choices=sorted(FOLDERS))
    parser.add_argument(
        "--annotations", required=True, type=Path, help="the published annotations"
    )
    parser.add_argument(
        "--reannotations", required=True, type=Path, help="folder with human_reannotation/"
    )
    parser.add_argument("--out", required=True, type=Path, help="output: spans, Parquet")
    parser.add_argument("--rejected", required=True, type=Path, help="output: the others, Parquet")


def run(arguments: argparse.Namespace) -> None:
    """Read, match with the test split, write both tables, print one line of counts."""
    found = read(arguments.dataset, arguments.annotations, arguments.reannotations)
    with written_beside(arguments.out) as beside, written_beside(arguments.rejected) as other:
        write_parquet(found.spans, beside)
        write_parquet(found.rejected, other)
    print(f"{arguments.dataset}: {summary(found)}")


def read(dataset: str, annotations: str | Path, reannotations: str | Path) -> Reannotations:
    """The spans of the test queries of `annotations` that `reannotations` gives.

    A row belongs to the test query of its video and words (case, punctuation and blanks aside).
    Ends beyond the video are clipped; rows without a query, with two, reversed, or starting
    outside the video are rejected, and so are queries left with fewer than two annotators.
    Raises UserError on a file that is absent or broken.
    """
    pairs, _ = read_pairs(dataset, annotations)
    queries: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for pair_id, video_id, sentence, duration_s in (
        pairs.filter(pl.col("split") == "test")
        .select("pair_id", "video_id", "sentence", "duration_s")
        .iter_rows()
    ):
        key = video_id.removeprefix("v_"), normalised(sentence)
        queries.setdefault(key, []).append((pair_id, duration_s))
    spans: dict[str, list[tuple[float, ...]]] = {}
    given: dict[str, list[tuple[Any, ...]]] = {}
    rejected: list[tuple[Any, ...]] = []
    clipped = 0
    for row in read_rows(annotation_folder(Path(reannotations), FOLDERS[dataset])):
        _, video_id, sentence, start, end = row
        video = video_id.removesuffix(".mp4").removeprefix("v_")
        matches = queries.get((video, normalised(sentence)), [])
        reason = _refusal(len(matches), start, end)
        if reason:
            rejected.append((*row, reason))
            continue
        pair_id, duration_s = matches[0]
        clipped += end > 100
        percent = start, min(end, 100.0)
        seconds = (value * duration_s / 100 for value in percent)
        spans.setdefault(pair_id, []).append((*seconds, *percent))
        given.setdefault(pair_id, []).append(row)
    few = {pair_id for pair_id, of_pair in spans.items() if len(of_pair) < LEAST}
    reason = f"fewer than {LEAST} annotators"
    rejected += [(*row, reason) for pair_id in sorted(few) for row in given[pair_id]]
    rows = [
        (pair_id, annotator, *span)
        for pair_id, of_pair in spans.items()
        if pair_id not in few
        for annotator, span in enumerate(of_pair)
    ]
    return Reannotations(
        pl.DataFrame(rows, schema=SCHEMA, orient="row"),
        pl.DataFrame(rejected, schema=REJECTED_SCHEMA, orient="row"),
        clipped,
    )


def read_rows(folder: Path) -> list[tuple[str, str, str, float, float]]:
    """`(hit, video, sentence, start, end)` of all files, per cent. UserError on a broken one."""
    inside = folder / "human_reannotation"
    paths = sorted([*inside.glob("test_*.csv"), *inside.glob("test_*.csv.gz")])
    if not paths:
        raise UserError(
            "annotation file is missing",
            where=inside / "test_00.csv",
            expected="test_*.csv or test_*.csv.gz",
            do="bring the published files there",
        )
    rows = []
    for path in paths:
        for line_number, row in read_csv(path, COLUMNS):
            where = f"{path}, line {line_number}"
            start, end = (number(row[name], where, name) for name in ("start", "end"))
            rows.append((row["HITId"], row["video_id"], row["description"], start, end))
    return rows


def _refusal(matches: int, start: float, end: float) -> str:
    """Why a row cannot be used; empty where it can."""
    if matches != 1:
        return "no such test query" if not matches else "several test queries of these words"
    if start < 0:
        return "start < 0"
    if start >= end:
        return "start >= end"
    return "start >= 100 %" if start >= 100 else ""


def summary(found: Reannotations) -> str:
    """Queries, annotators a query, clipped ends, and rejected rows by reason, in one line."""
    per_query = Counter(found.spans.group_by("pair_id").len()["len"].to_list())
    annotators = ", ".join(f"{count} with {n}" for n, count in sorted(per_query.items()))
    reasons = found.rejected.group_by("reason").len().sort("reason").iter_rows()
    why = ", ".join(f"{reason}: {count}" for reason, count in reasons)
    return (
        f"{found.spans.height} moments of {per_query.total()} test queries"
        f" ({annotators or 'no'} annotators); {found.clipped} ends clipped;"
        f" {found.rejected.height} rejected" + (f" ({why})" if why else "")
    )
