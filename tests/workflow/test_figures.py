"""Figures of whatever the configuration has: what is made for them, and where nothing is there."""

from pathlib import Path

import pytest

from tests.workflow.test_pipeline import ROOT, TINY, jobs, snakemake

CONFIGURED = ("--configfile", str(ROOT / "config.yaml"), str(TINY), "--config")


def planned(directory: Path, configured: tuple[str, ...], *figures: str) -> str:
    files = [f"results/{figure}.svg" for figure in figures]
    return snakemake(directory, "-n", *CONFIGURED, *configured, "--", *files).stdout


def test_figures_ask_for_the_runs_that_they_show(tmp_path: Path) -> None:
    given = ("datasets=[charades]", "systems=[mktn,mmn]", "variants=[full,wo_csm]", "seeds=[0,1]")
    figures = ("training", "negatives", "lengths", "positions", "ablations")
    asked = jobs(planned(tmp_path, given, *(f"figure_{name}" for name in figures)))
    assert {name: asked.get(name, 0) for name in (
        *("train_full", "train_wo_csm", "train_mmn_origin", "train_mmn_plus_mktn"),
        *("evaluate_baseline", "figure_data", "figure_of_data", "table", "efficiency"),
    )} == {
        "train_full": 2, "train_wo_csm": 2, "train_mmn_origin": 2, "train_mmn_plus_mktn": 0,
        # The prior beside the models, and both of the table's.
        "evaluate_baseline": 2, "figure_data": 4, "figure_of_data": 5, "table": 1,
        "efficiency": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("figure", "given", "said"),
    [
        (
            "figure_training",
            "variants=[wo_csm]",
            "variants: figure training holds none of these, found wo_csm",
        ),
        (
            "figure_ablations",
            "variants=[full]",
            "figure ablations has nothing to show, found full, expected full and a variant",
        ),
    ],
)
def test_where_nothing_is_there_a_line_says_so(
    tmp_path: Path, figure: str, given: str, said: str
) -> None:
    output = planned(tmp_path, (given,), figure)
    assert said in output
    assert "Traceback" not in output
