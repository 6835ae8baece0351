"""What is made for the test sets of a partition, and that partitions share no folder."""

from pathlib import Path

from tests.workflow.test_pipeline import ROOT, jobs, refusals, snakemake

SIMULATED = ("--configfile", f"{ROOT}/config.yaml", f"{ROOT}/workflow/configs/simulated.yaml")
GIVEN = (
    *("--config", "mirror=somewhere", "results=results", "datasets=[charades]"),
    "word_vectors=trained",
)


def test_each_test_set_of_a_partition_is_scored_in_folders_of_its_own(tmp_path: Path) -> None:
    # Without a target: the paper's tables are not of these partitions.
    run = snakemake(tmp_path, "-n", "-p", *SIMULATED, *GIVEN, "pairs={partition: cg}")
    needed = jobs(run.stdout)
    assert (needed["evaluate_test_set"], needed["evaluate_baseline_test_set"]) == (3, 6)
    assert (needed["train_full"], needed["test_sets"]) == (1, 1)
    assert not {"evaluate", "table", "rescore"} & set(needed)
    assert "--roles annotations,labels,splits" in run.stdout
    assert "--split novel_word" in run.stdout
    assert "metrics-novel_word.json" in run.stdout
    assert "results/cg/test_sets.csv" in run.stdout
    assert "data/simulated-cg/pairs" in run.stdout
    assert "runs/simulated-cg/charades" in run.stdout
    assert "runs/simulated/" not in run.stdout
    assert "data/simulated/" not in run.stdout


def test_queries_annotated_again_are_scored_from_the_predictions_that_are_there(
    tmp_path: Path,
) -> None:
    run = snakemake(tmp_path, "-n", "results/test_sets.csv", *SIMULATED, *GIVEN)
    needed = jobs(run.stdout)
    assert (needed["rescore"], needed["rescore_annotators"], needed["reannotations"]) == (3, 1, 1)
    assert (needed["evaluate"], needed["evaluate_baseline"]) == (1, 2)
    assert "evaluate_test_set" not in needed


def test_a_table_of_the_paper_is_refused_for_another_partition(tmp_path: Path) -> None:
    run = snakemake(
        *(tmp_path, "-n", "results/cd/table3.csv", *SIMULATED, *GIVEN, "pairs={partition: cd}")
    )
    assert run.returncode == 2
    lines = refusals(run.stdout)
    assert len(lines) == 1
    assert "table 3 is of the standard partition, found cd, expected standard" in lines[0]
