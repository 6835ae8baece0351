"""The collation: seeds joined, what is missing refused, ratios to chance."""

import csv
import json
from pathlib import Path

import pytest

from mktn.cli import main
from mktn.engine.metrics import paired_bootstrap
from mktn.report.differences import read_scores
from mktn.report.results import Interval, over_seeds, read_run
from tests.report.runs import targets, write_pairs, write_run

Files = list[tuple[Path, Path]]


def diagnoses(folder: Path, seed: int, value: float, /, **changes) -> Path:
    """Of the run of full that `runs` writes, in whose place its own scores stand."""
    path = folder / f"mktnfull{seed}" / f"charades-mktn-full-{seed}.json"
    run = json.loads(path.read_text())
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
    own = [{**order, **scored, "setting": "annotation"} for scored in run["metrics"]]
    for scored in own:
        del scored["difference"]
    given = {**run, "format": 2, "order": "annotation", "diagnoses": [row, order, *own], **changes}
    path = folder / f"d{seed}.json"
    path.write_text(json.dumps(given))
    return path


def collate(folder: Path, given: Files, found: list[Path]) -> int:
    metrics, predictions = ([str(files[i]) for files in given] for i in (0, 1))
    outputs = [f"--csv={folder / 'd.csv'}", f"--markdown={folder / 'd.md'}"]
    return main(["diagnostics", "--metrics", *metrics, "--predictions", *predictions, "--pairs",
                 str(write_pairs(folder, "charades")), "--diagnoses", *map(str, found),
                 *outputs])  # fmt: skip


def runs(folder: Path, seeds: tuple[int, ...]) -> Files:
    systems = [("random", "baseline", 0), ("train-prior", "baseline", 0)]
    systems += [("mktn", v, s) for v in ("full", "query_only", "video_only") for s in seeds]
    return [write_run(folder / f"{m}{v}{s}", "charades", m, v, s) for m, v, s in systems]


def test_seeds_are_joined_and_set_beside_chance(tmp_path: Path) -> None:
    given = runs(tmp_path, (0, 1))
    found = [diagnoses(tmp_path, 0, 10.0), diagnoses(tmp_path, 1, 14.0)]
    assert collate(tmp_path, given, found) == 0
    rows = list(csv.DictReader((tmp_path / "d.csv").open()))
    row = next(row for row in rows if row["diagnostic"] == "retrieval")
    assert (row["value"], row["chance"], row["ratio_to_chance"]) == ("12.00", "2.0000", "6.00")
    assert row["seeds"] == "2"
    assert float(row["ci_low"]) < 9
    order = next(row for row in rows if row["setting"] == "none")
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
    given = runs(tmp_path, (0, 1))
    both = [diagnoses(tmp_path, 0, 10.0), diagnoses(tmp_path, 1, 14.0)]
    assert collate(tmp_path, given, both[:1]) == 2
    assert "seeds are missing or stand twice, found seeds [0]" in capsys.readouterr().err
    assert collate(tmp_path, given, [*both, both[0]]) == 2
    assert "seeds are missing or stand twice, found seeds [0, 0, 1]" in capsys.readouterr().err
    assert collate(tmp_path, given[:-1], both) == 2
    assert "runs of a variant are missing, found seeds [0]" in capsys.readouterr().err
    ablation = write_run(tmp_path / "x", "charades", "mktn", "wo_csm", 0)
    assert collate(tmp_path, [ablation], both) == 2
    assert "does not belong among the diagnostics, found wo_csm" in capsys.readouterr().err
    both[0].write_text('{"format": 0}')
    assert collate(tmp_path, given, both) == 2
    assert "diagnoses cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variant": "query_only"}, "diagnoses of no full that has metrics, found query_only"),
        ({"seed": 3}, "diagnoses of no full that has metrics, found full on charades, seed 3"),
        ({"split": "val"}, "diagnoses and metrics differ in split, found val, expected test"),
        ({"nms": 0.4}, "diagnoses and metrics differ in nms"),
    ],
)
def test_diagnoses_of_another_run_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict, message: str
) -> None:
    given = runs(tmp_path, (0,))
    assert collate(tmp_path, given, [diagnoses(tmp_path, 0, 10.0, **change)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_diagnoses_that_score_otherwise_than_the_metrics_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = runs(tmp_path, (0,))
    path = diagnoses(tmp_path, 0, 10.0)
    changed = json.loads(path.read_text())
    changed["diagnoses"][-1]["value"] += 0.01
    path.write_text(json.dumps(changed))
    assert collate(tmp_path, given, [path]) == 2
    assert "diagnoses do not give the metrics" in capsys.readouterr().err


def test_blind_models_and_baselines_are_compared_with_the_full_of_each_seed(
    tmp_path: Path,
) -> None:
    given = runs(tmp_path, (0, 1))
    assert collate(tmp_path, given, [diagnoses(tmp_path, s, 10.0) for s in (0, 1)]) == 0
    rows = list(csv.DictReader((tmp_path / "d.csv").open()))
    read = [(read_run(metrics), predictions) for metrics, predictions in given]
    scores = {(s.run.model, s.run.variant, s.run.seed): s
              for s in read_scores(read, [write_pairs(tmp_path, "charades")])}  # fmt: skip
    key = ("R", 1, 0.5)
    for model, variant in (("mktn", "query_only"), ("mktn", "video_only"),
                           ("random", "baseline"), ("train-prior", "baseline")):  # fmt: skip
        differences = []
        for seed in (0, 1):
            theirs = scores[model, variant, seed if model == "mktn" else 0]
            full = scores["mktn", "full", seed]
            hits = [one.per_query[:, one.keys.index(key)] for one in (theirs, full)]
            one = paired_bootstrap(*hits, targets("charades")[1], 0, 40)
            differences.append(Interval(one["difference"], one["ci_low"], one["ci_high"]))
        expected = over_seeds(differences, lowest=-100.0)
        setting = variant if model == "mktn" else model
        (row,) = (r for r in rows if (r["setting"], r["metric"], r["n"], r["iou"])
                  == (setting, "R", "1", "0.5"))  # fmt: skip
        found = [float(row[f"difference{end}"]) for end in ("", "_low", "_high")]
        assert found == pytest.approx(
            [expected.value, expected.ci_low, expected.ci_high], abs=0.00501
        )
    assert {row["difference"] for row in rows if row["setting"] == "full"} == {""}
