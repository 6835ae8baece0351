"""A dataset of one's own has the tables and figures of the benchmarks, under its own name and
without reported numbers."""

from pathlib import Path

import polars as pl
import pytest

from mktn.cli import main
from mktn.report.layouts import FIGURES, TABLES, titles
from tests.report import runs
from tests.report.latex_file import floats
from tests.report.runs import REPORTED, grids, rows, write_efficiency, write_pairs, write_run

OWN = {"source": "own", "validation": "own"}
OWN_HEADINGS = {
    "1": "# Table 1: Comparison of models",
    "2": "# Table 2: MKTN as a plug-in",
    "ianet1": "# Table 1 after IA-Net: Comparison of IA-Net and 2D-TAN",
}


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
    assert all(len(grid[0]) == 1 + 2 * 4 for grid in grids(text))
    assert "paper" not in text
    page = tmp_path / "tables.md"
    assert main(["page", "--tables", outputs["md"], "--out", str(page)]) == 0
    assert page.read_text().startswith("# Table 3\n")


@pytest.mark.parametrize("name", ["1", "2", "ianet1"])
def test_tables_of_several_models(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each model beside the others, with its speed where the table has it; none of the paper's."""
    monkeypatch.setattr(runs, "IOUS", {"kitchen": (0.3, 0.5)})
    layout = TABLES[name]
    written = [write_run(tmp_path, "kitchen", *system, **OWN)
               for system in (*layout.systems, ("random", "baseline"))]  # fmt: skip
    speeds = [write_efficiency(tmp_path, "kitchen", *system, vps=n + 1.0, source="own")
              for n, system in enumerate(layout.systems)]  # fmt: skip
    metrics, predictions = zip(*written, strict=True)
    pairs, markdown = write_pairs(tmp_path, "kitchen"), tmp_path / f"{layout.stem}.md"
    assert main([
        *("tables", "--table", name, "--reported", str(REPORTED), "--metrics", *map(str, metrics)),
        *("--predictions", *map(str, predictions), "--pairs", str(pairs)),
        *(("--efficiency", *map(str, speeds)) if layout.quantities else ()),
        *("--csv", str(tmp_path / f"{layout.stem}.csv"), "--markdown", str(markdown)),
        *("--latex", str(tmp_path / f"{layout.stem}.tex")),
    ]) == 0  # fmt: skip
    (grid,) = grids(markdown.read_text())
    printed = {line[0].split(" (")[0]: line for line in grid[2:]}
    assert {*printed} == {*(line.name for line in layout.lines), "random"}
    assert not any(head.endswith("<br>paper") for head in grid[0])
    text = markdown.read_text()
    assert "comparable with a reported" not in text
    # The paper's titles and legends speak of its own comparison.
    assert text.splitlines()[0] == OWN_HEADINGS[name]
    for claim in ("state of the art", "TACoS", "TITAN", "IA-Net reports"):
        assert claim not in text
    (one,) = floats((tmp_path / f"{layout.stem}.tex").read_text())
    assert "a dataset of our own, comparable with no published number" in one.caption
    assert one.caption.startswith(OWN_HEADINGS[name].partition(": ")[2] + ": kitchen, laid out as")
    assert {head for _, cells in one.lines for _, head in cells} == {"ours", r"$\Delta$"}
    row = rows(tmp_path, name)
    for n, line in enumerate(layout.lines):
        model, variant = line.system
        found = row(model=model, variant=variant, metric="R", n=1, iou=0.5)
        assert (found["dataset"], found["source"], found["reported"]) == ("kitchen", "own", "")
        ours = "{value} [{ci_low}, {ci_high}]".format(**found)
        assert printed[line.name][grid[0].index("R@1, IoU=0.5<br>ours")] == ours
        if layout.quantities:
            speed = row(model=model, variant=variant, metric="VPS")["value"]
            assert float(speed) == (n + 1.0) * (3 if variant == "plus_mktn" else 1)


def test_figures_and_the_table_of_efficiency(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runs, "IOUS", {"kitchen": (0.3, 0.5)})
    for name, figure in ((n, of) for n, of in FIGURES.items() if "efficiency" in of.made_of):
        systems = figure.systems
        metrics = [str(write_run(tmp_path, "kitchen", *system, **OWN)[0]) for system in systems]
        speeds = [str(write_efficiency(tmp_path, "kitchen", *system, vps=2.0, source="own"))
                  for system in systems]  # fmt: skip
        csv = tmp_path / f"figure{name}.csv"
        assert main([
            *("figure-data", "--figure", name, "--reported", str(REPORTED), "--csv", str(csv)),
            *(("--metrics", *metrics) if figure.scored else ()), "--efficiency", *speeds,
        ]) == 0  # fmt: skip
        found = pl.read_csv(csv, infer_schema=False)
        assert {*found.select("model", "variant").rows()} == {*systems}
        assert found["reported"].null_count() == len(found)
    outputs = ("--csv", str(tmp_path / "e.csv"), "--markdown", str(tmp_path / "e.md"))
    assert main(["efficiency-table", "--efficiency", *speeds, *outputs]) == 0
    assert "## kitchen, a CPU" in (tmp_path / "e.md").read_text()


def test_another_source_has_the_benchmarks_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runs, "IOUS", {"kitchen": (0.3, 0.5)})
    metrics, predictions = write_run(tmp_path, "kitchen", "mktn", "full")
    assert main([
        *("tables", "--table", "3", "--reported", str(REPORTED), "--variants", "full"),
        *("--metrics", str(metrics), "--predictions", str(predictions), "--pairs"),
        *(str(write_pairs(tmp_path, "kitchen")), "--csv", str(tmp_path / "t.csv")),
        *("--markdown", str(tmp_path / "t.md")),
    ]) == 2  # fmt: skip
    assert "run does not belong in the table" in capsys.readouterr().err


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
