"""The LaTeX has the numbers of the csv, marks what it says it marks, and pdflatex sets it."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from mktn.report.latex_text import ACCENTS, GREEK, SIGNS, SPECIAL, escaped, marked
from mktn.report.layouts import DATASET_TITLES, TABLES
from mktn.report.table_cells import AT_PRIOR
from mktn.report.table_notes import ONE_SEED
from tests.report.latex_file import Float, Number, check, floats
from tests.report.runs import (
    SYSTEMS,
    efficiencies,
    grids,
    random_moments,
    tables,
    targets,
    write_run,
    write_runs,
)

AWKWARD = '50 % of a_b & c#1, {x} \\y ~z ^2 $5 <b> |c| "d" `e -- ± – ≥ α é “q” 厨'
HEADS = {"ours": "ours", "$\\Delta$": "difference", "paper": "reported"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all tables in each format."""
    folder = tmp_path_factory.mktemp("tables")
    for name, layout in TABLES.items():
        runs = write_runs(folder / name, name, notes=[AWKWARD]) if layout.scored else []
        speeds = efficiencies(folder / name, name) if layout.quantities else []
        assert tables(folder, runs, *speeds, table=name) == 0
    return folder


def read(folder: Path, table: str) -> list[Float]:
    return floats((folder / f"{TABLES[table].stem}.tex").read_text())


def look_up(folder: Path, table: str, one: Float) -> Callable[[str, str], dict[str, str]]:
    """The row of the csv that a line and a metric of a float are of."""
    layout = TABLES[table]
    frame = pl.read_csv(folder / f"{layout.stem}.csv", infer_schema=False).fill_null("")
    (dataset,) = {d for d in frame["dataset"] if one.label.endswith(f"-{d}")}
    titles = {quantity.title: quantity.metric for quantity in layout.quantities}
    systems = {escaped(line.name): line.system for line in layout.lines}
    systems |= {f"{model} (baseline)": (model, variant) for model, variant in SYSTEMS}

    def row(name: str, title: str) -> dict[str, str]:
        score = re.fullmatch(r"R@(\d), IoU=(.*)", title)
        key = ("R", *score.groups()) if score else (titles[title], "", "")
        if name in systems:
            of_line = dict(zip(("model", "variant"), systems[name], strict=True))
        else:
            of_line = {"method": name, "model": ""}
        wanted = {**of_line, **dict(zip(("metric", "n", "iou"), key, strict=True))}
        found = frame.filter(dataset=dataset, **wanted)
        assert found.height <= 1
        return found.row(0, named=True) if found.height else dict.fromkeys(frame.columns, "")

    return row


@pytest.mark.parametrize("table", TABLES)
def test_the_numbers_are_those_of_the_csv(made: Path, table: str) -> None:
    layout = TABLES[table]
    found = read(made, table)
    assert [one.label for one in found] == [
        f"tab:{layout.stem}-{d}" for d in DATASET_TITLES if d in layout.datasets
    ]
    seen = 0
    for one in found:
        row = look_up(made, table, one)
        for name, cells in one.lines:
            for (title, head), cell in cells.items():
                of = row(name, title)
                what = HEADS[head]
                ends = (cell.low.replace("+", ""), cell.high.replace("+", ""))
                if what == "ours":
                    assert (cell.value, *ends) == (of["value"], of["ci_low"], of["ci_high"])
                    seen += bool(cell.value)
                elif what == "reported":
                    assert (cell.value, *ends) == (of["reported"], "", "")
                else:
                    value = cell.value.replace("+", "")
                    names = [f"difference{end}" for end in ("", "_low", "_high")]
                    assert (value, *ends) == tuple(of[name] for name in names)
                    low, high = (float(of[n] or 0) for n in names[1:])
                    assert cell.star == (low > 0 or high < 0)
    assert seen >= len(layout.systems) * len(layout.datasets)


@pytest.mark.parametrize("table", TABLES)
def test_the_best_of_ours_and_of_the_paper_are_bold_and_baselines_do_not_compete(
    made: Path, table: str
) -> None:
    lower = {q.title for q in TABLES[table].quantities if q.lower}
    for one in read(made, table):
        for column in {column: None for _, cells in one.lines for column in cells}:
            given = [(name, cells[column]) for name, cells in one.lines if column in cells]
            competing = [c for name, c in given if c.value and "(baseline)" not in name]
            if HEADS[column[1]] == "difference" or len(competing) < 2:
                expected: list[Number] = []
            else:
                best = (min if column[0] in lower else max)(float(c.value) for c in competing)
                expected = [c for c in competing if float(c.value) == best]
            assert [c for _, c in given if c.bold] == expected, column


def test_the_shorter_time_and_the_smaller_model_are_the_best(made: Path) -> None:
    (one,) = read(made, "ianet3")
    bold = {(name, *column) for name, cells in one.lines for column, n in cells.items() if n.bold}
    assert ("IA-Net", "Run time, s", "paper") in bold
    assert ("IA-Net", "Run time, s", "ours") in bold
    assert ("CTRL", "Model size, M", "paper") in bold


def test_equal_numbers_are_both_bold_and_one_system_is_not(tmp_path: Path) -> None:
    same = random_moments("charades", "same")
    runs = [write_run(tmp_path, "charades", "mktn", v, moments=same) for v in ("full", "wo_csm")]
    assert tables(tmp_path, runs, "--variants", "full", "wo_csm") == 0
    ((_, first), (_, second)) = read(tmp_path, "3")[0].lines
    assert all(first[c].bold and second[c].bold for c in first if c[1] == "ours")
    assert tables(tmp_path, runs[:1], "--variants", "full") == 0
    ((_, alone),) = read(tmp_path, "3")[0].lines
    assert not any(cell.bold for cell in alone.values())


def test_lines_stand_in_the_groups_of_the_paper(made: Path) -> None:
    charades = read(made, "1")[1]
    assert charades.groups == [
        ["VDI", "DRN", "MESM", "MRTNet"],
        ["ICVC", "VCA", "LCNet", "CPL", "MMDist"],
        ["MKTN"],
        ["IA-Net", "2D-TAN", "MMN"],
        ["random (baseline)", "train-prior (baseline)"],
    ]
    assert [len(group) for group in read(made, "2")[0].groups] == [2, 2, 2, 2]
    assert [len(group) for group in read(made, "5")[0].groups] == [2, 3, 3]
    assert [len(group) for group in read(made, "ianet4")[0].groups] == [2, 4, 5, 4, 4]


@pytest.mark.parametrize("table", TABLES)
def test_source_protocol_and_packages_are_said(made: Path, table: str) -> None:
    layout = TABLES[table]
    text = (made / f"{layout.stem}.tex").read_text()
    first, _, packages = text.splitlines()[:3]
    assert first.startswith("% Source: synthetic. Videos and sentences are generated")
    assert r"\usepackage{booktabs} \usepackage{graphicx}" in packages
    assert (r"\usepackage{amssymb}" in packages) == (r"\checkmark" in text) == (table in "567")
    for one in floats(text):
        assert layout.title in one.caption
        assert f"laid out as Table {layout.number} of {layout.paper}." in one.caption
        assert r"\textbf{Source: synthetic}: generated videos and sentences, not" in one.caption
        assert ("24 test queries of 8 videos" in one.caption) == layout.scored
        assert ("seeds: 0." in one.caption) == layout.scored
        assert ("a star where the 95 \\% interval" in one.caption) == layout.scored
        assert (one.environment == "table*") == (table not in ("ianet3", "ianet4"))


@pytest.mark.parametrize(("table", "other"), [("1", "mmn/origin"), ("3", "mktn/wo_csm")])
def test_a_score_that_is_not_above_the_train_prior_is_marked_in_both_formats(
    tmp_path: Path, table: str, other: str
) -> None:
    spans = targets("charades")[2]
    prior = {0.5: random_moments("charades", "prior")[0.5] + 16.0}
    answered = {0.5: spans[:, None].repeat(5, axis=1)}
    model, variant = other.split("/")
    runs = [
        write_run(tmp_path, "charades", "mktn", "full", moments=answered),
        write_run(tmp_path, "charades", model, variant, moments=prior),
        write_run(tmp_path, "charades", "train-prior", "baseline", moments=prior),
    ]
    given = ("--variants", "mktn/full", other)
    assert tables(tmp_path, runs, *given, table=table) == 0
    stem = TABLES[table].stem
    (line,) = (one for one in TABLES[table].lines if one.system == (model, variant))
    titles = {f"R@{n}, IoU={iou}" for n in (1, 5) for iou in ("0.5", "0.7")}
    (one,) = read(tmp_path, table)
    marked_so = {(name, *c) for name, cells in one.lines for c, n in cells.items() if n.dagger}
    assert marked_so == {(escaped(line.name), title, "ours") for title in titles}
    assert AT_PRIOR in one.caption
    text = (tmp_path / f"{stem}.md").read_text()
    assert f"\n\n†: {AT_PRIOR}\n\n" in text
    (grid,) = grids(text)
    assert {
        (cells[0].split(" (`")[0], head)
        for cells in grid
        for head, cell in zip(grid[0], cells, strict=True)
        if "†" in cell
    } == {(line.name, f"{title}<br>ours") for title in titles}
    # Without the baseline nothing can be said of it.
    assert tables(tmp_path, runs[:2], *given, table=table) == 0
    assert "†" not in (tmp_path / f"{stem}.md").read_text()
    assert "dagger" not in (tmp_path / f"{stem}.tex").read_text()


@pytest.mark.parametrize("table", [name for name, one in TABLES.items() if one.scored])
def test_every_table_of_scores_marks_what_is_not_above_the_train_prior(
    made: Path, table: str
) -> None:
    text = (made / f"{TABLES[table].stem}.md").read_text()
    count = 0
    for one, (_, _, *printed) in zip(read(made, table), grids(text), strict=True):
        row = look_up(made, table, one)
        for at, (name, cells) in enumerate(one.lines):
            of_line = 0
            for (title, head), cell in cells.items():
                low = row(name, title)["ci_low"] if HEADS[head] == "ours" else ""
                high = row("train-prior (baseline)", title)["ci_high"] if "R@" in title else ""
                competes = "(baseline)" not in name and low and high
                assert cell.dagger == bool(competes and float(low) <= float(high)), (name, title)
                of_line += cell.dagger
            assert at >= len(printed) or " | ".join(printed[at]).count("†") == of_line
            count += of_line
        assert AT_PRIOR in one.caption
    assert count
    assert f"\n\n†: {AT_PRIOR}\n\n" in text


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
@pytest.mark.parametrize("table", ["3", "ianet1"])
def test_one_seed_is_said_to_be_what_intervals_and_stars_ignore(
    tmp_path: Path, table: str, seeds: tuple[int, ...]
) -> None:
    assert tables(tmp_path, write_runs(tmp_path / "runs", table, seeds), table=table) == 0
    said = f"intervals and stars {ONE_SEED}."
    for one in read(tmp_path, table):
        assert (said in one.caption) == (len(seeds) == 1)
        assert ("One training seed" in one.caption) == (len(seeds) == 1)
        assert ("Means over training seeds" in one.caption) == (len(seeds) > 1)
    markdown = (tmp_path / f"{TABLES[table].stem}.md").read_text()
    assert (f"Intervals are over videos alone: they {ONE_SEED}." in markdown) == (len(seeds) == 1)


def test_a_dataset_of_one_seed_beside_one_of_two_is_said_to_have_it(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "runs", dataset, "mktn", variant, seed)
        for dataset, seeds in (("activitynet", (0, 1)), ("charades", (0,)), ("tacos", (0,)))
        for variant in ("full", "wo_csm")
        for seed in seeds
    ]
    assert tables(tmp_path, runs, "--variants", "full", "wo_csm") == 0
    said = [f"intervals and stars {ONE_SEED}." in one.caption for one in read(tmp_path, "3")]
    assert said == [False, True, True]
    markdown = (tmp_path / "table3.md").read_text()
    assert f"Of a dataset with one seed, intervals are over videos: they {ONE_SEED}." in markdown


def test_a_table_of_speed_alone_says_nothing_of_seeds(made: Path) -> None:
    (one,) = read(made, "ianet3")
    assert "seed" not in one.caption


def test_published_runs_say_what_they_can_be_compared_with(tmp_path: Path) -> None:
    runs = write_runs(tmp_path / "runs", "ianet2", seeds=(0, 1), source="published")
    assert tables(tmp_path, runs, table="ianet2") == 0
    (one,) = read(tmp_path, "ianet2")
    assert "not comparable with the reported" not in one.caption
    assert "Means over training seeds" in one.caption
    assert "seeds: 0, 1." in one.caption
    assert "only with VGG features" in one.notes


def test_characters_that_latex_reads_otherwise() -> None:
    assert escaped("a_b & 5 % #1 {x} $y") == r"a\_b \& 5 \% \#1 \{x\} \$y"
    assert escaped("\\n ~ ^ <a> |") == (
        r"\textbackslash{}n \textasciitilde{} \textasciicircum{} $<$a$>$ $|$"
    )
    assert escaped("a--b---c d-e") == "a-{}-b-{}-{}-c d-e"
    assert escaped("5 ± 1 – ≥ 3") == r"5 $\pm$ 1 -- $\geq$ 3"
    assert escaped("φ, λ, Ω, Α") == r"$\phi$, $\lambda$, $\Omega$, A"
    assert escaped("é ü ç ï Ž ß") == r"\'{e} \"{u} \c{c} \"{\i} \v{Z} \ss{}"
    assert escaped("e\u0301") == r"\'{e}"
    assert escaped("厨\n房\t1") == "[U+53A8] [U+623F] 1"
    assert marked("**a_b** of `c_d`, `e") == r"\textbf{a\_b} of \texttt{c\_d}, {`}e"


def test_the_checker_can_fail() -> None:
    good = "\\begin{table}[tb]\nText $5$ \\& \\textbf{a}\n\\end{table}\n"
    check(good)
    for bad in (
        *(good.replace("Text", wrong) for wrong in ("{", "}", "$", "#", "a_b", "50 % x", "\\fo")),
        *(good.replace("\\&", wrong) for wrong in ("&", "é", "^", "<")),
        good.replace("\\end{table}", "\\end{tabular}"),
        good.replace("\\end{table}", ""),
    ):
        with pytest.raises(AssertionError):
            check(bad)


DOCUMENTS = {
    "article": r"\documentclass[a4paper]{article}\usepackage[utf8]{inputenc}",
    "two columns": r"\documentclass[10pt,twocolumn]{article}\textwidth516pt\textheight696pt"
    r"\oddsidemargin-24pt\topmargin-36pt\usepackage[utf8]{inputenc}",
}


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("document", DOCUMENTS)
def test_pdflatex_sets_all_tables_within_the_text(made: Path, document: str) -> None:
    folder = made / document.replace(" ", "_")
    folder.mkdir()
    every = "".join((*SPECIAL, *SIGNS, *GREEK, *(f"a{mark}i{mark}" for mark in ACCENTS)))
    inputs = [rf"\input{{../{layout.stem}}}\clearpage" for layout in TABLES.values()]
    (folder / "all.tex").write_text("\n".join([
        DOCUMENTS[document], r"\usepackage{booktabs}\usepackage{graphicx}\usepackage{amssymb}",
        r"\begin{document}", rf"\sloppy {' '.join(map(escaped, every))}", *inputs,
        r"\end{document}",
    ]))  # fmt: skip
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "all.tex"],
        cwd=folder, capture_output=True, text=True, errors="replace", timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:]
    for complaint in ("Overfull", "Float too large", "Missing character", "multiply-defined"):
        assert complaint not in done.stdout, done.stdout[done.stdout.index(complaint) :][:300]
