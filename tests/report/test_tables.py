"""A table row can be traced back to its metrics; what does not belong together is refused."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mktn.models.variants import VARIANTS
from mktn.report.layouts import TABLES
from mktn.report.results import Interval, over_seeds
from tests.report.runs import REPORTED, grids, rows, tables, write_run, write_runs


def test_the_csv_is_tidy_and_holds_the_metrics(tmp_path: Path) -> None:
    runs = write_runs(tmp_path / "runs")
    assert tables(tmp_path, runs) == 0
    table = pl.read_csv(tmp_path / "table3.csv", infer_schema=False)
    assert table.columns == [
        *("model", "variant", "dataset", "metric", "n", "iou", "value", "ci_low", "ci_high"),
        *("queries", "seeds", "reported", "source"),
        *("difference", "difference_low", "difference_high", "features"),
    ]
    assert len(table) == 3 * 7 * 7
    row = rows(tmp_path)
    for metrics, _ in runs:
        run = json.loads(metrics.read_text())
        for metric in run["metrics"]:
            n, iou = metric["n"] or "", metric["iou"] or ""
            found = row(
                **{name: run[name] for name in ("model", "variant", "dataset")},
                **{"metric": metric["metric"], "n": n, "iou": iou},
            )
            for name in ("value", "ci_low", "ci_high"):
                assert float(found[name]) == pytest.approx(metric[name], abs=0.00501)
            assert (found["seeds"], found["queries"], found["source"]) == ("1", "24", "synthetic")
            assert found["features"] == "c3d width 8, weights 1a2b3c4d, 8 fps, extracted"

    before = (tmp_path / "table3.csv").read_bytes(), (tmp_path / "table3.md").read_bytes()
    assert tables(tmp_path, runs[::-1]) == 0
    after = (tmp_path / "table3.csv").read_bytes(), (tmp_path / "table3.md").read_bytes()
    assert after == before


def test_the_markdown_has_measured_and_reported_numbers_in_columns_of_their_own(
    tmp_path: Path,
) -> None:
    assert tables(tmp_path, write_runs(tmp_path / "runs")) == 0
    text = (tmp_path / "table3.md").read_text()
    for said in (
        "**Source: synthetic.**",
        "NOT comparable with the paper's",
        "**One training seed** a variant: 0.",
        "word vectors trained on the captions",
        "24 test queries of 8 videos (2 rejected)",
        "NMS threshold 0.5, selected on the official validation",
        "Features: c3d width 8, weights 1a2b3c4d, 8 fps, extracted.",
        "Word vectors: GloVe 64 trained on the training captions."
        " Sentence vectors: skip-thought 256 trained on the training captions.",
        "CSM: cross-sentence semantic mining.",
    ):
        assert said in text
    activitynet, charades, tacos = grids(text)
    assert {len(line) for grid in (activitynet, charades, tacos) for line in grid} == {1 + 3 * 4}
    assert [line[0] for line in charades] == [
        *("Model", "---", "random (baseline)", "train-prior (baseline)", "w/o CSM (`wo_csm`)"),
        *("w/o OPM (`wo_opm`)", "w/o APA (`wo_apa`)", "w/o AVM (`wo_avm`)", "Full (`full`)"),
    ]
    assert tacos[0][1:4] == [
        f"R@1, IoU=0.3<br>{column}" for column in ("ours", "ours - Full", "paper")
    ]
    row = rows(tmp_path)(model="mktn", variant="wo_csm", dataset="charades", n=1, iou=0.5)
    ours = "{value} [{ci_low}, {ci_high}]".format(**row)
    assert charades[4][1].removesuffix(" †") == ours
    assert charades[4][2].strip("*").split(" ")[0] == f"{float(row['difference']):+.2f}"
    assert charades[4][3] == "65.82"
    assert charades[2][2:4] == ["-", "-"]
    assert charades[-1][2:4] == ["-", "69.93"]


# R@1, IoU=0.5 on ActivityNet Captions, read in the paper.
PUBLISHED = {
    "3": {"wo_csm": 53.82, "wo_opm": 55.40, "wo_apa": 56.27, "wo_avm": 54.95},
    "4": {"wo_temporal": 56.40, "wo_contextual": 57.14, "wo_semantic": 54.85},
    "5": {"wo_visual_contrast": 53.03, "wo_textual_contrast": 52.84,
        "fixed_threshold": 54.08, "wo_cosine": 55.15},
    "6": {"wo_cap": 56.80, "wo_oca": 57.03},
    "7": {"wo_bmp": 54.88, "wo_aa": 53.04},
}  # fmt: skip


@pytest.mark.parametrize("table", PUBLISHED)
def test_each_variant_stands_beside_its_own_published_numbers(tmp_path: Path, table: int) -> None:
    assert tables(tmp_path, write_runs(tmp_path / "runs", table), table=table) == 0
    row = rows(tmp_path, table)
    grid = grids((tmp_path / f"table{table}.md").read_text())[0]
    for variant, value in (PUBLISHED[table] | {"full": 58.32}).items():
        found = row(variant=variant, dataset="activitynet", n=1, iou=0.5)
        assert found["reported"] == f"{value:.2f}"
        named = [line for line in grid if f"(`{variant}`)" in line[0]]
        assert {line[3] for line in named} == {f"{value:.2f}"}
    csv = pl.read_csv(tmp_path / f"table{table}.csv")
    layout = TABLES[table]
    assert csv["reported"].is_not_null().sum() == len(layout.datasets) * len(layout.systems) * 4
    assert not csv.filter(variant="baseline")["reported"].is_not_null().any()


def test_table_5_prints_the_full_model_in_both_halves(tmp_path: Path) -> None:
    assert tables(tmp_path, write_runs(tmp_path / "runs", "5"), table="5") == 0
    (grid,) = grids((tmp_path / "table5.md").read_text())
    assert [line[0] for line in grid[4:]] == [
        "visual feature ✗, textual feature ✓ (`wo_visual_contrast`)",
        "visual feature ✓, textual feature ✗ (`wo_textual_contrast`)",
        "visual feature ✓, textual feature ✓ (`full`)",
        "Fixed threshold (`fixed_threshold`)",
        "w/o cos(p*pi + 1) (`wo_cosine`)",
        "w/ cos(p*pi + 1) (`full`)",
    ]
    assert grid[6][1:] == grid[9][1:]


@pytest.mark.parametrize("table", PUBLISHED)
def test_a_table_has_the_variants_that_name_it(table: int) -> None:
    named = {variant for variant, parts in VARIANTS.items() if int(table) in parts.tables}
    assert {variant for _, variant in TABLES[table].systems} == named


def test_tables_4_to_7_take_runs_on_activitynet_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = write_runs(tmp_path / "runs", "6")
    runs.append(write_run(tmp_path / "runs", "charades", "mktn", "full"))
    assert tables(tmp_path, runs, table="6") == 2
    assert "found mktn on charades, expected mktn on activitynet" in capsys.readouterr().err


def test_seeds_are_joined_and_simulated_variants_chosen(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "runs", "charades", "mktn", "full", seed, source="simulated")
        for seed in (0, 1, 2)
    ]
    assert tables(tmp_path, runs, "--variants", "full") == 0
    of_seed = [json.loads(metrics.read_text())["metrics"][0] for metrics, _ in runs]
    values = [metric["value"] for metric in of_seed]
    assert len(set(values)) > 1
    mean = sum(values) / 3
    spread = 4.303**2 * sum((value - mean) ** 2 for value in values) / 2 / 3
    below = sum((metric["value"] - metric["ci_low"]) ** 2 for metric in of_seed) / 3
    row = rows(tmp_path)(metric="R", n=1, iou=0.3)
    assert (row["seeds"], row["source"], row["difference"]) == ("3", "simulated", "")
    assert float(row["value"]) == pytest.approx(mean, abs=0.00501)
    expected = max(0.0, mean - (below + spread) ** 0.5)
    assert float(row["ci_low"]) == pytest.approx(expected, abs=0.00501)
    text = (tmp_path / "table3.md").read_text()
    assert "simulated from human labels" in text
    assert "**3 training seeds** a variant: 0, 1, 2." in text
    assert "TACoS" not in text


def test_equal_seeds_keep_the_bootstrap_interval() -> None:
    one = Interval(50.0, 45.0, 56.0)
    assert over_seeds([one]) is one
    joined = over_seeds([one, one, one])
    assert (joined.value, joined.ci_low, joined.ci_high) == pytest.approx((50.0, 45.0, 56.0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "unknown format, found 2, expected format 1"),
        ({"seed": "0"}, "seed: missing or wrong key"),
        ({"notes": None}, "notes: missing or wrong key"),
        ({"source": "made-up"}, "unknown source"),
        ({"source": "published"}, "differ in source"),
        ({"comparison": ">="}, "differ in comparison"),
        ({"nms": "peer"}, "differ in nms"),
        ({"queries": 119}, "differ in queries"),
        ({"features": "i3d"}, "runs of one dataset differ in features, found i3d, expected c3d"),
        (
            {"features_sha256": "9" * 64},
            "runs of one dataset differ in features_sha256, found 999",
        ),
        ({"text_sha256": "9" * 64}, "runs of one dataset differ in text_sha256, found 999"),
        ({"features": None}, "features: wrong key, found None"),
        ({"variant": "wo_everything"}, "variant is not in the table"),
        ({"model": "mmn"}, "does not belong in the table"),
        ({"seed": 5}, "tacos, wo_csm: runs of a variant are missing"),
        ({"metrics": []}, "no metrics"),
        ({"metrics": [{"metric": "R"}]}, "metrics[0]: broken metric"),
    ],
)
def test_a_wrong_run_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], message: str
) -> None:
    runs = write_runs(tmp_path / "runs")
    wrong = tmp_path / "runs" / "tacos-mktn-full-0.json"
    wrong.write_text(json.dumps(json.loads(wrong.read_text()) | changes))
    assert tables(tmp_path, runs) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "table3.csv").exists()


def test_metrics_of_an_older_version_say_that_features_are_not_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = write_runs(tmp_path / "runs", "4")
    recorded = ("features", "features_sha256", "word_vectors", "sentence_vectors", "text_sha256")
    for number, (metrics, _) in enumerate(runs):
        of = json.loads(metrics.read_text())
        metrics.write_text(json.dumps({k: v for k, v in of.items() if k not in recorded}))
        assert tables(tmp_path, runs, table="4") == (0 if number == len(runs) - 1 else 2)
        if number == 0:
            assert "differ in features, found" in capsys.readouterr().err
    assert "Features: not recorded. Word vectors: not" in (tmp_path / "table4.md").read_text()
    assert {row["features"] for row in pl.read_csv(tmp_path / "table4.csv").to_dicts()} == {
        "not recorded"
    }


def test_datasets_may_have_features_of_their_own(tmp_path: Path) -> None:
    runs = write_runs(tmp_path / "runs")
    for metrics, _ in runs:
        of = json.loads(metrics.read_text())
        if of["dataset"] == "tacos":
            metrics.write_text(json.dumps(of | {"features": "simulated", "features_sha256": "0"}))
    assert tables(tmp_path, runs) == 0
    sections = (tmp_path / "table3.md").read_text().split("## ")[1:]
    assert ["Features: simulated." in section for section in sections] == [False, False, True]


def test_missing_and_duplicate_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = write_runs(tmp_path / "runs")

    def without(name: str) -> list[tuple[Path, Path]]:
        return [run for run in runs if name not in run[0].name]

    assert tables(tmp_path, without("tacos-mktn-wo_opm")) == 2
    assert "tacos, wo_opm: runs of a variant are missing" in capsys.readouterr().err
    assert tables(tmp_path, without("tacos-random")) == 2
    assert "tacos, random: baseline is missing" in capsys.readouterr().err
    assert tables(tmp_path, [*runs, runs[0]]) == 2
    assert "run stands twice" in capsys.readouterr().err
    runs[0][0].write_text("{")
    assert tables(tmp_path, runs) == 2
    assert "metrics cannot be read" in capsys.readouterr().err
    assert tables(tmp_path, [(tmp_path / "absent.json", runs[0][1])]) == 2
    assert tables(tmp_path, runs, "--variants", "half") == 2
    assert "--variants: unknown variant" in capsys.readouterr().err


def test_published_numbers_are_those_of_the_shared_copy(shared_data: Path) -> None:
    assert REPORTED.read_bytes() == (shared_data / "reported.csv").read_bytes()
