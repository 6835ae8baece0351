"""`mktn robustness`: each run beside full asked alike, and beside itself; what does not belong."""

from pathlib import Path

import polars as pl
import pytest

from mktn.cli import main
from tests.report.runs import random_moments, targets, write_pairs, write_run

# Files that are given: variant and way. `wo_csm` answers right however it is asked, `full` only
# where it is asked as it is scored.
ASKED = (
    ("full", "scored"),
    ("full", "alone"),
    ("wo_csm", "scored"),
    ("wo_csm", "alone"),
)


def robustness(
    folder: Path,
    asked: tuple[tuple[str, str], ...] = ASKED,
    said: dict[str, object] | None = None,
) -> int:
    """`said`: what the metrics say of how they were asked, in place of the truth."""
    right = {0.5: targets("charades")[2][:, None].repeat(5, axis=1)}
    written = []
    for number, (variant, way) in enumerate(asked):
        lost = (variant, way) == ("full", "alone")
        moments = random_moments("charades", "lost") if lost else right
        place = folder / f"run{number}"
        model = "random" if variant == "baseline" else "mktn"
        told = {"alone": way == "alone", "order": "annotation"} | ({} if said is None else said)
        written.append(write_run(place, "charades", model, variant, 0, moments, **told))
    words = ["robustness", "--pairs", str(write_pairs(folder, "charades"))]
    words += ["--metrics", *(str(metrics) for metrics, _ in written)]
    words += ["--predictions", *(str(predictions) for _, predictions in written)]
    words += ["--asked", *(way for _, way in asked)]
    return main([*words, "--csv", str(folder / "r.csv"), "--markdown", str(folder / "r.md")])


def test_each_run_stands_beside_full_asked_alike_and_beside_itself(tmp_path: Path) -> None:
    assert robustness(tmp_path) == 0
    table = pl.read_csv(tmp_path / "r.csv", infer_schema=False).fill_null("")
    named = table.select("variant", "asked").unique(maintain_order=True).rows()
    assert named == list(ASKED)
    first = table.filter(metric="R", n="1", iou="0.5")
    scored, lost, other, alone = first.rows(named=True)
    assert (scored["to_full"], scored["to_as_scored"]) == ("", "")
    assert float(lost["value"]) < 100
    assert float(lost["to_as_scored"]) == pytest.approx(float(lost["value"]) - 100, abs=0.011)
    assert lost["to_full"] == ""
    assert (float(other["to_full"]), other["to_as_scored"]) == (0, "")
    assert float(alone["to_full"]) == pytest.approx(100 - float(lost["value"]), abs=0.011)
    assert float(alone["to_as_scored"]) == 0
    page = (tmp_path / "r.md").read_text()
    assert "**Source: synthetic.**" in page
    beside_full, beside_itself = page.split("\n## ")[1:]
    assert beside_full.startswith("Charades-STA, against `full` asked in the same way")
    assert f"**+{alone['to_full']} [" in beside_full.replace("++", "+")
    assert f"**{lost['to_as_scored']} [" in beside_itself
    assert "| full | alone |" in beside_full
    assert "- `alone`: one sentence at a time" in page
    assert "`shuffled`" not in page  # nobody was asked so


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ((*ASKED, ("wo_opm", "alone")), "runs of a variant are missing"),
        ((*ASKED, ASKED[0]), "run stands twice"),
        ((*ASKED, ("baseline", "scored")), "a baseline is asked nothing"),
    ],
)
def test_what_does_not_belong_is_one_line(
    asked: tuple[tuple[str, str], ...],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert robustness(tmp_path, asked) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_metrics_that_say_they_were_asked_otherwise_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert robustness(tmp_path, said={"alone": False}) == 2
    assert "asked in another way, found {'alone': False}" in capsys.readouterr().err
    assert robustness(tmp_path, (("full", "scored"), ("full", "untold"))) == 2
    assert "expected {'alone': False, 'order': 'none'}" in capsys.readouterr().err


def test_without_full_nothing_is_said_to_be_against_it(tmp_path: Path) -> None:
    assert robustness(tmp_path, ASKED[2:]) == 0
    page = (tmp_path / "r.md").read_text()
    assert "against `full`" not in page
    assert "against itself as scored" in page


def test_files_that_are_not_one_a_run_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics, predictions = write_run(tmp_path, "charades", "mktn", "full")
    words = ["robustness", "--metrics", str(metrics), "--predictions", str(predictions)]
    words += ["--asked", "scored", "alone", "--pairs", str(write_pairs(tmp_path, "charades"))]
    assert main([*words, "--csv", str(tmp_path / "r.csv"), "--markdown", "r.md"]) == 2
    assert "--asked: not one a run, found 2" in capsys.readouterr().err
