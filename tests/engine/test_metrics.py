"""IoU, NMS and recall against slow loops, hand-computed cases and published scores."""

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mktn.engine.metrics import (
    evaluate_rankings,
    hits_at,
    nms,
    paired_bootstrap,
    recall_at,
    temporal_iou,
)
from mktn.seeds import named_rng


def random_spans(count: int, name: str) -> np.ndarray:
    return np.sort(named_rng(0, name).integers(0, 20, size=(count, 2)), axis=1).astype(float)


def slow_iou(a: np.ndarray, b: np.ndarray) -> float:
    overlap = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (a[1] - a[0]) + (b[1] - b[0]) - overlap
    return overlap / union if union > 0 else 0.0


def slow_nms(spans: np.ndarray, scores: np.ndarray, threshold: float) -> list[int]:
    kept: list[int] = []
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        if all(slow_iou(spans[i], spans[k]) <= threshold for k in kept):
            kept.append(i)
    return kept


def test_iou_by_hand() -> None:
    assert temporal_iou([0, 10], [5, 15]) == pytest.approx(1 / 3)
    assert temporal_iou([[0, 10], [0, 4]], [[0, 10], [6, 8]]).tolist() == [1.0, 0.0]
    assert temporal_iou([0, 1], [1, 2]) == 0.0


@pytest.mark.parametrize(
    "span", [[3, 3], [5, 2], [np.nan, 4], [0, np.nan], [0, np.inf], [-np.inf, np.inf]]
)
def test_iou_of_no_span_is_zero_and_never_nan(span: list[float]) -> None:
    assert temporal_iou(span, [2, 6]) == 0.0
    assert temporal_iou(span, span) == 0.0


def test_iou_equals_the_loop_and_is_symmetric() -> None:
    a, b = random_spans(40, "a"), random_spans(30, "b")
    table = temporal_iou(a[:, None], b)
    assert table.shape == (40, 30)
    np.testing.assert_allclose(table, [[slow_iou(x, y) for y in b] for x in a], atol=1e-15)
    np.testing.assert_array_equal(table, temporal_iou(b[:, None], a).T)
    with pytest.raises(ValueError, match="last axis"):
        temporal_iou([1.0, 2.0, 3.0], [0.0, 1.0])


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
def test_nms_equals_the_loop(threshold: float) -> None:
    for trial in range(20):
        spans = random_spans(25, f"nms {trial}")
        scores = named_rng(trial, "scores").integers(0, 8, size=25) / 8  # with ties
        kept = nms(spans, scores, threshold)
        assert kept.tolist() == slow_nms(spans, scores, threshold)
        assert nms(spans, scores, threshold, limit=3).tolist() == kept[:3].tolist()


def test_nms_drops_only_above_the_threshold() -> None:
    spans = [[0, 10], [0, 5], [0, 6]]  # IoU with the first: 0.5, 0.6
    assert nms(spans, [3.0, 2.0, 1.0], 0.5).tolist() == [0, 1]
    assert nms(spans, [1.0, np.nan, 2.0], 1.0).tolist() == [2, 0, 1]
    assert nms([], [], 0.5).tolist() == []


def test_recall_by_hand() -> None:
    ranked = [[[0, 5], [0, 10]], [[20, 30]], np.zeros((0, 2))]
    target = [[0, 10], [0, 10], [0, 10]]
    assert recall_at(ranked, target, 1, 0.5) == 0.0  # IoU 0.5 is not larger than 0.5
    assert recall_at(ranked, target, 1, 0.5, strict=False) == pytest.approx(100 / 3)
    assert recall_at(ranked, target, 5, 0.7) == pytest.approx(100 / 3)
    with pytest.raises(ValueError, match="rankings"):
        recall_at(ranked, target[:2], 1, 0.5)


def test_evaluation_is_recall_and_mean_iou() -> None:
    ranked = random_spans(200, "ranked").reshape(40, 5, 2)
    target = random_spans(40, "target")
    videos = [f"v{i // 4}" for i in range(40)]
    rows = evaluate_rankings(ranked, target, videos, [1, 5], [0.3, 0.5], ">=", 0, 300)
    assert [(row["metric"], row["n"], row["iou"]) for row in rows] == [
        ("R", 1, 0.3),
        ("R", 1, 0.5),
        ("R", 5, 0.3),
        ("R", 5, 0.5),
        ("mIoU", None, None),
    ]
    for row in rows[:-1]:
        assert row["value"] == recall_at(list(ranked), target, row["n"], row["iou"], strict=False)
    assert rows[-1]["value"] == pytest.approx(100 * temporal_iou(ranked[:, 0], target).mean())
    assert all(row["ci_low"] <= row["value"] <= row["ci_high"] for row in rows)
    assert rows == evaluate_rankings(ranked, target, videos, [1, 5], [0.3, 0.5], ">=", 0, 300)
    by_iou = {0.3: ranked, 0.5: ranked[:, ::-1]}
    mixed = evaluate_rankings(by_iou, target, videos, [1], [0.3, 0.5])
    assert mixed[1]["value"] == recall_at(ranked[:, ::-1], target, 1, 0.5)


def test_intervals_widen_when_queries_share_videos() -> None:
    answered = named_rng(0, "answered").random(100) < 0.5
    moments = np.where(np.repeat(answered, 10)[:, None], [0.0, 10.0], [20.0, 30.0])[:, None]
    target = np.tile([0.0, 10.0], (1000, 1))

    def width(videos: list[str]) -> float:
        row = evaluate_rankings(moments, target, videos, [1], [0.5])[0]
        return float(row["ci_high"] - row["ci_low"])

    alone, together = (
        width([str(i) for i in range(1000)]),
        width([str(i // 10) for i in range(1000)]),
    )
    assert alone == pytest.approx(2 * 196 * np.sqrt(0.25 / 1000), rel=0.15)
    assert together == pytest.approx(2 * 196 * np.sqrt(0.25 / 100), rel=0.15)


def test_paired_bootstrap_sees_a_small_steady_difference() -> None:
    b = named_rng(0, "b").random(500) < 0.4
    a = b.copy()
    a[np.flatnonzero(~b)[:25]] = True
    videos = [str(i) for i in range(500)]
    result = paired_bootstrap(a, b, videos, 0)
    assert result["difference"] == pytest.approx(5.0)
    assert 2.0 < result["ci_low"] < 5.0 < result["ci_high"] < 8.0
    assert result["p_value"] < 0.01
    same = paired_bootstrap(b, b, videos, 0)
    assert (same["difference"], same["ci_low"], same["p_value"]) == (0.0, 0.0, 1.0)


def published(folder: Path) -> tuple[list[np.ndarray], list[Any], list[str], dict[str, float]]:
    def read(name: str) -> Any:
        return json.loads(gzip.decompress((folder / name).read_bytes()))

    truth, results = (
        read("ground_truth_test.json.gz"),
        read("tgn_test_proposals.json.gz")["results"],
    )
    keys = [key.rsplit("-", 1) for key in results]
    ranked = [np.array([p["timestamp"] for p in proposals]) for proposals in results.values()]
    target = [truth[video]["timestamps"][int(index)] for video, index in keys]
    lines = (folder / "tgn_reported_performance.txt").read_text().splitlines()
    reported = {
        k.strip(): 100 * float(v) for k, v in (line.rsplit(":", 1) for line in lines if line)
    }
    return ranked, target, [video for video, _ in keys], reported


@pytest.mark.parametrize(("dataset", "points"), [("tacos", 0.02), ("charades_sta", 0.6)])
@pytest.mark.parametrize("comparison", [">", ">="])
def test_published_proposals_give_the_reported_scores(
    shared_data: Path, dataset: str, points: float, comparison: str
) -> None:
    ranked, target, videos, reported = published(shared_data / dataset / "baseline_predictions")
    rows = evaluate_rankings(ranked, target, videos, [1, 5], [0.3, 0.5, 0.7], comparison)
    for row in rows:
        name = "mIoU" if row["metric"] == "mIoU" else f"R@{row['n']}, IoU={row['iou']}"
        assert row["value"] == pytest.approx(reported.pop(name), abs=points), name
    assert not reported
    answered = hits_at(ranked, target, 1, 0.5, strict=comparison == ">")
    assert 100 * answered.mean() == rows[1]["value"]


def test_loads_with_numpy_and_torch_alone() -> None:
    code = (
        "import sys; import mktn.engine.metrics, mktn.engine.baselines;"
        "print([m for m in ('polars', 'zarr', 'yaml', 'snakemake', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
