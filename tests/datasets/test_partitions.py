"""CD and CG: the counts of the published files, and each quirk in a small one."""

import json
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from mktn.cli import main
from mktn.datasets import PARTITIONS, TEST_SETS, read_pairs, read_table
from mktn.datasets.annotations import annotation_file, held_out, read_json, read_lines
from mktn.errors import UserError

HELD_OUT = next(f"V{i}" for i in range(100) if held_out(f"V{i}"))
KEPT = [f"V{i}" for i in range(100) if not held_out(f"V{i}")]


def entry(*spans: tuple[float, float], duration: float = 10.0, **more: Any) -> dict[str, Any]:
    sentences = [f"person {'sits' if i else 'stands'} up" for i in range(len(spans))]
    return {"timestamps": list(spans), "sentences": sentences, "duration": duration, **more}


def charades_entry(*spans: tuple[float, float], **changes: Any) -> dict[str, Any]:
    frames = [[round(16 * start), round(16 * end)] for start, end in spans]
    made = {**entry(*spans), "framestamps": frames, "decode_fps": 16.0, "video_duration": 10.0}
    del made["duration"]
    return {**made, **changes}


def write(folder: Path, **files: dict[str, Any]) -> Path:
    for name, content in files.items():
        path = folder / f"{name.replace('__', '/')}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    return folder


def charades_cd(folder: Path, **changes: dict[str, Any]) -> Path:
    files = {"train": "A", "val": "B", "test_iid": "C", "test_ood": "D"}
    given = {name: {video: charades_entry((1, 2))} for name, video in files.items()} | changes
    return write(folder, **{f"cd_split__charades_{name}": what for name, what in given.items()})


def cg(folder: Path, **changes: dict[str, Any]) -> Path:
    train = {KEPT[0]: entry((0, 1)), HELD_OUT: entry((0, 1))}
    given = {"train": train, **{name: {f"t{name}": entry((1, 2))} for name in TEST_SETS["cg"]}}
    return write(folder, **{f"cg_split__{k}": what for k, what in (given | changes).items()})


def activitynet_cd(folder: Path, **changes: dict[str, Any]) -> Path:
    both = {"v_both": entry((0, 4), (4, 9)), "v_val": entry((0, 1))}
    given = {
        "train": {
            "v_train": entry((0, 5), (6, 6)),
            "v_iid": entry((1, 2)),
            "v_ood": entry((1, 2)),
        },
        "val_1": both,
        "val_2": {"v_both": entry((2, 3), (0, 4)), "v_val": entry((1, 2))},
        "cd_split__anet_val": {"v_val": entry((0, 1), (1, 2))},
        "cd_split__anet_test_iid": {"v_iid": entry((1, 2))},
        "cd_split__anet_test_ood": {"v_ood": entry((1, 2))},
    }
    return write(folder, **(given | changes))


@pytest.mark.parametrize(
    ("dataset", "partition", "counts", "videos", "reasons", "clipped"),
    [
        # usable pairs, videos, why pairs are rejected, ends clipped, in the order of PARTITIONS
        ("charades", "cd", (11071, 859, 823, 3372), (4564, 333, 333, 1440),
         {"test_ood": {"start_s >= duration_s": 3}}, (1652, 135, 151, 345)),
        ("charades", "cg", (7429, 852, 3096, 3442, 695), (3196, 359, 1689, 2480, 580),
         {}, (1144, 111, 412, 452, 109)),
        ("activitynet", "cd", (51415, 3521, 3443, 13574), (10984, 746, 746, 2450),
         {"test_ood": {"start_s >= end_s": 4}}, (407, 17, 27, 55)),
        ("activitynet", "cg", (32914, 3806, 15712, 12028, 3920), (8662, 997, 4775, 4202, 1991),
         {"train": {"start_s >= end_s": 3}, "val": {"start_s >= end_s": 1}},
         (218, 30, 123, 66, 34)),
    ],
)  # fmt: skip
def test_published_counts(
    shared_data: Path,
    dataset: str,
    partition: str,
    counts: tuple[int, ...],
    videos: tuple[int, ...],
    reasons: dict[str, dict[str, int]],
    clipped: tuple[int, ...],
) -> None:
    table = read_table(dataset, shared_data, partition=partition)
    pairs, rejected = table.frames()
    splits = PARTITIONS[partition]
    assert tuple(pairs.filter(split=name).height for name in splits) == counts
    assert tuple(pairs.filter(split=n)["video_id"].n_unique() for n in splits) == videos
    found: dict[str, dict[str, int]] = {}
    for split, reason, count in rejected.group_by("split", "reason").len().iter_rows():
        found.setdefault(split, {})[reason] = count
    assert found == reasons
    assert tuple(table.clipped[name] for name in splits) == clipped
    assert pairs["pair_id"].is_unique().all()
    # The published figures, rejected rows included, and the tenth held out given back to train.
    published = {
        ("charades", "cd"): (11071, 859, 823, 3375),
        ("charades", "cg"): (8281, 3096, 3442, 695),
        ("activitynet", "cd"): (51415, 3521, 3443, 13578),
        ("activitynet", "cg"): (36724, 15712, 12028, 3920),
    }
    sizes = [pairs.filter(split=n).height + rejected.filter(split=n).height for n in splits]
    if partition == "cg":
        sizes = [sizes[0] + sizes[1], *sizes[2:]]
    assert tuple(sizes) == published[dataset, partition]


def test_training_videos_of_activitynet_cd_are_the_derived_list(shared_data: Path) -> None:
    folder = shared_data / "activitynet_captions"
    listed = read_lines(annotation_file(folder, "cd_split/anet_train_video_ids.derived.txt"))
    pairs, _ = read_pairs("activitynet", folder, partition="cd")
    assert set(pairs.filter(split="train")["video_id"]) == set(listed)
    # The three files that are published join train, val_1 and val_2 in the same way.
    captions = [
        read_json(annotation_file(folder, f"{n}.json")) for n in ("train", "val_1", "val_2")
    ]
    for name in ("val", "test_iid", "test_ood"):
        for video_id, of_cd in read_json(
            annotation_file(folder, f"cd_split/anet_{name}.json")
        ).items():
            joined = [part[video_id]["sentences"] for part in captions if video_id in part]
            assert of_cd["sentences"] == [sentence for part in joined for sentence in part]


def test_what_is_novel_in_cg_is_not_in_its_training_split(shared_data: Path) -> None:
    for dataset in ("charades", "activitynet"):
        pairs, _ = read_pairs(dataset, shared_data, partition="cg")
        trained = pairs.filter(pl.col("split").is_in(["train", "val"]))
        for test_set in TEST_SETS["cg"]:
            tested = pairs.filter(split=test_set)
            assert not set(tested["video_id"]) & set(trained["video_id"])
            if test_set != "test_trivial":
                assert not set(tested["sentence"]) & set(trained["sentence"])


def test_the_three_annotation_sets_are_parsed_in_ten_seconds(shared_data: Path) -> None:
    started = time.process_time()  # other work on the machine does not count
    found = {name: read_pairs(name, shared_data) for name in ("activitynet", "charades", "tacos")}
    seconds = time.process_time() - started
    print(f"\nthe three annotation sets are parsed in {seconds:.2f} s")
    assert {name: pairs.height for name, (pairs, _) in found.items()} == {
        "activitynet": 37417 + 17505 + 17031,
        "charades": 12404 + 3720,
        "tacos": 9790 + 4436 + 4001,
    }
    assert seconds < 10


def test_charades_cd_clips_rejects_and_names_its_splits(tmp_path: Path) -> None:
    spans = ((1, 10.5), (7, 6), (11, 12), (2, 3))
    folder = charades_cd(tmp_path / "charades_sta", test_ood={"D": charades_entry(*spans)})
    pairs, rejected = read_pairs("charades", tmp_path, partition="cd")
    assert pairs["pair_id"].to_list() == [
        *("train/A#0", "val/B#0", "test_iid/C#0", "test_ood/D#0", "test_ood/D#3"),
    ]
    assert pairs.filter(split="test_ood")["end_s"].to_list() == [10.0, 3.0]
    assert rejected["reason"].to_list() == ["start_s >= end_s", "start_s >= duration_s"]
    assert read_pairs("charades", folder, partition="cd")[0].equals(pairs)


def test_a_sentence_without_words_is_rejected(tmp_path: Path) -> None:
    charades_cd(tmp_path, val={"B": charades_entry((1, 2), (2, 3), sentences=["  ", "fine"])})
    pairs, rejected = read_pairs("charades", tmp_path, partition="cd")
    assert pairs.filter(split="val")["pair_id"].to_list() == ["val/B#1"]
    assert rejected["reason"].to_list() == ["sentence without words"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"framestamps": [[0, 32]]}, "frame 0 at 1 s, expected the same moments at 16 frames/s"),
        ({"framestamps": [[16, 32], [0, 1]]}, "found 4 frames"),
        ({"video_duration": 0}, "video_duration is no positive finite number"),
    ],
)
def test_charades_cd_says_what_is_wrong(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    charades_cd(tmp_path, val={"B": charades_entry((1, 2), **change)})
    with pytest.raises(UserError, match=message) as error:
        read_pairs("charades", tmp_path, partition="cd")
    assert "charades_val.json, B" in str(error.value)


@pytest.mark.parametrize("where", ["train", "val", "test_iid"])
def test_cd_splits_that_share_a_video_are_refused(tmp_path: Path, where: str) -> None:
    charades_cd(tmp_path, **{where: {"D": charades_entry((1, 2))}})
    with pytest.raises(UserError, match=f"{where} and test_ood share videos"):
        read_pairs("charades", tmp_path, partition="cd")


def test_activitynet_cd_trains_on_all_other_captions_of_both_annotators(tmp_path: Path) -> None:
    activitynet_cd(tmp_path)
    pairs, rejected = read_pairs("activitynet", tmp_path, partition="cd")
    train = pairs.filter(split="train")
    assert train["pair_id"].to_list() == [
        "train/v_train#0",
        *(f"train/v_both#{i}" for i in range(4)),
    ]
    assert train["start_s"].to_list() == [0, 0, 4, 2, 0]  # val_1's two, then val_2's
    assert rejected["pair_id"].to_list() == ["train/v_train#1"]
    write(tmp_path, cd_split__anet_val={"v_elsewhere": entry((0, 1))})
    with pytest.raises(UserError, match="have no captions, found 1 such as v_elsewhere"):
        read_pairs("activitynet", tmp_path, partition="cd")


def test_cg_holds_out_a_tenth_and_its_test_sets_may_share_videos(tmp_path: Path) -> None:
    cg(tmp_path, novel_word={"ttest_trivial": entry((3, 4))})
    for dataset in ("charades", "activitynet"):
        pairs, _ = read_pairs(dataset, tmp_path, partition="cg")
        assert pairs.select("split", "video_id").rows() == [
            ("train", KEPT[0]),
            ("val", HELD_OUT),
            ("test_trivial", "ttest_trivial"),
            ("novel_composition", "tnovel_composition"),
            ("novel_word", "ttest_trivial"),
        ]
    cg(tmp_path, novel_word={HELD_OUT: entry((3, 4))})
    with pytest.raises(UserError, match="val and novel_word share videos"):
        read_pairs("charades", tmp_path, partition="cg")


def test_other_datasets_partitions_and_validations_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="tacos: unknown option, found 'partition'"):
        read_pairs("tacos", tmp_path, partition="cd")
    with pytest.raises(UserError, match="expected one of standard, cd, cg"):
        read_pairs("charades", tmp_path, partition="iid")
    activitynet_cd(tmp_path)
    with pytest.raises(UserError, match="has a validation split"):
        read_pairs("activitynet", tmp_path, partition="cd", validation="held_out")


def test_the_command_counts_what_test_sets_share(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cg(tmp_path, novel_word={"ttest_trivial": entry((1, 2))})
    outputs = ("--pairs", str(tmp_path / "p"), "--rejected", str(tmp_path / "r"))
    command = ("pairs", "--dataset", "charades", "--annotations", str(tmp_path), *outputs)
    assert main([*command, "--settings", '{"partition": "cg"}']) == 0
    counted, shared = capsys.readouterr().out.splitlines()
    assert "train 1 pairs of 1 videos, val 1 pairs" in counted
    assert "novel_word 1 pairs of 1 videos; 0 ends clipped; 0 rejected" in counted
    assert shared == (
        "charades: 1 of 1 sentences of test_trivial are also in train; 1 of 1 sentences of"
        " novel_composition are also in train; 1 of 1 sentences of novel_word are also in train;"
        " test_trivial and novel_word share 1 videos, 1 pairs"
    )
    assert set(pl.read_parquet(tmp_path / "p")["split"]) == set(PARTITIONS["cg"])
