"""Differences to full are paired by query and seed, and predictions must give the metrics."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mktn.engine.evaluate import EvaluationConfig
from mktn.engine.metrics import paired_bootstrap
from mktn.report.differences import nms_threshold
from mktn.report.results import Interval, read_run
from mktn.report.rows import Row
from mktn.report.table_cells import Column, column_cells
from mktn.report.table_rows import Printed
from tests.report.runs import (
    Moments,
    grids,
    random_moments,
    rows,
    tables,
    targets,
    write_pairs,
    write_run,
    write_runs,
)

DATASET = "activitynet"
CHOSEN = ("--variants", "wo_csm", "full")


def iou_by_hand(a: np.ndarray, b: np.ndarray) -> float:
    overlap = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    return overlap / (a[1] - a[0] + b[1] - b[0] - overlap)


def by_hand(moments: np.ndarray, n: int, iou: float | None) -> list[float]:
    """Each query's hit at n and iou, or its IoU where iou is None."""
    overlaps = [
        [iou_by_hand(moment, span) for moment in ranking[:n]]
        for ranking, span in zip(moments, targets(DATASET)[2], strict=True)
    ]
    return [max(found) if iou is None else float(max(found) > iou) for found in overlaps]


def test_a_difference_is_the_paired_bootstrap_of_the_two_runs(tmp_path: Path) -> None:
    moments = {variant: random_moments(DATASET, variant) for variant in ("wo_csm", "full")}
    runs = [write_run(tmp_path, DATASET, "mktn", v, moments=m) for v, m in moments.items()]
    assert tables(tmp_path, runs, *CHOSEN, "--seed", "3") == 0
    row = rows(tmp_path)
    for n, iou in ((1, 0.3), (1, 0.7), (5, 0.7), (1, None)):
        hits = {variant: by_hand(m[0.5], n, iou) for variant, m in moments.items()}
        expected = paired_bootstrap(hits["wo_csm"], hits["full"], targets(DATASET)[1], 3, 40)
        key = {"metric": "mIoU"} if iou is None else {"metric": "R", "n": n, "iou": iou}
        found = row(variant="wo_csm", **key)
        numbers = [float(found[f"difference{end}"]) for end in ("", "_low", "_high")]
        names = ("difference", "ci_low", "ci_high")
        assert numbers == pytest.approx([expected[name] for name in names], abs=0.00501)
        assert expected["ci_low"] < expected["ci_high"]
        full = row(variant="full", **key)
        assert (full["difference"], full["difference_low"], full["difference_high"]) == ("",) * 3


def test_a_difference_is_bold_where_its_interval_excludes_zero(tmp_path: Path) -> None:
    full = random_moments(DATASET, "full")
    far = {0.5: full[0.5] + 500}
    runs = [
        write_run(tmp_path, DATASET, "mktn", variant, moments=moments)
        for variant, moments in (("full", full), ("wo_csm", far), ("wo_opm", full))
    ]
    assert tables(tmp_path, runs, "--variants", "full", "wo_csm", "wo_opm") == 0
    (grid,) = grids((tmp_path / "table3.md").read_text())
    cells = {line[0]: line[2] for line in grid}
    assert cells["w/o CSM (`wo_csm`)"].startswith("**-")
    assert cells["w/o CSM (`wo_csm`)"].endswith("**")
    assert cells["w/o OPM (`wo_opm`)"] == "+0.00 [+0.00, +0.00]"
    assert cells["Full (`full`)"] == "-"


def test_a_seed_is_compared_with_the_same_seed(tmp_path: Path) -> None:
    runs = []
    for seed in (0, 1):
        moments = random_moments(DATASET, "seed", seed)
        for variant in ("full", "wo_csm"):
            runs.append(write_run(tmp_path, DATASET, "mktn", variant, seed, moments=moments))
    assert tables(tmp_path, runs, *CHOSEN) == 0
    found = rows(tmp_path)(variant="wo_csm", metric="mIoU")
    # Each seed equals its own full, however much the two seeds differ.
    assert [found[f"difference{end}"] for end in ("", "_low", "_high")] == ["0.00"] * 3
    assert float(found["ci_high"]) - float(found["ci_low"]) > 1


def test_an_interval_over_seeds_joins_both_and_may_lie_below_zero(tmp_path: Path) -> None:
    runs, per_seed = [], []
    for seed in (0, 1):
        moments: dict[str, Moments] = {"full": random_moments(DATASET, "full", seed)}
        moments["wo_csm"] = {0.5: moments["full"][0.5] + 4 + 4 * seed}
        runs += [write_run(tmp_path, DATASET, "mktn", v, seed, m) for v, m in moments.items()]
        hits = [by_hand(moments[variant][0.5], 1, None) for variant in ("wo_csm", "full")]
        per_seed.append(paired_bootstrap(*hits, targets(DATASET)[1], 0, 40))
    assert tables(tmp_path, runs, *CHOSEN) == 0
    found = rows(tmp_path)(variant="wo_csm", metric="mIoU")
    differences = [one["difference"] for one in per_seed]
    mean = sum(differences) / 2
    spread = 12.706**2 * sum((value - mean) ** 2 for value in differences) / 1 / 2
    below = sum((one["difference"] - one["ci_low"]) ** 2 for one in per_seed) / 2
    expected = max(-100.0, mean - (below + spread) ** 0.5)
    assert float(found["difference"]) == pytest.approx(mean, abs=0.00501)
    assert float(found["difference_low"]) == pytest.approx(expected, abs=0.00501)
    assert expected < mean < 0


def test_without_full_no_difference_is_made_up(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, DATASET, "mktn", "wo_csm")]
    assert tables(tmp_path, runs, "--variants", "wo_csm") == 0
    assert rows(tmp_path)(metric="mIoU")["difference"] == ""
    assert "No run of `full` is here, so no differences." in (tmp_path / "table3.md").read_text()


@pytest.mark.parametrize("nms", ["peer", 0.4])
def test_each_iou_is_scored_on_the_ranking_of_its_own_nms_threshold(
    tmp_path: Path, nms: float | str
) -> None:
    protocol = EvaluationConfig("synthetic", DATASET, (0.3, 0.5, 0.7), 0.5, nms).thresholds()
    runs = []
    for variant in ("wo_csm", "full"):
        moments = random_moments(DATASET, variant, thresholds=sorted(set(protocol.values())))
        first = next(iter(moments.values()))[:, :1]
        moments = {t: np.concatenate([first, m[:, 1:]], axis=1) for t, m in moments.items()}
        runs.append(write_run(tmp_path, DATASET, "mktn", variant, moments=moments, nms=nms))
    assert {iou: nms_threshold(read_run(runs[0][0]), iou) for iou in protocol} == protocol
    assert tables(tmp_path, runs, *CHOSEN) == 0


def test_an_iou_of_exactly_m_is_a_hit_only_where_the_run_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    halves = targets(DATASET)[2][:, None] - [[0.0, 10.0]] * 5
    for comparison, value in ((">", "0.00"), (">=", "100.00")):
        folder = tmp_path / comparison
        runs = [
            write_run(folder, DATASET, "mktn", v, moments={0.5: halves}, comparison=comparison)
            for v in ("wo_csm", "full")
        ]
        assert tables(folder, runs, *CHOSEN) == 0
        assert rows(folder)(variant="full", n=1, iou=0.5)["value"] == value
        for metrics, _ in runs:
            other = {">": ">=", ">=": ">"}[comparison]
            metrics.write_text(json.dumps(json.loads(metrics.read_text()) | {"comparison": other}))
        assert tables(folder, runs, *CHOSEN) == 2
        assert "predictions do not give the metrics" in capsys.readouterr().err


def test_a_query_without_a_moment_is_a_miss(tmp_path: Path) -> None:
    moments = random_moments(DATASET, "wo_csm")
    moments[0.5][3] = np.nan
    runs = [
        write_run(tmp_path, DATASET, "mktn", "wo_csm", moments=moments),
        write_run(tmp_path, DATASET, "mktn", "full"),
    ]
    assert pl.read_parquet(runs[0][1])["pair_id"].n_unique() == len(targets(DATASET)[0]) - 1
    assert tables(tmp_path, runs, *CHOSEN) == 0


def edit(path: Path, change: Any) -> None:
    change(pl.read_parquet(path)).write_parquet(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.with_columns(end_s=pl.col("end_s") + 9), "predictions do not give the metri"),
        (lambda f: f.filter(pl.col("rank") > 1), "predictions do not give the metrics"),
        (lambda f: f.with_columns(nms=0.4), "no predictions for an NMS threshold, found 0.4"),
        (
            lambda f: pl.concat([f, f[:1]]),
            "rank stand twice, found 'test/v0#0'",
        ),
        (
            lambda f: f.with_columns(rank=pl.col("rank") - 1),
            "rank, row 0: value refused, found 0",
        ),
        (
            lambda f: f[:1].with_columns(pair_id=pl.lit("train/t#0")),
            "predictions of a pair that is not there, found train/t#0, expected test pairs",
        ),
        (lambda f: f.drop("rank"), "column is missing"),
    ],
)
def test_predictions_that_do_not_belong_to_the_metrics_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: Any, message: str
) -> None:
    runs = write_runs(tmp_path / "runs", "4")
    edit(runs[-1][1], change)
    assert tables(tmp_path, runs, table="4") == 2
    error = capsys.readouterr().err
    assert message in error
    assert runs[-1][1].name in error
    assert error.count("\n") == 1
    assert not (tmp_path / "table4.csv").exists()


def test_predictions_of_other_runs_other_queries_or_no_pairs_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = write_runs(tmp_path / "runs", "4")
    (metrics, predictions), (other, others) = runs[-2:]
    assert tables(tmp_path, [*runs[:-2], (metrics, others), (other, predictions)], table="4") == 2
    error = capsys.readouterr().err
    assert "predictions do not give the metrics" in error
    assert "give the predictions in the order of the metrics" in error
    for _, path in runs:
        edit(path, lambda frame: frame.filter(pl.col("pair_id") != "test/v0#0"))
    assert tables(tmp_path, runs, table="4") == 2
    assert "found 23 queries of 8 videos, expected 24 of 8" in capsys.readouterr().err
    for more, message in (
        (("--predictions", str(predictions)), "--predictions: not one file a run, found 1"),
        (("--pairs", str(tmp_path / "absent")), "table cannot be read"),
        (("--pairs", str(write_pairs(tmp_path, "tacos"))), "no pairs of a dataset, found tacos"),
    ):
        assert tables(tmp_path, runs, *more, table="4") == 2
        assert message in capsys.readouterr().err


def test_a_metric_without_a_value_for_each_query_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = write_runs(tmp_path / "runs", "4")
    for metrics, _ in runs:
        document = json.loads(metrics.read_text())
        document["metrics"].append({**document["metrics"][0], "metric": "VPS"})
        metrics.write_text(json.dumps(document))
    assert tables(tmp_path, runs, table="4") == 2
    assert "metric has no value a query, found VPS" in capsys.readouterr().err


def test_a_tiny_interval_that_is_written_as_zero_is_not_bold_and_so_no_figure_differs() -> None:
    """Figures are drawn from the csv: what the table says of it must follow from what it holds."""
    column = Column("R@1, IoU=0.5", "difference", ("R", 1, 0.5), "Full")
    line = Printed("w/o CSM", "", ("mktn", "wo_csm"), "MKTN")
    for low, significant in ((0.004, False), (0.006, True)):
        row = Row(
            "MKTN", "", "mktn", "wo_csm", "charades", column.key, None, 24, 1, "", "synthetic",
            Interval(3.0, low, 6.0), "",
        )  # fmt: skip
        rows = {(line.system or ("", ""), line.method, column.key): row}
        (cell,) = column_cells(column, [line], rows)
        assert cell.significant is significant
        assert (float(cell.low) > 0) is significant
