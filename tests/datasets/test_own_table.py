"""A user's own table: what becomes pairs, what is rejected and why, what is refused as a whole."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mktn.cli import main
from mktn.datasets import check_own_name
from mktn.datasets.own_table import Fractions
from mktn.errors import UserError
from mktn.features.pairs_file import read_pairs_file, read_rejected
from mktn.features.video import duration_s

HEADER = "video,sentence,start_s,end_s,split,duration_s\n"


def pairs(
    folder: Path, text: str, *more: str, name: str = "t.csv"
) -> tuple[int, pl.DataFrame, pl.DataFrame]:
    """`mktn pairs --format table` of a file with this text: status, pairs, rejected."""
    (folder / name).write_text(text, encoding="utf-8")
    status = main([
        *("pairs", "--format", "table", "--dataset", "kitchen"),
        *("--annotations", str(folder / name), "--pairs", str(folder / "pairs.parquet")),
        *("--rejected", str(folder / "rejected.parquet"), *more),
    ])  # fmt: skip
    if status:
        return status, pl.DataFrame(), pl.DataFrame()
    return (
        0,
        read_pairs_file(folder / "pairs.parquet"),
        read_rejected(folder / "rejected.parquet"),
    )


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three rendered videos of some ten seconds, and what they are called."""
    folder = tmp_path_factory.mktemp("videos")
    sizes = {"videos_train": 1, "videos_val": 1, "videos_test": 1, "duration_s": 10, "size": 32}
    assert main([
        *("synthesize", "--dataset", "tacos", "--annotations", str(folder / "a")),
        *("--videos", str(folder / "v"), "--actions", str(folder / "actions.parquet")),
        *("--settings", json.dumps(sizes)),
    ]) == 0  # fmt: skip
    return folder / "v"


def test_rows_become_pairs_in_their_order(tmp_path: Path) -> None:
    text = (
        '﻿video,sentence,start_s,end_s,split,duration_s\n'
        'b.mp4," He sits, then stands. ",1,2.5,train,10\n'
        "b,He stands.,2,99,train,10\n"
        "a.MKV,She sits.,0,1e1,test,20\n"
        "ärger.b,Élan.,0,1,val,3\n"
    )  # fmt: skip
    status, found, rejected = pairs(tmp_path, text)
    assert status == 0
    assert found.rows() == [
        ("kitchen", "train", "b", "train/b#0", "He sits, then stands.", 0, 1.0, 2.5, 10.0),
        ("kitchen", "train", "b", "train/b#1", "He stands.", 1, 2.0, 10.0, 10.0),
        ("kitchen", "val", "ärger.b", "val/ärger.b#0", "Élan.", 0, 0.0, 1.0, 3.0),
        ("kitchen", "test", "a", "test/a#0", "She sits.", 0, 0.0, 10.0, 20.0),
    ]
    assert rejected.is_empty()


def test_json_says_the_same(tmp_path: Path) -> None:
    rows = [
        {"video": "b", "sentence": "He sits.", "start_s": 1, "end_s": 2.5, "duration_s": 10},
        {"video": "b", "sentence": "He stands.", "start_s": "2", "end_s": 9, "duration_s": 10.0},
    ]
    whole = ("--settings", '{"fractions": {"train": 1, "val": 0, "test": 0}}')
    status, found, _ = pairs(tmp_path, json.dumps(rows), *whole, name="t.json")
    text = "video,sentence,start_s,end_s,duration_s\nb,He sits.,1,2.5,10\nb,He stands.,2,9,10\n"
    assert status == 0
    assert found.equals(pairs(tmp_path, text, *whole)[1])


WRONG = {
    "no video": ",He sits.,1,2,train,9",
    "video id cannot name a file": "../up,He sits.,1,2,train,9",
    "unknown split: 'dev'": "v,He sits.,1,2,dev,9",
    "sentence without words": "v,...,1,2,train,9",
    "start_s is no number": "v,He sits.,0:01,2,train,9",
    "end_s is no number": "v,He sits.,1,nan,train,9",
    "start_s < 0": "v,He sits.,-1,2,train,9",
    "start_s >= end_s": "v,He sits.,2,2,train,9",
    "start_s >= duration_s": "v,He sits.,9,12,train,9",
    "no duration_s": "w,He sits.,1,2,train,",
    "duration_s is no number above 0": "w,He sits.,1,2,train,-4",
    "duration_s differs within the video: 9 before": "v,He sits.,1,2,train,8",
    "more fields than columns: a sentence with a comma needs quotes": "v,He, sits.,1,2,train,9",
    "fewer fields than columns": "v,He sits.,1,2",
}


@pytest.mark.parametrize("reason", WRONG)
def test_a_wrong_row_is_rejected_with_its_reason_and_the_others_stay(
    reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = "v,He stands.,1,2,train,9\n"
    status, found, rejected = pairs(tmp_path, f"{HEADER}{good}{WRONG[reason]}\n{good}")
    assert status == 0
    assert found.height == 2
    assert rejected["reason"].to_list() == [reason]
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert f"1 rejected ({reason.partition(': ')[0]}: 1)" in said


def test_orders_count_rejected_rows(tmp_path: Path) -> None:
    rows = "v,A cat.,1,2,train,9\nv,A cat.,2,1,train,9\nv,A cat.,3,4,train,9\n"
    _, found, rejected = pairs(tmp_path, HEADER + rows)
    assert found["order"].to_list() == [0, 2]
    assert rejected["pair_id"].to_list() == ["train/v#1"]


def test_splits_follow_from_the_hash_of_the_id_alone(tmp_path: Path) -> None:
    names = [f"video{n}" for n in range(300)]
    rows = "".join(f"{name},A cat.,1,2,9\n" for name in names)
    settings = '{"fractions": {"train": 0.5, "val": 0.2, "test": 0.3}}'
    header = "video,sentence,start_s,end_s,duration_s\n"
    _, found, _ = pairs(tmp_path, header + rows, "--settings", settings)
    split = dict(found.select("video_id", "split").iter_rows())
    for name in names:
        place = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 1000
        assert split[name] == ("val" if place < 200 else "test" if place < 500 else "train")
    share = {key: list(split.values()).count(key) / 300 for key in ("train", "val", "test")}
    assert share == pytest.approx({"train": 0.5, "val": 0.2, "test": 0.3}, abs=0.1)


@pytest.mark.parametrize("given", [(0.5, 0.2, 0.2), (1.1, -0.1, 0.0), (0.3333, 0.3333, 0.3334)])
def test_fractions_must_make_one(given: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="thousandths"):
        Fractions(*given)


def test_durations_come_from_the_videos(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "v"
    shutil.copytree(videos, folder)
    one, two, three = sorted(path.stem for path in folder.iterdir())
    (folder / "cut.mp4").write_bytes((folder / f"{one}.mp4").read_bytes()[:3000])
    (folder / "text.mp4").write_text("no video")
    shutil.copy(folder / f"{one}.mp4", folder / "twice.mp4")
    shutil.copy(folder / f"{one}.mp4", folder / "twice.mkv")
    names = [one, two, three, "cut", "text", "twice", "absent"]
    rows = "".join(f"{name},A cat.,1,2,train\n" * 2 for name in names)
    header = "video,sentence,start_s,end_s,split\n"
    capsys.readouterr()
    settings = ("--settings", '{"decode_workers": 0}')
    status, found, rejected = pairs(tmp_path, header + rows, "--videos", str(folder), *settings)
    assert status == 0
    measured = dict(found.select("video_id", "duration_s").iter_rows())
    assert measured == {name: duration_s(folder / f"{name}.mp4") for name in (one, two, three)}
    assert min(measured.values()) > 9
    reasons = dict(rejected.select("video_id", "reason").iter_rows())
    assert set(reasons) == {"cut", "text", "twice", "absent"}
    assert reasons["absent"] == "broken video: no such file"
    assert reasons["twice"] == "broken video: several files, keep one: twice.mkv, twice.mp4"
    assert rejected["duration_s"].is_null().all()
    said = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in said[:-1]] == [
        f"broken video {name}" for name in ("twice", "absent", "cut", "text")
    ]
    assert "8 rejected (broken video: 8)" in said[-1]
    # Decoded by a process of its own, it is the same.
    again = pairs(tmp_path, header + rows, "--videos", str(folder))
    assert again[1].equals(found)
    assert again[2].equals(rejected)


def test_a_duration_of_the_table_is_not_measured(videos: Path, tmp_path: Path) -> None:
    name = sorted(path.stem for path in videos.iterdir())[0]
    rows = f"{name},A cat.,1,2,train,12.5\n{name},A dog.,2,3,train,12.5\n"
    _, found, _ = pairs(tmp_path, HEADER + rows, "--videos", str(videos))
    assert set(found["duration_s"]) == {12.5}


def test_columns_that_are_not_read_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = HEADER.strip() + ",annotator\nv,A cat.,1,2,train,9,me\n"
    assert pairs(tmp_path, text)[0] == 0
    assert "columns that are not read: annotator\n" in capsys.readouterr().out


NEEDED = "video,sentence,start_s,end_s,duration_s"
REFUSED: dict[str, tuple[str, str]] = {
    "column is missing, found 'start', expected 'start_s'": (
        "video,sentence,start,end_s\n", "v,A cat.,1,2\n",
    ),
    "column of another name, found 'Split', expected 'split'": (
        f"{NEEDED},Split\n", "v,A cat.,1,2,9,train\n",
    ),
    "line 1: columns are not separated by commas, found ';' in 'video;sentence;start_s;end_s'": (
        "video;sentence;start_s;end_s\n", "v;A cat, and a dog.;1;2\n",
    ),
    r"columns are not separated by commas, found '\t' in 'video\tsentence": (
        "video\tsentence\tstart_s\tend_s\n", "v\tA cat.\t1\t2\n",
    ),
    "column stands twice, found 'video'": (f"{NEEDED},video\n", "v,A cat.,1,2,9,v\n"),
    "table without rows": (f"{NEEDED}\n", ""),
    "train and test share videos": (HEADER, "v,A.,1,2,train,9\nv,B.,1,2,test,9\n"),
    "no usable row, found 2 that are rejected, 2 for: start_s >= end_s": (
        f"{NEEDED}\n", "v,A cat.,2,1,9\n" * 2,
    ),
    "no usable video falls into val, found 1 video; add": (f"{NEEDED}\n", "v,A cat.,1,2,9\n"),
    "no usable video falls into val, found 1 video, and 5 rejected rows (line 2: start_s >= end_s;"
    " line 4: start_s is no number; line 5: start_s < 0; ...); mend the rows, or add videos,": (
        f"{NEEDED}\n",
        "w,A cat.,2,1,9\nv,A cat.,1,2,9\nu,A cat.,a,2,9\nv,A.,-1,2,9\nv,,1,2,9\nv,,1,2,9\n",
    ),
    "broken csv": (f"{NEEDED}\n", 'v,"A "cat".,1,2,9\n'),
    "videos without duration_s, found 1 such as v, expected a number for each, or --videos": (
        f"{NEEDED}\n", "v,A cat.,1,2,\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_a_table_that_is_wrong_as_a_whole_is_one_line(
    message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pairs(tmp_path, "".join(REFUSED[message]))[0] == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "pairs.parquet").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"video": "v"}, "wrong JSON, found dict, expected a list of objects"),
        ([{"video": "v", "sentence": "A cat."}], "column is missing"),
        ([1, 2], "column is missing"),
    ],
)
def test_json_that_is_no_table_is_one_line(
    value: Any, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pairs(tmp_path, json.dumps(value), name="t.json")[0] == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["charades", "word_vectors", "Kitchen", "a/b", "", "9a", "a" * 41]
)
def test_a_name_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="no name for a dataset of your own"):
        check_own_name(name, "--dataset")
    check_own_name("my-kitchen_2", "--dataset")


def test_odd_text_of_json_is_stored_or_rejected(tmp_path: Path) -> None:
    row = {"start_s": 1, "end_s": 2, "split": "train", "duration_s": 9}
    rows = [
        {"video": "v", "sentence": "half \ud800 a pair", **row},
        {"video": "v\ud800", "sentence": "A cat.", **row},
        {"video": 7, "sentence": "A cat.", **row},
        {"video": "v", "sentence": None, **row},
        {"video": "v", "sentence": "A cat.", **row, "start_s": True},
        {"video": "v", "sentence": "A cat.", **row, "end_s": 10**400},
        {"video": "v", "sentence": "A cat.", **row},
    ]
    status, found, rejected = pairs(tmp_path, json.dumps(rows), name="t.json")
    assert status == 0
    assert found["sentence"].to_list() == ["A cat."]
    assert rejected["reason"].to_list() == [
        *("sentence with half a character", "video id cannot name a file", "no video"),
        "no sentence", "start_s is no number", "end_s is no number",
    ]  # fmt: skip
