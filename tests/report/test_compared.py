"""Tables of several models: every reported number once at its place, ours beside it or alone."""

import json
from pathlib import Path

import polars as pl
import pytest

from mktn.models.variants import VARIANTS_OF
from mktn.report.layouts import DATASET_TITLES, TABLES
from tests.report.runs import (
    REPORTED,
    grids,
    random_moments,
    rows,
    tables,
    write_run,
    write_runs,
)

SCORED = ("1", "ianet1", "ianet2", "ianet4")


def published(table: str) -> pl.DataFrame:
    """The numbers of a table in reported.csv, dashes left out."""
    layout = TABLES[table]
    frame = pl.read_csv(REPORTED, infer_schema=False)
    return frame.filter(paper=layout.paper, table=str(layout.number)).filter(
        pl.col("value").is_not_null()
    )


def sections(text: str) -> dict[str, list[list[str]]]:
    """The grid below each dataset's heading."""
    return {part.splitlines()[0]: grids(part)[0] for part in text.split("\n## ")[1:]}


@pytest.mark.parametrize("table", SCORED)
def test_every_reported_number_stands_once_at_its_place(tmp_path: Path, table: str) -> None:
    layout = TABLES[table]
    assert tables(tmp_path, write_runs(tmp_path / "runs", table), table=table) == 0
    csv = pl.read_csv(tmp_path / f"{layout.stem}.csv", infer_schema=False)
    grid_of = sections((tmp_path / f"{layout.stem}.md").read_text())
    lines = {(line.method, line.reported): line for line in layout.lines}
    numbers = published(table)
    seen = set()
    for row in numbers.iter_rows(named=True):
        metric, n = row["metric"].split("@")
        dataset = {title: name for name, title in DATASET_TITLES.items()}[row["dataset"]]
        line = lines.get((row["method"], row["variant"] or ""))
        named = {"method": row["method"]} if layout.compares else {}
        if line:
            named |= {"model": line.model, "variant": line.variant}
        found = csv.filter(
            *(pl.col(name) == value for name, value in named.items()),
            dataset=dataset,
            metric=metric,
            n=n,
            iou=row["iou"],
        )
        assert found["reported"].to_list() == [row["value"]], row
        seen.add((dataset, line.system if line else row["method"], metric, n, row["iou"]))
        head, _, *grid = grid_of[row["dataset"]]
        name = f"{line.name} (`" if line else row["method"]
        cells = [cells for cells in grid if cells[0] == name or cells[0].startswith(f"{name}")]
        at = head.index(f"{row['metric']}, IoU={row['iou']}<br>paper")
        assert [one[at] for one in cells] == [row["value"]], (name, row)
    assert csv["reported"].is_not_null().sum() == len(seen)
    printed = [
        cell
        for head, _, *grid in grid_of.values()
        for line_of_grid in grid
        for title, cell in zip(head, line_of_grid, strict=True)
        if title.endswith("<br>paper") and cell != "-"
    ]
    assert sorted(printed) == sorted(numbers["value"])


@pytest.mark.parametrize("table", SCORED)
def test_csv_and_markdown_agree_and_measured_is_never_reported(tmp_path: Path, table: str) -> None:
    layout = TABLES[table]
    assert tables(tmp_path, write_runs(tmp_path / "runs", table), table=table) == 0
    row = rows(tmp_path, table)
    several = len({line.model for line in layout.lines}) > 1
    for title, (head, _, *grid) in sections((tmp_path / f"{layout.stem}.md").read_text()).items():
        dataset = {title: name for name, title in DATASET_TITLES.items()}[title]
        for line in layout.lines:
            name = "/".join(line.system) if several else line.variant
            (cells,) = [cells for cells in grid if cells[0] == f"{line.name} (`{name}`)"]
            for at, column in enumerate(head):
                if "IoU=" not in column:
                    continue
                metric, what = column.split("<br>")
                found = row(
                    model=line.model, variant=line.variant, dataset=dataset, metric="R",
                    n=metric[2], iou=metric.partition("IoU=")[2],
                )  # fmt: skip
                if what == "ours":
                    ours = "{value} [{ci_low}, {ci_high}]".format(**found)
                    assert cells[at].removesuffix(" †") == ours
                elif what == "paper":
                    assert cells[at] == (found["reported"] or "-")
                else:
                    value = found["difference"]
                    said = f"{float(value):+.2f}" if value else "-"
                    assert cells[at].strip("*").split(" ")[0] == said
    csv = pl.read_csv(tmp_path / f"{layout.stem}.csv")
    alone = csv.filter(pl.col("model").is_null())
    assert alone["value"].is_null().all()
    assert csv.filter(pl.col("model").is_not_null())["value"].is_not_null().all()
    assert csv.filter(variant="baseline")["reported"].is_null().all()


def test_table_1_has_the_methods_in_the_papers_order_then_ours_then_baselines(
    tmp_path: Path,
) -> None:
    assert tables(tmp_path, write_runs(tmp_path / "runs", "1"), table="1") == 0
    grid_of = sections((tmp_path / "table1.md").read_text())
    assert [line[:2] for line in grid_of["Charades-STA"][2:]] == [
        ["VDI", "FS"],
        ["DRN", "FS"],
        ["MESM", "FS"],
        ["MRTNet", "FS"],
        ["ICVC", "WS"],
        ["VCA", "WS"],
        ["LCNet (`lcnet/origin`)", "WS"],
        ["CPL", "WS"],
        ["MMDist", "WS"],
        ["MKTN (`mktn/full`)", "MP"],
        ["IA-Net (`ianet/full`)", "FS"],
        ["2D-TAN (`tan2d/origin`)", "FS"],
        ["MMN (`mmn/origin`)", "FS"],
        ["random (baseline)", "-"],
        ["train-prior (baseline)", "-"],
    ]
    text = (tmp_path / "table1.md").read_text()
    for said in (
        "**Source: synthetic.**",
        "No measured number here is comparable with a reported one: the source is synthetic.",
        "- MMN (`mmn`): GloVe words and a GRU in place of DistilBERT",
        "- LCNet (`lcnet`): no code is public, a reimplementation",
    ):
        assert said in text


def test_with_published_features_each_model_says_what_it_can_be_compared_with(
    tmp_path: Path,
) -> None:
    runs = write_runs(tmp_path / "runs", "ianet2", source="published")
    assert tables(tmp_path, runs, table="ianet2") == 0
    text = (tmp_path / "ianet_table2.md").read_text()
    assert "What each measured model can be compared with:" in text
    assert "No measured number" not in text
    assert "only with VGG features" in text


def test_table_1_compares_each_system_with_mktn_on_the_same_queries(tmp_path: Path) -> None:
    moments = {name: random_moments("charades", name) for name in ("mktn/full", "mmn/origin")}
    runs = [write_run(tmp_path, "charades", *n.split("/"), moments=m) for n, m in moments.items()]
    assert tables(tmp_path, runs, "--variants", *moments, "--seed", "3", table="1") == 0
    hits = {}
    for metrics, _ in runs:
        document = json.loads(metrics.read_text())
        hits[document["model"]] = document["metrics"][-1]["value"]
    found = rows(tmp_path, "1")(model="mmn", metric="mIoU")
    assert float(found["difference"]) == pytest.approx(hits["mmn"] - hits["mktn"], abs=0.00501)
    assert rows(tmp_path, "1")(model="mktn", metric="mIoU")["difference"] == ""


def test_the_full_model_of_ianet_stands_in_each_group(tmp_path: Path) -> None:
    assert tables(tmp_path, write_runs(tmp_path / "runs", "ianet4"), table="ianet4") == 0
    text = (tmp_path / "ianet_table4.md").read_text()
    assert text.startswith("# Table 4 of IA-Net: Ablation study\n")
    (grid,) = grids(text)
    full = [line for line in grid if "(`full`)" in line[0]]
    assert [line[0] for line in full] == [
        "Model D (`full`)",
        "Padding size K = 3 (`full`)",
        "Attention maps H = 4 (`full`)",
        "Stacked blocks l = 3 (`full`)",
    ]
    assert len({tuple(line[1:]) for line in full}) == 1
    assert len(grid) == 2 + 2 + 17
    assert grid[0][2] == "R@1, IoU=0.7<br>ours - Full"


@pytest.mark.parametrize("table", TABLES)
def test_a_tables_systems_are_models_and_variants_that_there_are(table: str) -> None:
    for model, variant in TABLES[table].systems:
        assert variant in VARIANTS_OF[model]


def test_a_missing_system_and_one_of_another_table_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = write_runs(tmp_path / "runs", "1")
    without = [run for run in runs if "tacos-mmn" not in run[0].name]
    assert tables(tmp_path, without, table="1") == 2
    assert "tacos, mmn/origin: runs of a variant are missing" in capsys.readouterr().err
    plugged = write_run(tmp_path / "runs", "charades", "mmn", "plus_mktn")
    assert tables(tmp_path, [*runs, plugged], table="1") == 2
    assert "variant is not in the table, found mmn/plus_mktn" in capsys.readouterr().err
    other = write_run(tmp_path / "other", "tacos", "lcnet", "origin", source="simulated")
    same = [run for run in runs if "tacos-lcnet" not in run[0].name]
    assert tables(tmp_path, [*same, other], table="1") == 2
    assert "differ in source" in capsys.readouterr().err
    assert tables(tmp_path, runs, "--variants", "full", table="1") == 2
    assert "unknown variant, found full, expected one of mktn/full" in capsys.readouterr().err
    assert not (tmp_path / "table1.csv").exists()


def test_a_method_that_is_left_out_keeps_its_reported_numbers(tmp_path: Path) -> None:
    runs = [write_run(tmp_path, "tacos", "mktn", "full")]
    assert tables(tmp_path, runs, "--variants", "mktn/full", table="1") == 0
    row = rows(tmp_path, "1")(method="MMN", iou=0.3, n=5)
    assert (row["model"], row["value"], row["reported"], row["type"]) == ("", "", "62.03", "FS")
