"""The tiny DAG from nothing to the table, and what is run again when something changes."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

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


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the tiny DAG has run."""
    directory = tmp_path_factory.mktemp("tiny")
    run = snakemake(directory, "--show-failed-logs", "results/table3.csv")
    assert run.returncode == 0, run.stdout[-5000:]
    return directory


def test_the_table_is_tidy_and_traced_to_its_predictions(finished: Path) -> None:
    table = pl.read_csv(finished / "results" / "table3.csv")
    columns = (
        "model,variant,dataset,metric,n,iou,value,ci_low,ci_high,queries,seeds,reported,source"
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
    assert "NOT comparable" in (finished / "results" / "table3.md").read_text()


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
        ("seeds=[0,1]", {"train_full": 1, "train_wo_opm": 1, "evaluate": 2, "table": 1}),
    ],
)
def test_a_changed_setting_reruns_what_it_touches(finished, change, expected) -> None:
    run = snakemake(finished, "-n", "results/table3.csv", "--config", change)
    assert jobs(run.stdout) == expected


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
