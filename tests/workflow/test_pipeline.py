"""The tiny DAG from nothing to the table, and what is run again when something changes."""

import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from mktn.models.variants import VARIANTS

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "workflow" / "tiny.yaml"


def snakemake(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run Snakemake on the tiny configuration in `directory`, with stdout and stderr joined."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile"]
    command += ["--directory", directory, "--cores", "2", *options]
    if "--configfile" not in options:
        command += ["--configfile", ROOT / "config.yaml", TINY]
    # The commands of the rules are found beside this interpreter.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [str(part) for part in command],
        cwd=directory,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def jobs(output: str) -> dict[str, int]:
    """Snakemake's own list of jobs: rule -> count."""
    table = output.split("Job stats:")[1].split("total")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.M)}


def refusals(output: str) -> list[str]:
    """The lines of mktn, but those on keys of the tiny configuration that a dataset overrules."""
    lines = [line for line in output.splitlines() if line.startswith("mktn:")]
    return [line for line in lines if " is overruled by " not in line]


def test_the_table_is_tidy_and_traced_to_its_predictions(finished: Path) -> None:
    table = pl.read_csv(finished / "results" / "table3.csv")
    columns = (
        "model,variant,dataset,metric,n,iou,value,ci_low,ci_high,queries,seeds,reported,source,"
        "difference,difference_low,difference_high,features"
    )
    assert table.columns == columns.split(",")
    assert set(table["variant"]) == {"full", "wo_opm", "baseline"}
    assert set(table["model"]) == {"mktn", "random", "train-prior"}
    assert set(table["source"]) == {"synthetic"}
    run = finished / "runs" / "synthetic" / "charades" / "mktn" / "full" / "seed0"
    pairs = pl.read_parquet(finished / "data/synthetic/pairs/charades/pairs.parquet")
    best = pl.read_parquet(run / "predictions.parquet").filter(pl.col("rank") == 1)
    joined = best.join(pairs, on="pair_id", suffix="_true")
    inter = pl.min_horizontal("end_s", "end_s_true") - pl.max_horizontal("start_s", "start_s_true")
    union = pl.max_horizontal("end_s", "end_s_true") - pl.min_horizontal("start_s", "start_s_true")
    by_hand = joined.select((inter / union > 0.3).mean() * 100).item()
    row = table.filter(variant="full", metric="R", n=1, iou=0.3).row(0, named=True)
    assert row["value"] == pytest.approx(by_hand, abs=0.005)
    assert row["queries"] == len(joined)
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["source"] == "synthetic"
    text = (finished / "results" / "table3.md").read_text()
    assert "NOT comparable" in text
    assert "**One training seed** a variant: 0." in text
    latex = (finished / "results" / "table3.tex").read_text()
    assert latex.startswith("% Source: synthetic.")
    printed = table.filter(variant="full", metric="R", n=1, iou=0.5)["value"].item()
    assert f"{printed:.2f}" in latex


def test_a_second_run_does_nothing(finished: Path) -> None:
    again = snakemake(finished, "results/table3.csv")
    assert again.returncode == 0
    assert "Nothing to be done" in again.stdout


def test_a_forced_ablation_reruns_itself_its_scores_and_the_table(finished: Path) -> None:
    run = snakemake(finished, "-n", "results/table3.csv", "--forcerun", "train_wo_opm")
    assert jobs(run.stdout) == {"train_wo_opm": 1, "evaluate": 1, "table": 1}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("losses={w_cl: 0.1}", {"train_full": 1, "train_wo_opm": 1, "evaluate": 2, "table": 1}),
        ("evaluation={bootstraps: 60}", {"evaluate": 2, "evaluate_baseline": 2, "table": 1}),
        ("seeds=[0,7]", {"train_full": 1, "train_wo_opm": 1, "evaluate": 2, "table": 1}),
    ],
)
def test_a_changed_setting_reruns_what_it_touches(finished, change, expected) -> None:
    run = snakemake(finished, "-n", "results/table3.csv", "--config", change)
    assert jobs(run.stdout) == expected


def test_what_changes_no_result_reruns_nothing(finished: Path) -> None:
    given = ("checkpoint_minutes=0.5", "tensorboard=true")
    run = snakemake(finished, "-n", "results/table3.csv", "--config", *given)
    assert run.returncode == 0
    assert "Nothing to be done" in run.stdout


def test_two_seeds_give_means_and_say_how_many_they_are(finished: Path) -> None:
    given = ("seeds=[0,1]", "results=two_seeds")
    run = snakemake(finished, "--show-failed-logs", "two_seeds/table3.csv", "--config", *given)
    assert run.returncode == 0, run.stdout[-5000:]
    values: dict[tuple[str, int, str], float] = {}
    for variant, seed in itertools.product(("full", "wo_opm"), (0, 1)):
        folder = finished / f"runs/synthetic/charades/mktn/{variant}/seed{seed}"
        for row in json.loads((folder / "metrics.json").read_text())["metrics"]:
            values[variant, seed, f"{row['metric']} {row['n']} {row['iou']}"] = row["value"]
    table = pl.read_csv(finished / "two_seeds" / "table3.csv").filter(model="mktn")
    assert set(table["seeds"]) == {2}
    for row in table.iter_rows(named=True):
        key = f"{row['metric']} {row['n']} {row['iou']}"
        mean = (values[row["variant"], 0, key] + values[row["variant"], 1, key]) / 2
        full = (values["full", 0, key] + values["full", 1, key]) / 2
        assert row["value"] == pytest.approx(mean, abs=0.00501)
        assert row["ci_low"] <= row["value"] <= row["ci_high"]
        if row["variant"] == "full":
            assert row["difference"] is None
        else:
            assert row["difference"] == pytest.approx(mean - full, abs=0.00501)
            assert row["difference_low"] <= row["difference"] <= row["difference_high"]
    text = (finished / "two_seeds" / "table3.md").read_text()
    assert "**2 training seeds** a variant: 0, 1." in text


def test_the_diagnostics_train_full_blind_and_ask_what_reviewers_ask(finished: Path) -> None:
    run = snakemake(finished, "--show-failed-logs", "results/diagnostics.csv")
    assert run.returncode == 0, run.stdout[-5000:]
    assert {"train_query_only", "train_video_only", "diagnose"} <= set(jobs(run.stdout))
    table = pl.read_csv(finished / "results" / "diagnostics.csv")
    assert set(table["diagnostic"]) == {"blind", "order", "queries", "sentence", "retrieval"}
    assert {"query_only", "video_only"} <= set(table["setting"])
    assert table.filter(diagnostic="retrieval", metric="R", n=1)["chance"].is_not_null().all()
    recorded = finished / "runs/synthetic/charades/mktn/video_only/seed0/config.json"
    assert json.loads(recorded.read_text())["loader"]["hidden"] == "text"


def test_all_tables_train_each_variant_on_the_datasets_it_is_printed_for(tmp_path: Path) -> None:
    in_table_3 = {f"train_{v}": 3 for v, parts in VARIANTS.items() if 3 in parts.tables}
    default = ("--configfile", str(ROOT / "config.yaml"))
    needed = jobs(snakemake(tmp_path, "-n", *default).stdout)
    trained = {name: count for name, count in needed.items() if name.startswith("train_")}
    assert trained == {f"train_{variant}": 1 for variant in VARIANTS} | in_table_3
    assert (needed["table"], needed["tables_page"]) == (5, 1)
    needed = jobs(snakemake(tmp_path, "-n", "results/table3.csv", *default).stdout)
    assert {n: count for n, count in needed.items() if n.startswith("train_")} == in_table_3


@pytest.mark.parametrize(
    ("target", "change", "message"),
    [
        ("results/table4.csv", ("datasets=[charades]",), "datasets: table 4 holds none of these"),
        ("results/table7.md", ("datasets=[tacos]",), "datasets: table 7 holds none of these"),
        (
            "results/table6.md",
            ("datasets=[activitynet]", "variants=[wo_csm]"),
            "variants: table 6 holds none of these, found wo_csm, expected at least one of wo_cap",
        ),
    ],
)
def test_a_table_that_would_be_empty_is_one_line_and_exit_status_2(
    tmp_path: Path, target: str, change: tuple[str, ...], message: str
) -> None:
    run = snakemake(tmp_path, "-n", target, "--config", *change)
    assert run.returncode == 2
    lines = refusals(run.stdout)
    assert len(lines) == 1
    assert message in lines[0]
    assert "Traceback" not in run.stdout


def test_the_page_has_the_tables_that_the_configuration_can_fill(tmp_path: Path) -> None:
    run = snakemake(tmp_path, "-n", "--config", "datasets=[charades]")
    needed = jobs(run.stdout)
    assert (needed["table"], needed["tables_page"]) == (1, 1)


def test_two_runs_from_clean_are_identical_to_the_byte(finished: Path, tmp_path: Path) -> None:
    run = snakemake(tmp_path, "--show-failed-logs", "results/table3.csv")
    assert run.returncode == 0, run.stdout[-5000:]
    run_folder = "runs/synthetic/charades/mktn/full/seed0"
    for name in ("results/table3.csv", "results/table3.md", f"{run_folder}/model.safetensors",
                 f"{run_folder}/predictions.parquet",
                 "data/synthetic/groups/charades/groups.parquet"):  # fmt: skip
        assert (finished / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_a_video_that_does_not_decode_is_recorded_and_the_rest_goes_on(finished: Path) -> None:
    groups = "data/synthetic/groups/charades/groups.parquet"
    video = min((finished / "data/synthetic/videos/charades").glob("*.mp4"))
    good = video.read_bytes()
    try:
        video.write_bytes(good[:400])
        run = snakemake(finished, groups, "--forcerun", "extract_video")
        assert run.returncode == 0, run.stdout[-5000:]
        rejected = pl.read_parquet(finished / "data/synthetic/groups/charades/rejected.parquet")
        assert set(rejected["video_id"]) == {video.stem}
        assert rejected["reason"].str.starts_with("video: ").all()
        assert f"charades: {len(rejected)} pairs rejected" in run.stdout
        assert video.stem not in set(pl.read_parquet(finished / groups)["video_id"])
    finally:
        video.write_bytes(good)


def test_an_unknown_key_is_one_line_and_exit_status_2(tmp_path: Path) -> None:
    run = snakemake(tmp_path, "-n", "results/table3.csv", "--config", "sede=3")
    assert run.returncode == 2
    lines = [line for line in run.stdout.splitlines() if "sede" in line]
    assert len(lines) == 1
    assert "unknown key" in lines[0]
    assert "Traceback" not in run.stdout
