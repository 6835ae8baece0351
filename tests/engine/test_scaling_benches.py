"""The benchmarks behind docs/scaling.md run at a small size and say what they measured."""

import csv
import json
from pathlib import Path

import pytest

from mktn.cli import main


def bench(what: str, settings: dict, out: Path) -> list[dict[str, str]]:
    assert main(["bench", what, f"--out={out}", f"--settings={json.dumps(settings)}"]) == 0
    return list(csv.DictReader(out.open()))


def test_dry_runs_are_measured_in_every_state(tmp_path: Path) -> None:
    tiny = {"parts": [2], "seeds": [1], "repeats": 1, "configs": ["tests/workflow/tiny.yaml"]}
    rows = {row["state"]: row for row in bench("dag", tiny, tmp_path / "d.csv")}
    assert rows.keys() == {"absent", "whole", "one part"}
    assert (rows["whole"]["jobs"], rows["whole"]["trainings"]) == ("0", "0")
    assert rows["absent"]["trainings"] == "2"
    # One part needs the videos, their pairs, the backbone, and itself.
    assert rows["one part"]["jobs"] == "4"
    for row in rows.values():
        assert float(row["cpu_s"]) > 0.1
        assert 50 < float(row["peak_mb"]) < 1000


def test_clips_and_queries_are_counted_and_timed(tmp_path: Path) -> None:
    small = {"scale": 0.125, "width": 16, "queries": 4, "queries_per_video": 2, "repeats": 1}
    rows = bench("cost", {**small, "cases": ["c3d", "charades"]}, tmp_path / "c.csv")
    assert [row["phase"] for row in rows] == ["extract", "answer", "train"]
    clip, answer, train = (float(row["gflops"]) for row in rows)
    # Most of C3D's work is of products of two widths: an eighth of the width, about a 50th of it.
    assert 77 / 64 < clip < 77 / 8
    # Backward is two products for each one of forward.
    assert train > 2 * answer > 0
    assert all(float(row["peak_mb"]) > 50 for row in rows)


def test_relations_are_measured_at_growing_sizes(tmp_path: Path) -> None:
    rows = bench("relations", {"queries": [50, 400], "sentence_dimension": 16}, tmp_path / "r.csv")
    assert [row["queries"] for row in rows] == ["50", "400"]
    assert [row["videos"] for row in rows] == ["13", "100"]
    assert rows[0]["relate_exponent"] == ""
    assert int(rows[1]["relations"]) > int(rows[0]["relations"]) > 0


def test_more_parts_than_files_may_be_open_are_resampled(tmp_path: Path) -> None:
    small = {"parts": [1, 80], "videos": 80, "rows": 3, "dimension": 4, "repeats": 1}
    rows = bench("parts", {**small, "open_files": 40}, tmp_path / "p.csv")
    assert [row["parts"] for row in rows] == ["1", "80"]
    assert float(rows[1]["peak_mb"]) < float(rows[0]["peak_mb"]) + 50


@pytest.mark.parametrize(
    ("what", "settings", "message"),
    [
        ("dag", {"parts": [0]}, "parts (0,): expected 1 or more"),
        ("parts", {"parts": [3]}, "expected divisors of videos 4000"),
        ("cost", {"cases": ["vgg"]}, "cases vgg: expected one of c3d, i3d, activitynet"),
        ("relations", {"queries": [9, 3]}, "queries (9, 3): expected growing sizes"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str, settings: dict, message: str
) -> None:
    given = f"--settings={json.dumps(settings)}"
    assert main(["bench", what, f"--out={tmp_path / 'x.csv'}", given]) == 2
    assert message in capsys.readouterr().err
