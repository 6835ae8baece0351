"""The three annotation formats, with every quirk, and the counts of the published files."""

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from mktn.datasets import read_pairs
from mktn.datasets.annotations import held_out
from mktn.errors import UserError

HELD_OUT = next(f"V{i}" for i in range(100) if held_out(f"V{i}"))
KEPT = [f"V{i}" for i in range(100) if not held_out(f"V{i}")]


def charades_files(folder: Path, train: str, test: str, durations: str = "") -> Path:
    (folder / "charades_v1").mkdir(parents=True)
    (folder / "charades_sta_train.txt").write_text(train)
    (folder / "charades_sta_test.txt.gz").write_bytes(gzip.compress(test.encode()))
    lengths = durations or "".join(f"{v},a scene,10.0\n" for v in (*KEPT[:2], HELD_OUT))
    v1 = folder / "charades_v1"
    (v1 / "Charades_v1_train.csv").write_text("id,scene,length\n" + lengths)
    (v1 / "Charades_v1_test.csv").write_text("id,scene,length\nT,b,20\n")
    return folder


def activitynet_files(folder: Path, **videos: object) -> Path:
    folder.mkdir(parents=True)
    other = {"duration": 9, "timestamps": [[0, 9]], "sentences": ["Other."]}
    for name in ("train", "val_1", "val_2"):
        default = {f"v_{name[:3]}": other}
        (folder / f"{name}.json").write_text(json.dumps(videos.get(name, default)))
    return folder


def tacos_files(folder: Path, split_of_a: str = "train") -> Path:
    folder.mkdir(parents=True)
    (folder / "video_meta.csv").write_text(
        "video_id,split,fps_2dtan,num_frames_2dtan,duration_s_2dtan\n"
        f"a,{split_of_a},10.0,100,10.0\nb,val,10.0,50,5.0\nc,test,20.0,100,5.0\n"
    )
    for split, video, fps, frames in (
        ("train", "a", 10, 100),
        ("val", "b", 10, 50),
        ("test", "c", 20, 100),
    ):
        entry = {
            "timestamps": [[10, 20], [90, 105]],
            "sentences": ["He cuts.", "He peels."],
            "fps": fps,
            "num_frames": frames,
        }
        (folder / f"2dtan_{split}.json").write_text(json.dumps({f"{video}.avi": entry}))
        (folder / f"tall_{split}.txt").write_text(
            f"{video}.avi_10_20:He cuts: fast.#He cuts: fast.#\n{video}.avi_30_116:He peels.#\n"
        )
    return folder


def test_charades_clips_rejects_and_holds_out(tmp_path: Path) -> None:
    one, two = KEPT[:2]
    train = (
        f"{one} 0.0 5.5##person opens a door.\n{HELD_OUT} 1 2##person sits.\n"
        f"{one} 8.0 12.5##a ## b\n{two} 7.0 6.0##reversed.\n{two} 11.0 12.0##late.\n"
        f"{two} 1.0 2.0##...\n{one} 1.0 2.0##last"
    )
    folder = charades_files(tmp_path / "charades_sta", train, "T 0 30##person sits.\r\n")
    for directory in (tmp_path, folder):
        pairs, rejected = read_pairs("charades", directory)
        assert pairs["pair_id"].to_list() == [
            f"train/{one}#0",
            f"train/{one}#1",
            f"train/{one}#2",
            f"val/{HELD_OUT}#0",
            "test/T#0",
        ]
        assert pairs["end_s"].to_list() == [5.5, 10.0, 2.0, 2.0, 20.0]
        assert pairs["sentence"][1] == "a ## b"
        assert rejected["reason"].to_list() == [
            "start_s >= end_s",
            "start_s >= duration_s",
            "sentence without words",
        ]
        assert rejected["order"].to_list() == [0, 1, 2]
        assert rejected["end_s"][1] == 12.0  # as annotated
        assert pairs.schema["order"] == pl.Int64
        assert pairs.columns == rejected.columns[:-1]


@pytest.mark.parametrize(
    "line",
    [
        "V 1.0##no end.",
        "V 1.0 nan##words.",
        "V a b##words.",
        "V 1.0 2.0 words.",
        "",
        "V 1 inf##w.",
    ],
)
def test_charades_broken_line_is_named(tmp_path: Path, line: str) -> None:
    one = KEPT[0]
    folder = charades_files(
        tmp_path / "c", f"{one} 0 1##fine.\n{line}\n{one} 0 1##fine.\n", "T 0 1##a\n"
    )
    with pytest.raises(UserError, match=r"charades_sta_train\.txt, line 2: broken line"):
        read_pairs("charades", folder)


def test_charades_durations_must_be_there(tmp_path: Path) -> None:
    train = f"{KEPT[0]} 0 1##fine.\n"
    folder = charades_files(tmp_path / "a", train, "unknown 0 1##a\n")
    with pytest.raises(UserError, match=r"line 1: video without a duration, found unknown"):
        read_pairs("charades", folder)
    folder = charades_files(tmp_path / "b", train, "T 0 1##a\n", durations=f"{KEPT[0]},x,\n")
    with pytest.raises(UserError, match=r"csv, line 2: length is no positive finite number"):
        read_pairs("charades", folder)
    (folder / "charades_v1" / "Charades_v1_train.csv").write_text("id,scene\nx,y\n")
    with pytest.raises(UserError, match=r"column is missing.*length"):
        read_pairs("charades", folder)
    (folder / "charades_v1" / "Charades_v1_train.csv").unlink()
    with pytest.raises(UserError, match="annotation file is missing"):
        read_pairs("charades", folder)


def test_a_broken_gzip_file_is_one_line(tmp_path: Path) -> None:
    folder = charades_files(tmp_path / "c", f"{KEPT[0]} 0 1##a\n", "T 0 1##a\n")
    (folder / "charades_sta_test.txt.gz").write_bytes(gzip.compress(b"T 0 1##a\n" * 99)[:-12])
    with pytest.raises(UserError, match=r"test\.txt\.gz: file cannot be read"):
        read_pairs("charades", folder)


def test_activitynet_splits_and_held_out_validation(tmp_path: Path) -> None:
    train = {
        video: {
            "duration": 10.0,
            "timestamps": [[0.5, 10.4], [3, 3], [-1, 2]],
            "sentences": [" A man runs.\n", "Nothing.", "Early."],
        }
        for video in (KEPT[0], HELD_OUT)
    }
    both = {"v_same": {"duration": 5, "timestamps": [[0, 5]], "sentences": ["He sits."]}}
    folder = activitynet_files(tmp_path / "a", train=train, val_1=both, val_2=both)
    pairs, rejected = read_pairs("activitynet", folder)
    assert pairs["pair_id"].to_list() == [
        f"train/{KEPT[0]}#0",
        f"train/{HELD_OUT}#0",
        "val/v_same#0",
        "test/v_same#0",
    ]
    assert pairs["sentence"][0] == "A man runs."
    assert pairs["end_s"][0] == 10.0
    assert rejected["reason"].to_list() == ["start_s >= end_s", "start_s < 0"] * 2
    (folder / "val_1.json").unlink()
    pairs, _ = read_pairs("activitynet", folder, validation="held_out")
    assert pairs["split"].to_list() == ["train", "val", "test"]
    assert pairs["video_id"].to_list() == [KEPT[0], HELD_OUT, "v_same"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"v": {"duration": 1, "timestamps": [[0, 1]]}}', "v: missing key"),
        ('{"v": {"duration": NaN, "timestamps": [], "sentences": []}}', "broken JSON.*NaN"),
        ('{"v": {"duration": 0, "timestamps": [], "sentences": []}}', "v: duration is no pos"),
        ('{"v": {"duration": 1, "timestamps": [[0, null]], "sentences": ["a"]}}', "pair 0: end"),
        ('{"v": {"duration": 1, "timestamps": [[0, "1"]], "sentences": ["a"]}}', "pair 0"),
        ('{"v": {"duration": 1, "timestamps": [[0]], "sentences": ["a"]}}', "pair 0: broken"),
        ('{"v": {"duration": 1, "timestamps": [[0, 1]], "sentences": []}}', "differ in number"),
        ('{"v": {}, "v": {}}', "the key 'v' twice"),
        ('{"../v": {"duration": 1, "timestamps": [[0, 1]], "sentences": ["a"]}}', "name a file"),
        ('{"v": [1]}', "missing key"),
        ("[1]", "wrong JSON"),
        ("{}", "wrong JSON"),
        ('{"v": ', "broken JSON"),
        ("", "broken JSON"),
    ],
)
def test_activitynet_wrong_json_is_named(tmp_path: Path, text: str, message: str) -> None:
    folder = activitynet_files(tmp_path / "a")
    (folder / "train.json").write_text(text)
    with pytest.raises(UserError, match=f"train.json.*{message}"):
        read_pairs("activitynet", folder)


def test_mixed_up_splits_are_refused(tmp_path: Path) -> None:
    folder = activitynet_files(tmp_path / "a")
    (folder / "val_2.json").write_bytes((folder / "train.json").read_bytes())
    with pytest.raises(UserError, match="train and test share videos"):
        read_pairs("activitynet", folder)
    with pytest.raises(UserError, match=r"a\.avi: video of another split, found a, val"):
        read_pairs("tacos", tacos_files(tmp_path / "t", split_of_a="val"))


def test_tacos_frames_become_seconds(tmp_path: Path) -> None:
    folder = tacos_files(tmp_path / "tacos")
    pairs, rejected = read_pairs("tacos", folder)
    assert pairs["pair_id"].to_list() == [
        "train/a#0",
        "train/a#1",
        "val/b#0",
        "test/c#0",
        "test/c#1",
    ]
    assert pairs.select("start_s", "end_s", "duration_s").rows() == [
        (1.0, 2.0, 10.0),
        (9.0, 10.0, 10.0),
        (1.0, 2.0, 5.0),
        (0.5, 1.0, 5.0),
        (4.5, 5.0, 5.0),
    ]
    assert rejected["pair_id"].to_list() == ["val/b#1"]
    assert rejected["reason"].to_list() == ["start_s >= duration_s"]
    tall, _ = read_pairs("tacos", folder, version="tall")
    assert tall["sentence"][:3].to_list() == ["He cuts: fast.", "He cuts: fast.", "He peels."]
    assert tall.filter(split="test")["end_s"].to_list() == [1.0, 1.0, 5.0]


def test_tacos_errors(tmp_path: Path) -> None:
    folder = tacos_files(tmp_path / "tacos")
    (folder / "tall_val.txt").write_text("b.avi_1_2:He cuts.#\nb.avi_1:He cuts.#\n")
    with pytest.raises(UserError, match=r"tall_val\.txt, line 2: broken line"):
        read_pairs("tacos", folder, version="tall")
    entry = {"timestamps": [], "sentences": [], "fps": 25.0, "num_frames": 50}
    (folder / "2dtan_val.json").write_text(json.dumps({"b.avi": entry}))
    with pytest.raises(UserError, match=r"b\.avi: fps differs"):
        read_pairs("tacos", folder)
    (folder / "2dtan_val.json").write_text(
        json.dumps({"b.avi": {**entry, "fps": 10, "num_frames": 70}})
    )
    with pytest.raises(UserError, match=r"num_frames / fps differs.*7\.000 s.*5\.000 s"):
        read_pairs("tacos", folder)
    (folder / "2dtan_val.json").write_text(json.dumps({"z.avi": entry}))
    with pytest.raises(UserError, match="video without a duration"):
        read_pairs("tacos", folder)


def test_options_and_names_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown dataset"):
        read_pairs("didemo", tmp_path)
    with pytest.raises(UserError, match="unknown option"):
        read_pairs("charades", tmp_path, version="tall")
    with pytest.raises(UserError, match="unknown value"):
        read_pairs("tacos", tmp_path, version="mad")
    with pytest.raises(UserError, match="annotation folder is missing"):
        read_pairs("tacos", tmp_path / "absent")
