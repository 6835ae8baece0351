"""A dataset of one's own has the tables of the benchmarks, under its own name and without reported
numbers."""

from pathlib import Path

import polars as pl
import pytest

from mktn.cli import main
from mktn.report.layouts import titles
from tests.report import runs
from tests.report.runs import REPORTED, grids, write_pairs, write_run

OWN = {"source": "own", "validation": "own"}


@pytest.fixture
def two_datasets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Path, Path]]:
    """Full and both baselines on two datasets, sports first."""
    names = ("sports", "kitchen")
    monkeypatch.setattr(runs, "IOUS", dict.fromkeys(names, (0.3, 0.5)))
    systems = (("mktn", "full"), ("random", "baseline"), ("train-prior", "baseline"))
    for name in names:
        write_pairs(tmp_path, name)
    return [write_run(tmp_path / "runs", name, *system, **OWN)
            for name in names for system in systems]  # fmt: skip


def test_table_3(two_datasets: list[tuple[Path, Path]], tmp_path: Path) -> None:
    metrics, predictions = zip(*two_datasets, strict=True)
    outputs = {end: str(tmp_path / f"table3.{end}") for end in ("csv", "md")}
    assert main([
        *("tables", "--table", "3", "--reported", str(REPORTED), "--variants", "full"),
        *("--csv", outputs["csv"], "--markdown", outputs["md"], "--metrics"),
        *(*map(str, metrics), "--predictions", *map(str, predictions), "--pairs"),
        *(str(tmp_path / f"{name}-pairs.parquet") for name in ("sports", "kitchen")),
    ]) == 0  # fmt: skip
    table = pl.read_csv(outputs["csv"], infer_schema=False)
    assert table["dataset"].unique(maintain_order=True).to_list() == ["kitchen", "sports"]
    assert table["reported"].null_count() == len(table) == 2 * 3 * 5
    text = Path(outputs["md"]).read_text()
    assert "**Source: own.** A dataset of your own: comparable with no published number." in text
    assert "selected on the dataset's own validation split" in text
    assert text.index("## kitchen") < text.index("## sports")
    assert all(len(grid[0]) == 1 + 3 * 4 for grid in grids(text))


def test_test_sets(two_datasets: list[tuple[Path, Path]], tmp_path: Path) -> None:
    metrics = [str(path) for path, _ in two_datasets]
    outputs = ("--csv", str(tmp_path / "t.csv"), "--markdown", str(tmp_path / "t.md"))
    assert main(["test-sets", "--metrics", *metrics, *outputs]) == 0
    found = pl.read_csv(tmp_path / "t.csv")
    assert found["dataset"].unique(maintain_order=True).to_list() == ["kitchen", "sports"]
    assert "## sports, partition standard" in (tmp_path / "t.md").read_text()


def test_benchmarks_come_first() -> None:
    assert list(titles(("zoo", "tacos", "attic", "charades"))) == [
        "charades", "tacos", "attic", "zoo",
    ]  # fmt: skip
