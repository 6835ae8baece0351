"""A table row can be traced back to its metrics; what does not belong together is refused."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from mktn.cli import main
from mktn.report.results import Interval, over_seeds

REPORTED = Path(__file__).resolve().parents[2] / "workflow" / "reported.csv"
VARIANTS = ("full", "wo_csm", "wo_opm", "wo_apa", "wo_avm")
IOUS = {"activitynet": (0.3, 0.5, 0.7), "charades": (0.3, 0.5, 0.7), "tacos": (0.1, 0.3, 0.5)}


def document(dataset: str, model: str, variant: str, seed: int, **changes: Any) -> dict[str, Any]:
    base = 30.0 + len(variant) + seed
    rows = [
        {"metric": "R", "n": n, "iou": iou, "value": base + n, "ci_low": base, "ci_high": base + 9}
        for n in (1, 5)
        for iou in IOUS[dataset]
    ]
    rows.append(
        {"metric": "mIoU", "n": None, "iou": None, "value": 30, "ci_low": 29, "ci_high": 31}
    )
    return {
        "format": 1,
        "source": "synthetic",
        "dataset": dataset,
        "model": model,
        "variant": variant,
        "seed": seed,
        "split": "test",
        "queries": 120,
        "videos": 30,
        "rejected": 2,
        "comparison": ">",
        "nms": 0.5,
        "validation": "official",
        "bootstraps": 1000,
        "notes": ["word vectors trained on the captions"],
        "metrics": rows,
        **changes,
    }


def write_runs(folder: Path, seeds: tuple[int, ...] = (0,), **changes: Any) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    systems = [("mktn", variant) for variant in VARIANTS]
    systems += [("random", "baseline"), ("train-prior", "baseline")]
    paths = []
    for dataset in IOUS:
        for model, variant in systems:
            for seed in seeds:
                path = folder / f"{dataset}-{model}-{variant}-{seed}.json"
                path.write_text(json.dumps(document(dataset, model, variant, seed, **changes)))
                paths.append(path)
    return paths


def tables(folder: Path, paths: list[Path], *more: str) -> int:
    return main(
        [
            *("tables", "--metrics", *map(str, paths), "--reported", str(REPORTED)),
            *("--table", "3", "--csv", str(folder / "table3.csv")),
            *("--markdown", str(folder / "table3.md"), *more),
        ]
    )


def test_csv_and_markdown(tmp_path: Path) -> None:
    paths = write_runs(tmp_path / "runs")
    assert tables(tmp_path, paths) == 0
    with (tmp_path / "table3.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "model",
        "variant",
        "dataset",
        "metric",
        "n",
        "iou",
        "value",
        "ci_low",
        "ci_high",
        "queries",
        "seeds",
        "reported",
        "source",
    ]
    assert len(rows) == 3 * 7 * 7
    full = [r for r in rows if (r["variant"], r["dataset"], r["metric"]) == ("full", "tacos", "R")]
    assert [(r["n"], r["iou"], r["value"], r["reported"]) for r in full] == [
        ("1", "0.1", "35.00", ""),
        ("1", "0.3", "35.00", "53.38"),
        ("1", "0.5", "35.00", "42.62"),
        ("5", "0.1", "39.00", ""),
        ("5", "0.3", "39.00", "73.54"),
        ("5", "0.5", "39.00", "62.24"),
    ]
    assert {r["model"] for r in rows if r["variant"] == "baseline"} == {"random", "train-prior"}
    assert not any(r["reported"] for r in rows if r["variant"] == "baseline")
    assert sum(bool(r["reported"]) for r in rows) == 3 * 5 * 4
    mean_iou = next(r for r in rows if r["metric"] == "mIoU")
    assert (mean_iou["n"], mean_iou["iou"], mean_iou["seeds"]) == ("", "", "1")

    text = (tmp_path / "table3.md").read_text()
    assert "**Source: synthetic.**" in text
    assert "NOT comparable with the paper's" in text
    assert "word vectors trained on the captions" in text
    assert "NMS threshold 0.5, selected on the official validation" in text
    assert "seeds: 0" in text
    grid = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    assert {len(line) for line in grid} == {1 + 2 * 12}
    assert [line[0] for line in grid] == [
        *("Model", "---", "random (baseline)", "train-prior (baseline)"),
        *("w/o CSM", "w/o OPM", "w/o APA", "w/o AVM", "Full"),
    ]
    assert grid[0][1:3] == ["ActivityNet Captions<br>R@1, IoU=0.5", "paper"]
    assert grid[-1][1:3] == ["35.00 [34.00, 43.00]", "58.32"]
    assert grid[2][2] == "-"

    before = (tmp_path / "table3.csv").read_bytes()
    assert tables(tmp_path, paths[::-1]) == 0
    assert (tmp_path / "table3.csv").read_bytes() == before


def test_seeds_are_joined_and_simulated_variants_chosen(tmp_path: Path) -> None:
    paths = [
        path
        for path in write_runs(tmp_path / "runs", seeds=(0, 1, 2), source="simulated")
        if "charades-mktn-full" in path.name
    ]
    assert tables(tmp_path, paths, "--variants", "full") == 0
    with (tmp_path / "table3.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["value"], row["seeds"], row["source"]) == ("36.00", "3", "simulated")
    spread = (4.303**2 * 1.0 / 3) ** 0.5
    assert float(row["ci_low"]) == pytest.approx(36.0 - (1.0**2 + spread**2) ** 0.5, abs=0.01)
    text = (tmp_path / "table3.md").read_text()
    assert "simulated from human action labels" in text
    assert "seeds: 0, 1, 2" in text
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
    paths = write_runs(tmp_path / "runs")
    wrong = tmp_path / "runs" / "tacos-mktn-full-0.json"
    wrong.write_text(json.dumps(document("tacos", "mktn", "full", 0) | changes))
    assert tables(tmp_path, paths) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "table3.csv").exists()


def test_missing_and_duplicate_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = write_runs(tmp_path / "runs")
    assert tables(tmp_path, [p for p in paths if "tacos-mktn-wo_opm" not in p.name]) == 2
    assert "tacos, wo_opm: runs of a variant are missing" in capsys.readouterr().err
    assert tables(tmp_path, [p for p in paths if "tacos-random" not in p.name]) == 2
    assert "tacos, random: baseline is missing" in capsys.readouterr().err
    assert tables(tmp_path, [*paths, paths[0]]) == 2
    assert "run stands twice" in capsys.readouterr().err
    paths[0].write_text("{")
    assert tables(tmp_path, paths) == 2
    assert "metrics cannot be read" in capsys.readouterr().err
    assert tables(tmp_path, [tmp_path / "absent.json"]) == 2
    assert tables(tmp_path, paths, "--variants", "half") == 2
    assert "--variants: unknown variant" in capsys.readouterr().err


def test_published_numbers_are_those_of_the_shared_copy(shared_data: Path) -> None:
    assert REPORTED.read_bytes() == (shared_data / "reported.csv").read_bytes()
