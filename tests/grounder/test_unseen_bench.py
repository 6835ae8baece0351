"""`mktn bench ground` renders videos that are in no split, and measures what it says."""

import csv
import json
from pathlib import Path

import polars as pl
import pytest

from mktn.cli import main
from tests.grounder.conftest import SYNTHESIZE

SMALL = {
    "videos": 4, "groups": [2], "bootstraps": 20,
    "synthetic": {"duration_s": 10, "size": 32, "fps": SYNTHESIZE.get("fps", 8)},
}  # fmt: skip


def test_both_worlds_are_asked_in_videos_of_no_split(
    run_folder: Path, pipeline: Path, tmp_path: Path
) -> None:
    settings = json.dumps({**SMALL, "run": str(run_folder)})
    out = tmp_path / "g.csv"
    assert main(["bench", "ground", "--out", str(out), "--settings", settings]) == 0
    rows = list(csv.DictReader(out.open()))
    what = [row["what"] for row in rows if row["world"] == "same"]
    assert what == [row["what"] for row in rows if row["world"] == "other"]
    for name in (
        "R@1, IoU=0.5, order unknown", "R@1, IoU=0.5, order shuffled", "R@1, IoU=0.5, train-prior",
        "mean error of start and end, s", "median error of start and end, s",
        "right video among 2, S", "right video among 4, S_es",
        "right video among 4, against ordinary sentences (in use)",
        "right video among 2 and IoU>0.5",
    ):  # fmt: skip
        assert name in what
    for row in rows:
        low, value, high = (float(row[name]) for name in ("ci_low", "value", "ci_high"))
        assert low - 1e-6 <= value <= high + 1e-6 or row["what"].startswith("median")
        assert int(row["videos"]) == 4
        # By chance at least one of the videos, by more where others have the same text.
        least = {"2": 50, "4": 25}.get(row["what"].removeprefix("right video among ")[:1], 0)
        assert row["chance"] == "" or float(row["chance"]) >= least - 1e-6
    ids = pl.read_parquet(pipeline / "data/synthetic/pairs/charades/pairs.parquet")["video_id"]
    assert not any(name.startswith("new-") for name in ids)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"videos": 1}, "must be 2 or more"),
        ({"worlds": ["mars"]}, "expected same, other"),
        ({"other_seed": 0}, "is the seed of the run's videos"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    settings: dict, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [
        "bench",
        "ground",
        "--out",
        str(tmp_path / "g.csv"),
        "--settings",
        json.dumps(settings),
    ]
    assert main(given) == 2
    assert says in capsys.readouterr().err
