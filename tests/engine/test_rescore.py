"""Scores against several annotators: by hand, by a slow loop, and the authors' own figures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mktn.checksums import read_sealed_json
from mktn.cli import main
from mktn.datasets import read_pairs, reannotations
from mktn.engine.metrics import METRICS_FORMAT, evaluate_rankings, temporal_iou
from mktn.engine.rescore import HUMAN_SETS, Queries, left_out, read_queries
from mktn.errors import UserError
from mktn.seeds import named_rng

PROTOCOL = {
    **{"format": METRICS_FORMAT, "source": "simulated", "dataset": "charades"},
    **{"partition": "standard", "model": "mktn", "variant": "full", "seed": 3, "split": "test"},
    **{"queries": 9, "videos": 9, "rejected": 0, "comparison": ">", "nms": 0.5},
    **{"validation": "held_out", "bootstraps": 50, "notes": ["a note"]},
    "metrics": [
        {"metric": "R", "n": n, "iou": m, "value": 0.0, "ci_low": 0.0, "ci_high": 0.0}
        for n in (1, 2)
        for m in (0.5, 0.7)
    ],
}


def test_the_best_annotator_counts_and_absent_ones_do_not() -> None:
    ranked = [[[0.0, 10.0]], [[0.0, 10.0], [20.0, 30.0]], [[0.0, 1.0]]]
    nothing = [np.nan, np.nan]
    targets = [[[0, 4], [0, 8]], [[20, 30], nothing], [[5, 6], nothing]]
    rows = evaluate_rankings(ranked, targets, ["a", "b", "c"], (1, 2), (0.5,), bootstraps=10)
    assert [row["value"] for row in rows] == pytest.approx([100 / 3, 200 / 3, 100 * 0.8 / 3])
    alone = evaluate_rankings(ranked, [t[:1] for t in targets], list("abc"), (1,), (0.5,))
    flat = evaluate_rankings(ranked, [t[0] for t in targets], list("abc"), (1,), (0.5,))
    assert alone == flat


def queries(count: int = 7, annotators: int = 4) -> Queries:
    """Random whole per cents; query 0 has two annotators."""
    rng = named_rng(0, "annotators")
    human = np.sort(rng.integers(0, 101, (count, annotators, 2)).astype(float), axis=2)
    human[..., 1] += 1
    human[0, 2:] = np.nan
    names = [f"test/v{i // 2}#{i % 2}" for i in range(count)]
    original = np.sort(rng.random((count, 2)) * 100, axis=1)
    duration_s = rng.random(count) * 50 + 10
    videos = [f"v{i // 2}" for i in range(count)]
    return Queries(names, videos, duration_s, original, human, 0)


@pytest.mark.parametrize("test_set", HUMAN_SETS)
def test_an_annotator_is_never_scored_against_itself(test_set: str) -> None:
    asked = queries()
    found = evaluate_rankings(*left_out(asked, test_set), (1,), (0.5,), bootstraps=10)
    best, hits = [], []
    for query, of_query in enumerate(asked.human):
        for annotator, moment in enumerate(of_query):
            if np.isnan(moment).any():
                continue
            others = [m for a, m in enumerate(of_query) if a != annotator and not np.isnan(m[0])]
            against = {"human": others, "human_original_only": [asked.original[query]]}
            targets = against.get(test_set, [*others, asked.original[query]])
            ious = [float(temporal_iou(moment, target)) for target in targets]
            best.append(max(ious))
            hits.append(max(ious) > 0.5)
    expected = [100 * np.mean(hits), 100 * np.mean(best)]
    assert [row["value"] for row in found] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("dataset", "among_themselves", "against_original"),
    # The authors' notebooks: one of five drawn, best of the others; one drawn, the published.
    [("charades", 83.4, 42.7), ("activitynet", 72.4, 35.1)],
)
def test_the_agreement_is_the_one_the_authors_computed(
    shared_data: Path,
    tmp_path: Path,
    dataset: str,
    among_themselves: float,
    against_original: float,
) -> None:
    pairs, _ = read_pairs(dataset, shared_data)
    pairs.write_parquet(tmp_path / "pairs")
    pairs.write_parquet(tmp_path / "groups")
    reannotations.read(dataset, shared_data, shared_data).spans.write_parquet(tmp_path / "spans")
    asked = read_queries(*(tmp_path / name for name in ("pairs", "groups", "spans")))
    found = {
        name: evaluate_rankings(*left_out(asked, name), (1,), (0.5,), bootstraps=10)[0]["value"]
        for name in HUMAN_SETS
    }
    assert found["human"] == pytest.approx(among_themselves, abs=0.1)
    # Theirs do not clip the published ends at the video's, which costs agreement on Charades.
    assert found["human_original_only"] == pytest.approx(against_original, abs=1.5)
    assert found["human_with_original"] > found["human"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three test queries, two of them annotated again, one of those without features."""
    rows = [(f"test/v{i}#0", f"v{i}", 0.0, 10.0, 20.0) for i in range(3)]
    columns = ("pair_id", "video_id", "start_s", "end_s", "duration_s")
    pl.DataFrame(rows, columns, orient="row").write_parquet(tmp_path / "pairs")
    pl.DataFrame({"pair_id": ["test/v0#0", "test/v2#0"]}).write_parquet(tmp_path / "groups")
    moments = [(f"test/v{i}#0", a, 50.0 * a, 50.0 * (a + 1)) for i in (0, 1) for a in (0, 1)]
    names = ("pair_id", "annotator", "start_percent", "end_percent")
    pl.DataFrame(moments, names, orient="row").write_parquet(tmp_path / "spans")
    found = [("test/v0#0", 0.5, 1, 10.5, 19.5), ("test/v0#0", 0.5, 2, 0.0, 1.0),
             ("test/v2#0", 0.5, 1, 0.0, 10.0)]  # fmt: skip
    pl.DataFrame(
        found, ("pair_id", "nms", "rank", "start_s", "end_s"), orient="row"
    ).write_parquet(tmp_path / "predictions")
    (tmp_path / "metrics.json").write_text(json.dumps(PROTOCOL))
    return tmp_path


def rescore(folder: Path, *what: str) -> int:
    inputs = {"metrics": "metrics.json", "pairs": "pairs", "groups": "groups"}
    options = [f"--{name}={folder / path}" for name, path in inputs.items()]
    outputs = [f"--{name.replace('_', '-')}={folder / name}" for name in HUMAN_SETS]
    return main(["rescore", *what, *options, f"--reannotations={folder / 'spans'}", *outputs])


def scores(folder: Path, test_set: str) -> tuple[dict[str, Any], dict[tuple[Any, ...], float]]:
    document = read_sealed_json(folder / test_set)
    rows = {(r["metric"], r["n"], r["iou"]): r["value"] for r in document["metrics"]}
    return document, rows


def test_predictions_are_scored_against_each_set(folder: Path) -> None:
    assert rescore(folder, f"--predictions={folder / 'predictions'}") == 0
    document, rows = scores(folder, "human")
    # 10.5-19.5 s is 0.9 of the second annotator's 10-20 s.
    assert rows == {("R", n, m): 100.0 for n in (1, 2) for m in (0.5, 0.7)} | {
        ("mIoU", None, None): pytest.approx(90)
    }
    expected = {**PROTOCOL, "split": "human", "queries": 1, "videos": 1, "rejected": 1}
    assert {**document, "metrics": []} == {**expected, "metrics": []}
    assert scores(folder, "human_original_only")[1]["R", 1, 0.5] == 0
    assert scores(folder, "human_with_original")[1]["R", 1, 0.5] == 100


def test_annotators_that_disagree_agree_with_none_but_the_original(folder: Path) -> None:
    assert rescore(folder, "--annotators") == 0
    document, rows = scores(folder, "human")
    assert (document["model"], document["variant"]) == ("annotators", "leave_one_out")
    assert set(rows.values()) == {0.0}
    assert scores(folder, "human_original_only")[1]["R", 1, 0.5] == 50


def test_other_splits_queries_and_thresholds_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = f"--predictions={folder / 'predictions'}"
    for change, message in (
        ({"split": "test_iid"}, "only the test split was annotated again"),
        ({"nms": 0.4}, "another NMS threshold, expected the queries annotated again, at 0.4"),
        ({"format": 0}, "metrics of an unknown format"),
    ):
        (folder / "metrics.json").write_text(json.dumps(PROTOCOL | change))
        assert rescore(folder, given) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    pl.DataFrame({"pair_id": ["test/v9#0"]}).write_parquet(folder / "groups")
    with pytest.raises(UserError, match="no usable pair was annotated again"):
        read_queries(*(folder / name for name in ("pairs", "groups", "spans")))
