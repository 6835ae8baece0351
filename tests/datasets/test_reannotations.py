"""Moments that more annotators gave test queries: matched, counted, in seconds."""

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from mktn.cli import main
from mktn.datasets.reannotations import read
from mktn.errors import UserError

HEADER = "HITId,video_id,description,start,end\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """ActivityNet captions: one test video of 20 s with three queries, two of them alike."""
    sentences = ["He runs, fast.", "She sits.", " she sits"]
    test = {"duration": 20, "timestamps": [[0, 5], [5, 9], [9, 12]], "sentences": sentences}
    other = {"duration": 9, "timestamps": [[0, 9]], "sentences": ["He runs, fast."]}
    for name, videos in {
        "train": {"v_a": other},
        "val_1": {"v_b": other},
        "val_2": {"v_t": test},
    }.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(videos))
    return tmp_path


def write(folder: Path, text: str, name: str = "test_00.csv") -> None:
    inside = folder / "human_reannotation"
    inside.mkdir(exist_ok=True)
    content = (HEADER + text).encode()
    (inside / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)


@pytest.mark.parametrize(("dataset", "queries"), [("charades", 1000), ("activitynet", 1288)])
def test_every_published_moment_finds_its_query(
    shared_data: Path, dataset: str, queries: int
) -> None:
    found = read(dataset, shared_data, shared_data)
    assert found.spans.group_by("pair_id").len()["len"].to_list() == [5] * queries
    assert (found.rejected.height, found.clipped) == (0, 0)
    assert (found.spans["start_s"] < found.spans["end_s"]).all()


def test_per_cents_become_seconds_and_wording_may_differ(folder: Path) -> None:
    write(folder, 'h,t," he runs fast",10,50\nh,t,He runs; fast.,0,120\n', "test_00.csv.gz")
    write(folder, "h,v_t.mp4,HE RUNS FAST,25,50\n", "test_01.csv")
    found = read("activitynet", folder, folder)
    assert found.spans.to_dicts() == [
        {"pair_id": "test/v_t#0", "annotator": i, "start_s": s / 5, "end_s": e / 5,
         "start_percent": s, "end_percent": e}
        for i, (s, e) in enumerate([(10.0, 50.0), (0.0, 100.0), (25.0, 50.0)])
    ]  # fmt: skip
    assert found.clipped == 1


def test_what_cannot_be_used_is_listed_with_its_reason(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = {
        "h,t,She sits.,1,2": "several test queries of these words",
        'h,t,"He runs, far.",1,2': "no such test query",
        'h,a,"He runs, fast.",1,2': "no such test query",
        'h,t,"He runs, fast.",-1,2': "start < 0",
        'h,t,"He runs, fast.",5,5': "start >= end",
        'h,t,"He runs, fast.",100,101': "start >= 100 %",
        'h,t,"He runs, fast.",1,2': "fewer than 2 annotators",
    }
    write(folder, "".join(f"{row}\n" for row in bad))
    out, rejected = tmp_path / "spans.parquet", tmp_path / "rejected.parquet"
    options = ("--annotations", folder, "--reannotations", folder, "--out", out)
    command = ("reannotations", "--dataset", "activitynet", *options, "--rejected", rejected)
    assert main([str(part) for part in command]) == 0
    assert pl.read_parquet(rejected)["reason"].to_list() == list(bad.values())
    assert pl.read_parquet(out).is_empty()
    said = capsys.readouterr().out
    assert said.startswith("activitynet: 0 moments of 0 test queries (no annotators); 0 ends")
    assert "7 rejected (fewer than 2 annotators: 1, no such test query: 2," in said


@pytest.mark.parametrize(
    ("text", "message"),
    [("h,t,x,one,2\n", "line 2: start is no finite number"), ("h,t\n", "line 2: broken row")],
)
def test_a_broken_file_is_named(folder: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=r"test_00\.csv: annotation file is missing"):
        read("activitynet", folder, folder)
    write(folder, text)
    with pytest.raises(UserError, match=message):
        read("activitynet", folder, folder)
