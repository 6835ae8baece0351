"""The page holds every table once, says what they share once, and refuses tables of other runs."""

from pathlib import Path

import pytest

from mktn.cli import main
from mktn.report.layouts import TABLES
from tests.report.runs import efficiencies, grids, tables, write_runs

ABLATIONS = ("3", "4", "5", "6", "7")


def page(folder: Path, *tables: str) -> int:
    paths = [str(folder / f"{TABLES[table].stem}.md") for table in tables]
    return main(["page", "--tables", *paths, "--out", str(folder / "tables.md")])


def test_the_page_joins_the_tables_under_one_preface(tmp_path: Path) -> None:
    for table in ABLATIONS:
        runs = write_runs(tmp_path / str(table), table, seeds=(0, 1))
        assert tables(tmp_path, runs, table=table) == 0
    assert page(tmp_path, *ABLATIONS) == 0
    text = (tmp_path / "tables.md").read_text()
    for said in ("**Source: synthetic.**", "**2 training seeds** a variant: 0, 1.", "**bold**"):
        assert text.count(said) == 1
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings[:5] == [
        "# Tables 3, 4, 5, 6 and 7: ours beside the published numbers",
        "## Table 3: Main ablation study",
        "### ActivityNet Captions",
        "### Charades-STA",
        "### TACoS",
    ]
    assert headings[5::2] == [f"## Table {n}: {TABLES[n].title}" for n in ABLATIONS[1:]]
    alone = [grid for n in ABLATIONS for grid in grids((tmp_path / f"table{n}.md").read_text())]
    assert grids(text) == alone
    assert all(TABLES[n].legend in text for n in ABLATIONS)


def test_tables_of_other_models_and_of_speed_stand_on_the_same_page(tmp_path: Path) -> None:
    for table, layout in TABLES.items():
        runs = write_runs(tmp_path / table, table) if layout.scored else []
        speeds = efficiencies(tmp_path / table, table) if layout.quantities else []
        assert tables(tmp_path, runs, *speeds, table=table) == 0
    # In any order: a table of speed alone says less of what is shared.
    assert page(tmp_path, "ianet3", *(table for table in TABLES if table != "ianet3")) == 0
    text = (tmp_path / "tables.md").read_text()
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert headings[:3] == [
        "## Table 3 of IA-Net: Efficiency on TACoS",
        "## Table 1: Comparison with the state of the art",
        "## Table 2: MKTN as a plug-in",
    ]
    assert len(headings) == len(TABLES)
    for said in ("**Source: synthetic.**", "**One training seed**", "**bold**"):
        assert text.count(said) == 1
    alone = sum(
        (tmp_path / f"{layout.stem}.md").read_text().count("\n|") for layout in TABLES.values()
    )
    assert text.count("\n|") == alone


def test_tables_of_other_seeds_or_another_source_are_not_put_on_one_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tables(tmp_path, write_runs(tmp_path / "4", "4"), table="4") == 0
    assert tables(tmp_path, write_runs(tmp_path / "6", "6", seeds=(0, 1)), table="6") == 0
    assert tables(tmp_path, write_runs(tmp_path / "7", "7", source="published"), table="7") == 0
    capsys.readouterr()
    assert page(tmp_path, "4", "6") == 2
    error = capsys.readouterr().err
    assert "table6.md: tables differ in what they share, found '**2 training seeds**" in error
    assert error.count("\n") == 1
    assert page(tmp_path, "4", "7") == 2
    assert "found '**Source: published.**" in capsys.readouterr().err
    assert not (tmp_path / "tables.md").exists()


def test_a_file_that_is_no_table_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "table3.md").write_text("# Notes\n\nnone\n")
    assert page(tmp_path, "3") == 2
    assert "table3.md: not a table, found '# Notes'" in capsys.readouterr().err
    assert page(tmp_path, "4") == 2
    assert "file cannot be read" in capsys.readouterr().err
