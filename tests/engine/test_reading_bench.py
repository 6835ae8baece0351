"""The benchmark of feature reading compares readers that read the same, and says what it found."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from mktn.cli import main
from mktn.engine.reading_bench import (
    FIGURES,
    ReadingSettings,
    measure,
    open_readers,
    row_of,
    summary,
    write_features,
)

SMALL = {"videos": 10, "frames": 60, "dimension": 64, "batch": 4, "repeats": 3}


@pytest.mark.parametrize("patches", [0, 2])
def test_every_reader_reads_the_same_features(tmp_path: Path, patches: int) -> None:
    settings = ReadingSettings(**SMALL, patches=patches)
    size = write_features(tmp_path, settings)
    assert size == 10 * 60 * 64 * 2 * (1 + patches)
    maps = [
        np.load(tmp_path / f"{name}.npy") for name in ("features", "patches")[: 1 + (patches > 0)]
    ]
    readers = open_readers(tmp_path, settings)
    assert len([way for _, way in readers if way == "batch"]) == 6
    assert len(readers) == 15
    for (name, way), read in readers.items():
        videos = {"batch": [7, 0, 9], "video": [7], "whole": list(range(10))}[way]
        found = read(videos)
        if name.startswith("parts"):
            found = (found.features, found.patches)
        found = [array for array in found if array is not None]
        for array, expected in zip(found, maps, strict=True):
            np.testing.assert_array_equal(array.reshape(-1), expected[videos].reshape(-1))


def test_the_csv_names_each_reader_its_baseline_and_what_is_required(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "reading.csv"
    settings = json.dumps({**SMALL, "folder": str(tmp_path)})
    assert main(["bench", "reading", f"--out={out}", f"--settings={settings}"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["reading.csv"]
    rows = list(csv.DictReader(out.open()))
    assert len(rows) == 15
    required = {(r["reader"], r["videos_a_read"]): r for r in rows if r["required_ratio"]}
    assert {key: (r["baseline"], float(r["required_ratio"])) for key, r in required.items()} == {
        ("store", "4"): ("h5py, reopened for each video", 1.3),
        ("store", "1"): ("h5py, reopened for each video", 1.0),
        ("store, preloaded", "4"): ("numpy memmap", 0.6),
    }
    for row in rows:
        assert float(row["mb_per_s"]) > 0
        assert float(row["ratio_q1"]) <= float(row["ratio"]) <= float(row["ratio_q3"])
        if row["reader"] == row["baseline"]:
            assert float(row["ratio"]) == 1
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 15
    assert sum(("reached" in line) + ("MISSED" in line) for line in printed) == 3


def test_a_ratio_is_of_times_in_the_same_round() -> None:
    settings = ReadingSettings(**SMALL)
    name, baseline = "store", FIGURES["store", "batch"][0]
    seconds = {name: [1.0, 4.0, 2.0], baseline: [1.2, 4.8, 2.4]}
    row = row_of(name, "batch", seconds, 8_000_000, settings)
    assert (row["ratio"], row["mb_per_s"]) == (1.2, 4.0)
    assert "at least 1.3 is MISSED" in summary(row)
    assert "reached" in summary({**row, "ratio": 1.3})


def test_each_round_reads_every_video_once_in_another_order() -> None:
    settings = ReadingSettings(**SMALL)
    seen: list[list[int]] = []
    seconds = measure({"a": lambda videos: seen.append(list(videos))}, settings, 4)
    assert [len(batch) for batch in seen] == [4, 4, 2] * 4  # a round more than is counted
    rounds = [[video for batch in seen[i : i + 3] for video in batch] for i in range(0, 12, 3)]
    assert all(sorted(videos) == list(range(10)) for videos in rounds)
    assert len({tuple(videos) for videos in rounds}) == 4
    assert len(seconds["a"]) == 3


def test_a_size_below_one_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = [f"--out={tmp_path / 'x.csv'}", '--settings={"videos": 0}']
    assert main(["bench", "reading", *given]) == 2
    assert "videos 0: expected at least 1" in capsys.readouterr().err
