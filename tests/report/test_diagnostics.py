"""The collation: seeds joined, what is missing refused, ratios to chance."""

import csv
import json
from pathlib import Path

import pytest

from mktn.cli import main
from tests.report.runs import write_run


def diagnoses(folder: Path, seed: int, value: float) -> Path:
    row = {"diagnostic": "retrieval", "setting": "S, 48 videos", "metric": "R", "n": 1,
           "iou": None, "value": value, "ci_low": value - 1, "ci_high": value + 1,
           "chance": 2.0, "queries": 10}  # fmt: skip
    order = {
        **row,
        "diagnostic": "order",
        "setting": "none",
        "iou": 0.5,
        "difference": [-1, -2, 0],
    }
    del order["chance"]
    given = {"format": 1, "source": "synthetic", "dataset": "charades", "seed": seed,
             "diagnoses": [row, order]}  # fmt: skip
    path = folder / f"d{seed}.json"
    path.write_text(json.dumps(given))
    return path


def collate(folder: Path, metrics: list[Path], found: list[Path]) -> int:
    outputs = [f"--csv={folder / 'd.csv'}", f"--markdown={folder / 'd.md'}"]
    return main(["diagnostics", "--metrics", *map(str, metrics), "--diagnoses", *map(str, found),
                 *outputs])  # fmt: skip


def runs(folder: Path, seeds: tuple[int, ...]) -> list[Path]:
    systems = [("random", "baseline", 0), ("train-prior", "baseline", 0)]
    systems += [("mktn", v, s) for v in ("full", "query_only", "video_only") for s in seeds]
    return [write_run(folder / f"{m}{v}{s}", "charades", m, v, s)[0] for m, v, s in systems]


def test_seeds_are_joined_and_set_beside_chance(tmp_path: Path) -> None:
    found = [diagnoses(tmp_path, 0, 10.0), diagnoses(tmp_path, 1, 14.0)]
    assert collate(tmp_path, runs(tmp_path, (0, 1)), found) == 0
    rows = list(csv.DictReader((tmp_path / "d.csv").open()))
    row = next(row for row in rows if row["diagnostic"] == "retrieval")
    assert (row["value"], row["chance"], row["ratio_to_chance"]) == ("12.00", "2.00", "6.00")
    assert row["seeds"] == "2"
    assert float(row["ci_low"]) < 9
    order = next(row for row in rows if row["diagnostic"] == "order")
    assert (order["difference"], order["chance"]) == ("-1.00", "")
    blind = [row["setting"] for row in rows if row["diagnostic"] == "blind"]
    settings = ["random", "train-prior", "query_only", "video_only", "full"]
    assert list(dict.fromkeys(blind)) == settings
    text = (tmp_path / "d.md").read_text()
    assert "Source: synthetic" in text
    assert "12.0 [" in text
    assert "chance 2.0 (6.0x)" in text


def test_a_missing_seed_and_a_strange_run_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [diagnoses(tmp_path, 0, 10.0), diagnoses(tmp_path, 1, 14.0)]
    assert collate(tmp_path, runs(tmp_path, (0,)), both) == 2
    assert "seeds are missing or stand twice, found seeds [0]" in capsys.readouterr().err
    ablation = write_run(tmp_path / "x", "charades", "mktn", "wo_csm", 0)[0]
    assert collate(tmp_path, [ablation], both) == 2
    assert "does not belong among the diagnostics, found wo_csm" in capsys.readouterr().err
    both[0].write_text('{"format": 0}')
    assert collate(tmp_path, runs(tmp_path, (0, 1)), both) == 2
    assert "diagnoses cannot be read" in capsys.readouterr().err
