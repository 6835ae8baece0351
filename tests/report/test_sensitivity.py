"""`mktn sensitivity`: each change beside full, and runs that do not belong are refused."""

import json
from pathlib import Path

import polars as pl
import pytest

from mktn.cli import main
from tests.report.runs import random_moments, targets, write_pairs, write_run

DEFAULTS = {"charades": {"sizes.objects": 6, "losses.w_cl": 0.2}}
CHANGES = ("full", "sizes.objects=3", "losses.w_cl=1")


def sensitivity(folder: Path, changes: tuple[str, ...] = CHANGES, **options: str) -> int:
    """A run a change, all of them full to their files; those of `losses.w_cl` answer right."""
    right = {0.5: targets("charades")[2][:, None].repeat(5, axis=1)}
    written = []
    for number, change in enumerate(changes):
        moments = (
            right if "w_cl" in change else random_moments("charades", change.partition("=")[0])
        )
        place = folder / f"run{number}"
        written.append(write_run(place, "charades", "mktn", "full", 0, moments))
    words = ["sensitivity", "--pairs", str(write_pairs(folder, "charades"))]
    words += ["--metrics", *(str(metrics) for metrics, _ in written)]
    words += ["--predictions", *(str(predictions) for _, predictions in written)]
    words += ["--changes", *changes, "--defaults", options.get("defaults", json.dumps(DEFAULTS))]
    words += ["--csv", str(folder / "s.csv"), "--markdown", str(folder / "s.md")]
    return main(words)


def test_each_change_stands_beside_full_with_its_difference(tmp_path: Path) -> None:
    assert sensitivity(tmp_path) == 0
    table = pl.read_csv(tmp_path / "s.csv", infer_schema=False).fill_null("")
    named = table.select("setting", "of_full", "changed_to").unique(maintain_order=True).rows()
    assert named == [("", "", ""), ("sizes.objects", "6", "3"), ("losses.w_cl", "0.2", "1")]
    first = table.filter(metric="R", n="1", iou="0.5")
    full, _, right = (float(value) for value in first["value"])
    assert right == 100
    assert float(first["difference"][2]) == pytest.approx(100 - full, abs=0.011)
    assert first["difference"][0] == ""
    page = (tmp_path / "s.md").read_text()
    assert "**Source: synthetic.**" in page
    assert "| `sizes.objects` | 6 | 3 | 1 |" in page
    assert f"**+{100 - full:.2f} [" in page  # far from 0


@pytest.mark.parametrize(
    ("changes", "defaults", "said"),
    [
        (("sizes.objects=3",), None, "runs of a variant are missing"),
        (("full", "sizes.objects"), None, "--changes: not a change, found sizes.objects"),
        (("full", "full"), None, "run stands twice"),
        (("full", "sizes.phrases=3"), None, "--defaults: no value of full"),
        (CHANGES, "{}", "--defaults: no value of full"),
    ],
)
def test_what_does_not_belong_is_one_line(
    changes: tuple[str, ...],
    defaults: str | None,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = {} if defaults is None else {"defaults": defaults}
    assert sensitivity(tmp_path, changes, **given) == 2
    assert said in capsys.readouterr().err
