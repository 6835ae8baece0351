"""Speeds stand beside scores, are of one machine, and ratios are against the model as it is."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mktn.cli import main
from mktn.report.layouts import FIGURES, TABLES
from mktn.report.rows import significant
from tests.report.golden import GOLDEN, table_2
from tests.report.runs import (
    REPORTED,
    efficiencies,
    grids,
    random_moments,
    rows,
    tables,
    targets,
    write_efficiency,
    write_run,
    write_runs,
)
from tests.report.test_compared import published

PLUGGED = ("tan2d", "mmn", "lcnet")


def test_table_2_has_every_reported_number_beside_ours(tmp_path: Path) -> None:
    runs, speeds = table_2(tmp_path)
    assert tables(tmp_path, runs, *speeds, table="2") == 0
    row = rows(tmp_path, "2")
    numbers = published("2")
    assert len(numbers) == 3 * 2 * 5
    lines = {(line.method, line.reported): line for line in TABLES["2"].lines}
    (grid,) = grids((tmp_path / "table2.md").read_text())
    for number in numbers.iter_rows(named=True):
        line = lines[number["method"], number["variant"]]
        metric, _, n = number["metric"].partition("@")
        key = {"metric": metric, "n": n, "iou": number["iou"] or ""}
        found = row(model=line.model, variant=line.variant, **key)
        assert found["reported"] == number["value"]
        (cells,) = [one for one in grid if one[0].startswith(f"{line.name} (")]
        title = f"{number['metric']}, IoU={number['iou']}" if n else metric
        assert cells[grid[0].index(f"{title}<br>paper")] == number["value"]
        ours = cells[grid[0].index(f"{title}<br>ours")]
        assert ours.removesuffix(" †") == "{value} [{ci_low}, {ci_high}]".format(**found)
    csv = pl.read_csv(tmp_path / "table2.csv")
    assert csv["reported"].is_not_null().sum() == len(numbers)


def test_plus_mktn_is_compared_with_its_own_origin(tmp_path: Path) -> None:
    runs: list[tuple[Path, Path]] = []
    for model in PLUGGED:
        origin = random_moments("charades", model)
        better = {0.5: origin[0.5] * 0.2 + targets("charades")[2][:, None] * 0.8}
        runs.append(write_run(tmp_path, "charades", model, "origin", moments=origin))
        # Of mmn alone does the transfer help.
        plus = better if model == "mmn" else origin
        runs.append(write_run(tmp_path, "charades", model, "plus_mktn", moments=plus))
    speeds = efficiencies(tmp_path, "2")
    assert tables(tmp_path, runs, *speeds, table="2") == 0
    row = rows(tmp_path, "2")
    for model in PLUGGED:
        assert row(model=model, variant="origin", metric="mIoU")["difference"] == ""
        found = row(model=model, variant="plus_mktn", metric="mIoU")
        values = [
            float(row(model=model, variant=variant, metric="mIoU")["value"])
            for variant in ("plus_mktn", "origin")
        ]
        assert float(found["difference"]) == pytest.approx(values[0] - values[1], abs=0.0101)
        if model == "mmn":
            assert float(found["difference_low"]) > 0
        else:
            assert [found[f"difference{end}"] for end in ("", "_low", "_high")] == ["0.00"] * 3
    (grid,) = grids((tmp_path / "table2.md").read_text())
    at = grid[0].index("R@1, IoU=0.7<br>ours - Origin")
    cells = {line[0].split(" (")[0]: line[at] for line in grid}
    assert cells["MMN, +MKTN"].startswith("**+")
    assert cells["MMN, Origin"] == "-"


def test_vps_is_of_origin_one_pair_at_a_time_and_of_plus_mktn_of_whole_videos(
    tmp_path: Path,
) -> None:
    runs, speeds = table_2(tmp_path)
    assert tables(tmp_path, runs, *speeds, table="2") == 0
    row = rows(tmp_path, "2")
    # 2D-TAN: origin answers 1 video a second, 2 cached; with MKTN 2, of whole videos 6.
    origin, plus = ({"model": "tan2d", "variant": v} for v in ("origin", "plus_mktn"))
    for of, metric, value, low, high in (
        (origin, "VPS", "1.00", "0.900", "1.20"),
        (origin, "VPS_cached", "2.00", "1.80", "2.40"),
        (origin, "VPS_together", "3.00", "2.70", "3.60"),
        (plus, "VPS", "6.00", "5.40", "7.20"),
        (plus, "VPS_over_origin", "6.00", "4.50", "8.00"),
        (plus, "VPS_over_cached", "3.00", "2.25", "4.00"),
        (plus, "VPS_over_together", "2.00", "1.50", "2.67"),
    ):
        found = row(**of, metric=metric)
        assert (found["value"], found["ci_low"], found["ci_high"]) == (value, low, high)
        assert found["difference"] == ""
    (grid,) = grids((tmp_path / "table2.md").read_text())
    assert grid[0][-7:] == [
        "VPS<br>ours",
        "VPS<br>paper",
        "VPS, cached<br>ours",
        "VPS, together<br>ours",
        "VPS / Origin<br>ours",
        "VPS / Origin cached<br>ours",
        "VPS / Origin together<br>ours",
    ]
    assert grid[5][-7:] == ["6.00 [5.40, 7.20]", "46.28", "-", "-", "6.00 [4.50, 8.00]",
                            "3.00 [2.25, 4.00]", "2.00 [1.50, 2.67]"]  # fmt: skip
    text = (tmp_path / "table2.md").read_text()
    assert "Efficiency: a CPU (cpu), 1 thread, float32" in text
    # As it was read by eye; python -m tests.report.golden writes it anew.
    assert text == GOLDEN.read_text()


def test_a_speed_beside_which_something_else_ran_says_so(tmp_path: Path) -> None:
    runs, speeds = table_2(tmp_path)
    path = next(Path(name) for name in speeds if name.endswith("mmn-plus_mktn-efficiency.json"))
    document = json.loads(path.read_text())
    document["load_average_before"] = [2.5, 1, 1]
    document["modes"][2]["cpu_share"] = 0.5
    path.write_text(json.dumps(document))
    assert tables(tmp_path, runs, *speeds, table="2") == 0
    text = (tmp_path / "table2.md").read_text()
    assert "before each: 0.1 to 2.5. **Something else took the processor** of" in text
    assert "of `mmn/plus_mktn`." in text


def test_a_ratio_is_of_the_rounds_in_which_two_models_took_turns(tmp_path: Path) -> None:
    runs, speeds = table_2(tmp_path)
    path = next(Path(name) for name in speeds if name.endswith("mmn-plus_mktn-efficiency.json"))
    turns = {"mode": "multi_pair", "text": "in", "value": 2.5, "low": 2.4, "high": 2.6}
    document = json.loads(path.read_text())
    in_turn, of_medians = ["2.50", "2.40", "2.60"], ["4.00", "3.00", "5.33"]
    for changes, expected in (
        ({}, in_turn),
        ({"source": "synthetic", "dataset": "charades"}, in_turn),
        ({"source": "simulated"}, of_medians),
        ({"dataset": "tacos"}, of_medians),
        ({"model": "lcnet"}, of_medians),
        ({"variant": "full"}, of_medians),
    ):
        document["beside"] = {"model": "mmn", "variant": "origin", "seed": 0, "weights": "trained",
                              "ratios": [{**turns, "against": "origin"}], **changes}  # fmt: skip
        path.write_text(json.dumps(document))
        assert tables(tmp_path, runs, *speeds, table="2") == 0
        found = rows(tmp_path, "2")(model="mmn", metric="VPS_over_origin")
        assert [found[name] for name in ("value", "ci_low", "ci_high")] == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "simulated"}, "efficiency is of another source, found simulated"),
        ({"partition": "cd"}, "efficiency is of another partition, found cd"),
        ({"device_name": "another"}, "efficiencies of one dataset differ in device_name"),
        ({"threads": 2}, "efficiencies of one dataset differ in threads, found 2"),
        ({"queries": 12}, "efficiencies of one dataset differ in queries, found 12"),
        ({"model": "ianet"}, "efficiency does not belong in the table, found ianet/plus_mktn"),
        ({"variant": "origin"}, "efficiency stands twice"),
        ({"format": 2}, "efficiency of an unknown format"),
    ],
)
def test_a_speed_that_was_measured_otherwise_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], message: str
) -> None:
    runs, speeds = table_2(tmp_path)
    last = Path(speeds[-1])
    last.write_text(json.dumps(json.loads(last.read_text()) | changes))
    assert tables(tmp_path, runs, *speeds, table="2") == 2
    error = capsys.readouterr().err
    assert message in error
    assert last.name in error
    assert error.count("\n") == 1
    assert not (tmp_path / "table2.csv").exists()


def test_a_missing_speed_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs, speeds = table_2(tmp_path)
    assert tables(tmp_path, runs, *speeds[:-1], table="2") == 2
    expected = "charades, lcnet/plus_mktn: efficiency of a system is missing"
    assert expected in capsys.readouterr().err
    assert tables(tmp_path, runs, table="2") == 2
    assert "--efficiency: table2 is made of these too, found none" in capsys.readouterr().err


def test_table_3_of_ianet_is_of_speed_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    speeds = efficiencies(tmp_path, "ianet3")
    assert tables(tmp_path, [], *speeds, table="ianet3") == 0
    text = (tmp_path / "ianet_table3.md").read_text()
    (grid,) = grids(text)
    assert grid == [
        ["Model", "Run time, s<br>ours", "Run time, s<br>paper", "Model size, M<br>ours",
         "Model size, M<br>paper", "Model size, MiB<br>ours"],
        ["---", *["---:"] * 5],
        ["CTRL", "-", "2.23", "-", "22", "-"],
        ["ACRN", "-", "4.31", "-", "128", "-"],
        ["2D-TAN (`tan2d/origin`)", "0.333 [0.300, 0.400]", "0.57", "2.50", "232", "9.54"],
        ["IA-Net (`ianet/full`)", "0.167 [0.150, 0.200]", "0.11", "2.50", "68", "9.54"],
    ]  # fmt: skip
    csv = pl.read_csv(tmp_path / "ianet_table3.csv", infer_schema=False)
    assert csv["reported"].is_not_null().sum() == len(published("ianet3")) == 8
    assert set(csv["metric"]) == {"run_time_s", "params_M", "size_MiB"}
    runs = write_runs(tmp_path / "runs", "ianet3")
    assert tables(tmp_path, runs, *speeds, table="ianet3") == 2
    assert "a table of efficiency has no scores" in capsys.readouterr().err


def test_numbers_keep_three_digits() -> None:
    numbers = (12345.6, 123.45, 1.2345, 0.012345, 0.0, 9.999, float("nan"))
    assert [*map(significant, numbers)] == ["12346", "123", "1.23", "0.0123", "0.00", "10.00", ""]


def figure(folder: Path, name: str, *options: str) -> int:
    outputs = ("--reported", str(REPORTED), "--csv", str(folder / f"figure{name}.csv"))
    return main(["figure-data", "--figure", name, *options, *outputs])


def test_figure_3a_has_recall_against_speed_of_every_system(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    systems = FIGURES["3a"].systems
    runs = [write_run(tmp_path, "charades", *s, seed) for s in systems for seed in (0, 1)]
    metrics = [str(path) for path, _ in runs]
    speeds = [str(write_efficiency(tmp_path, "charades", *s, vps=2.0)) for s in systems]
    assert figure(tmp_path, "3a", "--metrics", *metrics, "--efficiency", *speeds) == 0
    table = pl.read_csv(tmp_path / "figure3a.csv", infer_schema=False).fill_null("")
    assert [(row["model"], row["variant"]) for row in table.to_dicts()] == [*systems]
    assert dict(table.filter(variant="full").select("method", "reported").rows()) == {
        "MKTN": "69.93",
        "IA-Net": "61.29",
    }
    assert table["reported"].to_list()[2:] == [
        "39.81",
        "43.37",
        "47.31",
        "49.36",
        "39.19",
        "42.80",
    ]
    for row in table.to_dicts():
        values = [
            metric["value"]
            for path, _ in runs
            for run in [json.loads(path.read_text())]
            for metric in run["metrics"]
            if (run["model"], run["variant"]) == (row["model"], row["variant"])
            and (metric["metric"], metric["n"], metric["iou"]) == ("R", 1, 0.5)
        ]
        assert float(row["value"]) == pytest.approx(sum(values) / 2, abs=0.00501)
        together = row["variant"] == "plus_mktn" or row["model"] == "mktn"
        assert row["mode"] == ("multi_pair" if together else "origin")
        assert (row["qps"], row["qps_low"]) == (("18.0", "16.2") if together else ("6.00", "5.40"))
    capsys.readouterr()
    assert figure(tmp_path, "3a", "--metrics", *metrics[:-1], "--efficiency", *speeds) == 2
    assert "lcnet/plus_mktn: runs of a variant are missing" in capsys.readouterr().err
    assert figure(tmp_path, "3a", "--efficiency", *speeds) == 2
    assert "--metrics" in capsys.readouterr().err


def test_figure_3b_has_bars_of_origin_in_each_mode_and_of_plus_mktn(tmp_path: Path) -> None:
    systems = FIGURES["3b"].systems
    speeds = [str(write_efficiency(tmp_path, "charades", *s, vps=2.0)) for s in systems]
    assert figure(tmp_path, "3b", "--efficiency", *speeds) == 0
    table = pl.read_csv(tmp_path / "figure3b.csv", infer_schema=False).fill_null("")
    bars = [tuple(row) for row in table.select("model", "mode", "value", "reported").rows()]
    assert bars == [
        ("tan2d", "origin", "2.00", "12.43"),
        ("tan2d", "cached", "4.00", ""),
        ("tan2d", "multi_pair", "6.00", ""),
        ("tan2d", "multi_pair", "6.00", "46.28"),
        ("mmn", "origin", "2.00", "21.63"),
        ("mmn", "cached", "4.00", ""),
        ("mmn", "multi_pair", "6.00", ""),
        ("mmn", "multi_pair", "6.00", "48.38"),
        ("lcnet", "origin", "2.00", "23.88"),
        ("lcnet", "cached", "4.00", ""),
        ("lcnet", "multi_pair", "6.00", ""),
        ("lcnet", "multi_pair", "6.00", "52.73"),
    ]
    assert set(table["busy"]) == {"0"}


def test_figures_of_speed_know_beside_which_something_else_ran(tmp_path: Path) -> None:
    systems = FIGURES["3b"].systems
    speeds = [write_efficiency(tmp_path, "charades", *system, vps=2.0) for system in systems]
    path = next(path for path in speeds if path.name.endswith("mmn-origin-efficiency.json"))
    document = json.loads(path.read_text())
    document["modes"][2]["cpu_share"] = 0.5
    path.write_text(json.dumps(document))
    assert figure(tmp_path, "3b", "--efficiency", *map(str, speeds)) == 0
    busy = pl.read_csv(tmp_path / "figure3b.csv").filter(busy=1)
    assert set(busy.select("model", "variant").rows()) == {("mmn", "origin")}
