"""The table of test sets: tidy, in printed order, and of runs that belong together."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mktn.cli import main
from mktn.report.test_sets import COLUMNS
from tests.report.runs import tables, write_run, write_runs

CD = {"partition": "cd"}


def run(folder: Path, model: str, split: str, seed: int = 0, **changes: Any) -> Path:
    """The metrics.json of a run on one test set."""
    variant = {"mktn": "full", "annotators": "leave_one_out"}.get(model, "baseline")
    metrics, _ = write_run(
        folder / split, "charades", model, variant, seed, split=split, **changes
    )
    return metrics


def table(folder: Path, *metrics: Path) -> int:
    paths = [str(path) for path in metrics]
    outputs = ("--csv", str(folder / "t.csv"), "--markdown", str(folder / "t.md"))
    return main(["test-sets", "--metrics", *paths, *outputs])


def test_every_system_on_every_test_set(tmp_path: Path) -> None:
    systems = [("mktn", 0), ("mktn", 1), ("train-prior", 0), ("random", 0)]
    files = [
        run(tmp_path, model, split, seed, **CD)
        for model, seed in systems
        for split in ("test_ood", "test_iid")
    ]
    assert table(tmp_path, *files) == 0
    found = pl.read_csv(tmp_path / "t.csv")
    assert found.columns == list(COLUMNS)
    assert set(found["partition"]) == {"cd"}
    order = found.select("test_set", "model", "seeds").unique(maintain_order=True).rows()
    assert order == [
        (test_set, *system)
        for test_set in ("test_iid", "test_ood")
        for system in (("random", 1), ("train-prior", 1), ("mktn", 2))
    ]
    values = [
        next(r["value"] for r in json.loads(path.read_text())["metrics"] if r["metric"] == "mIoU")
        for path in files
        if path.stem.startswith("charades-mktn") and path.parent.name == "test_ood"
    ]
    row = found.filter(test_set="test_ood", model="mktn", metric="mIoU").row(0, named=True)
    assert row["value"] == pytest.approx(sum(values) / 2, abs=0.00501)
    text = (tmp_path / "t.md").read_text()
    assert "## Charades-STA, partition cd" in text
    assert "Partition cd (train, val, test_iid, test_ood)" in text
    assert "training seeds: 0, 1." in text
    assert "- `test_ood`: moments distributed otherwise than in training; 24 queries of 8" in text


def test_annotators_stand_below_the_systems_as_a_ceiling(tmp_path: Path) -> None:
    at_1 = [{"metric": "R", "n": 1, "iou": 0.5, "value": 80.0, "ci_low": 70.0, "ci_high": 90.0}]
    ceiling = run(tmp_path, "annotators", "human", metrics=at_1)
    assert (
        table(tmp_path, ceiling, run(tmp_path, "mktn", "human"), run(tmp_path, "mktn", "test"))
        == 0
    )
    lines = [
        line for line in (tmp_path / "t.md").read_text().splitlines() if line.startswith("| `")
    ]
    assert [line.split(" | ")[:2] for line in lines] == [
        ["| `test`", "mktn `full`"],
        ["| `human`", "mktn `full`"],
        ["| `human`", "annotators (leave one out)"],
    ]
    assert "80.00 [70.00, 90.00]" in lines[2]
    assert lines[2].count(" - ") == 6  # of the systems' metrics, it has this one


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "run stands twice"),
        ({"seed": 1, "partition": "cg"}, "runs of one dataset differ in partition"),
        ({"seed": 1, "nms": 0.4}, "runs of one dataset differ in nms"),
        ({"seed": 1, "source": "published"}, "runs of one table differ in source"),
        ({"seed": 1, "queries": 3}, "runs of one test set differ in queries"),
        ({"seed": 1, "split": "val"}, "not a test set, found val"),
        ({"seed": 1, "partition": "iid"}, "unknown partition, found iid"),
    ],
)
def test_runs_that_do_not_belong_together_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], message: str
) -> None:
    first = run(tmp_path, "mktn", "test_iid", **CD)
    document = {**json.loads(first.read_text()), **changes}
    (tmp_path / "other.json").write_text(json.dumps(document))
    assert table(tmp_path, first, tmp_path / "other.json") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "t.csv").exists()


def test_the_papers_tables_are_of_the_standard_partition(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tables(tmp_path, write_runs(tmp_path, partition="standard")) == 0
    assert tables(tmp_path, write_runs(tmp_path, partition="cd")) == 2
    assert "another partition than the paper's, found cd" in capsys.readouterr().err
