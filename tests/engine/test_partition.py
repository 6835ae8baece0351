"""A run says which partition it is of, and is scored on that one's test sets alone."""

import json
from pathlib import Path

import polars as pl
import pytest

from mktn.cli import main

SIZES = {"width": 16, "heads": 2}


@pytest.fixture
def cd(small_dataset: Path, tmp_path: Path) -> dict[str, Path]:
    """The small dataset as Charades-CD: its test split is `test_ood`, its val two splits."""
    renamed = {"test": "test_ood"}
    for name in ("pairs", "groups"):
        table = pl.read_parquet(small_dataset / f"{name}.parquet")
        table.with_columns(pl.col("split").replace(renamed)).write_parquet(tmp_path / name)
    paths = {"features": "t.zarr", "text": "text.zarr", "relations": "relations.parquet"}
    return {
        **{name: tmp_path / name for name in ("pairs", "groups")},
        **{name: small_dataset / path for name, path in paths.items()},
    }


def options(paths: dict[str, Path], *without: str) -> list[str]:
    return [f"--{name}={path}" for name, path in paths.items() if name not in without]


def train(paths: dict[str, Path], run: Path, **settings: str) -> int:
    given = {"source": "simulated", "dataset": "charades", "sizes": SIZES, "train": {"epochs": 1}}
    return main(
        ["train", *options(paths), f"--run={run}", f"--settings={json.dumps(given | settings)}"]
    )


def evaluate(paths: dict[str, Path], run: Path, split: str, **settings: str) -> int:
    rejected = run.parent / "rejected"
    pl.DataFrame(schema={"split": pl.String}).write_parquet(rejected)
    given = {"source": "simulated", "dataset": "charades", "ious": [0.5], "table_iou": 0.5,
             "bootstraps": 5}  # fmt: skip
    return main(
        [
            *("evaluate", f"--run={run}", f"--split={split}", f"--rejected={rejected}"),
            *options(paths, "relations"),
            *(f"--predictions={run / split}.parquet", f"--metrics={run / split}.json"),
            f"--settings={json.dumps(given | settings)}",
        ]
    )


def test_a_run_of_cd_is_scored_on_a_test_set_of_cd(
    cd: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train(cd, run, partition="cd") == 0
    assert json.loads((run / "config.json").read_text())["partition"] == "cd"
    assert evaluate(cd, run, "test_ood", partition="cd") == 0
    metrics = json.loads((run / "test_ood.json").read_text())
    assert (metrics["partition"], metrics["split"], metrics["queries"]) == ("cd", "test_ood", 2)
    asked = set(pl.read_parquet(run / "test_ood.parquet")["pair_id"])
    assert asked == {"test/test0#0", "test/test0#1"}
    capsys.readouterr()
    assert evaluate(cd, run, "test_iid", partition="cd") == 2
    assert "no usable test_iid pair" in capsys.readouterr().err
    assert evaluate(cd, run, "test_ood") == 2
    message = "of another partition, found the split test_ood, expected standard: train, val, test"
    assert message in capsys.readouterr().err


def test_a_run_of_another_partition_is_refused(
    small_dataset: Path, cd: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    standard = cd | {n: small_dataset / f"{n}.parquet" for n in ("pairs", "groups")}
    run = tmp_path / "run"
    assert train(standard, run, partition="cd") == 2
    assert train(cd, run) == 2
    assert train(standard, run) == 0
    capsys.readouterr()
    assert evaluate(cd, run, "test_ood", partition="cd") == 2
    assert "trained on another partition, found standard, expected cd" in capsys.readouterr().err
