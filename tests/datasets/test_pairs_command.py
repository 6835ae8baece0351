"""`mktn pairs` from the command line."""

import json
from pathlib import Path

import polars as pl
import pytest

from mktn.cli import main


def write(folder: Path, broken: bool = False) -> None:
    folder.mkdir(exist_ok=True)
    for index, name in enumerate(("train", "val_1", "val_2")):
        entry = {"duration": 9, "timestamps": [[0, 9.5], [5, 5]], "sentences": ["He sits.", "No."]}
        (folder / f"{name}.json").write_text(json.dumps({f"v{index}": {} if broken else entry}))


def command(tmp_path: Path, *more: str) -> list[str]:
    return [
        *("pairs", "--dataset", "activitynet", "--annotations", str(tmp_path / "in")),
        *("--pairs", str(tmp_path / "out/pairs.parquet")),
        *("--rejected", str(tmp_path / "out/rejected.parquet"), *more),
    ]


def test_writes_both_tables_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "in")
    assert main(command(tmp_path)) == 0
    assert capsys.readouterr().out == (
        "activitynet: train 1 pairs of 1 videos, val 1 pairs of 1 videos,"
        " test 1 pairs of 1 videos; 3 ends clipped; 3 rejected (start_s >= end_s: 3)\n"
    )
    pairs = pl.read_parquet(tmp_path / "out/pairs.parquet")
    rejected = pl.read_parquet(tmp_path / "out/rejected.parquet")
    assert pairs["pair_id"].to_list() == ["train/v0#0", "val/v1#0", "test/v2#0"]
    assert rejected.columns == [*pairs.columns, "reason"]


def test_a_broken_file_leaves_the_good_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "in")
    main(command(tmp_path))
    before = (tmp_path / "out/pairs.parquet").read_bytes()
    write(tmp_path / "in", broken=True)
    capsys.readouterr()
    assert main(command(tmp_path)) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "train.json, v0: missing key" in error
    assert (tmp_path / "out/pairs.parquet").read_bytes() == before
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "pairs.parquet",
        "rejected.parquet",
    ]


def test_unknown_settings_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "in")
    assert main(command(tmp_path, "--settings", '{"validations": "official"}')) == 2
    assert "unknown key" in capsys.readouterr().err
    assert main(command(tmp_path, "--settings", '{"validation": "mine"}')) == 2
    assert "settings.validation" in capsys.readouterr().err
