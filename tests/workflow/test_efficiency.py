"""A run's efficiency is measured by its rule, alone, and again only where it would differ."""

from pathlib import Path

from mktn.report.efficiency_files import read_efficiency
from tests.workflow.test_pipeline import jobs, snakemake

FILE = "runs/synthetic/charades/mktn/full/seed0/efficiency.json"
SHORT = "efficiency={repeats: 3, minutes: 0, warm_up_batches: 1}"


def test_a_run_is_measured_on_its_test_videos(finished: Path) -> None:
    run = snakemake(finished, "--show-failed-logs", FILE, "--config", SHORT)
    assert run.returncode == 0, run.stdout[-5000:]
    assert "threads: 2" in run.stdout.split("rule efficiency:")[1]  # all of --cores 2
    found = read_efficiency(finished / FILE)
    assert (found.videos, found.split, found.weights) == (4, "test", "trained")
    assert (found.threads, found.repeats) == (1, 3)
    again = snakemake(finished, "-n", FILE, "--config", SHORT, "evaluation={bootstraps: 60}")
    assert "Nothing to be done" in again.stdout
    other = snakemake(finished, "-n", FILE, "--config", SHORT.replace("repeats: 3", "repeats: 4"))
    assert jobs(other.stdout) == {"efficiency": 1}


def test_the_table_asks_for_whole_models_of_one_seed(finished: Path) -> None:
    run = snakemake(
        finished, "-n", "results/efficiency.md", "--config", SHORT, "seeds=[0,1]", "systems=[mktn]"
    )
    needed = jobs(run.stdout)
    assert needed["efficiency_table"] == 1
    assert not {name for name in needed if name.startswith("train_")}
