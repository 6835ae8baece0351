"""Published re-partitions of Charades-STA and ActivityNet Captions, training split included.

CD, changing distributions (`cd_split/`): `test_iid` has the training pairs' distribution of
moments, `test_ood` another. CG, compositional generalisation (`cg_split/`): `test_trivial`,
`novel_composition` (known words, combined as never in training) and `novel_word`. The files are
JSON, `{video_id: {"timestamps": [[start_s, end_s], ...], "sentences": [str, ...]}}` with the
duration as "duration", in Charades-CD "video_duration".

CG has no validation split: a tenth of its training videos is held out. Training pairs of
ActivityNet-CD are those of all caption videos outside its three files, 51,415 as published: the
captions of train.json, val_1.json and val_2.json in this order, so that a video that val_1 and
val_2 both annotate keeps both, exactly as it does in the three files.
"""

from collections.abc import Iterator
from itertools import combinations, product
from pathlib import Path
from typing import Any

from mktn.datasets import TEST_SETS
from mktn.datasets.annotations import (
    PairTable,
    annotation_file,
    annotation_folder,
    held_out,
    read_json,
    video_entry,
)
from mktn.errors import UserError

FOLDERS = {"activitynet": "activitynet_captions", "charades": "charades_sta"}
CAPTIONS = ("train.json", "val_1.json", "val_2.json")  # in the order in which CD joins them


def read(dataset: str, directory: Path, partition: str, validation: str = "official") -> PairTable:
    """The pairs of a partition, "cd" or "cg", of activitynet or charades.

    Raises UserError on a file that is absent or broken, on splits that share videos but must
    not, and on validation "held_out" where the partition has a validation split.
    """
    folder = annotation_folder(directory, FOLDERS[dataset])
    table = PairTable(dataset, partition)
    if partition == "cg":
        _read_cg(table, folder)
    elif validation == "held_out":
        raise UserError(
            "the partition has a validation split",
            where=f"{dataset}, cd",
            found="validation held_out",
            expected="official",
            do="set pairs.validation to official",
        )
    else:
        _read_cd(table, folder)
    return table


def _read_cd(table: PairTable, folder: Path) -> None:
    prefix = {"activitynet": "anet", "charades": "charades"}[table.dataset]
    for split in table.splits:
        if table.dataset == "activitynet" and split == "train":
            continue
        path = annotation_file(folder, f"cd_split/{prefix}_{split}.json")
        for video_id, entry in read_json(path).items():
            _check_framestamps(path, video_id, entry)
            _add(table, split, path, video_id, entry)
    if table.dataset == "activitynet":
        _add_rest(table, folder)
    for first, second in combinations(table.splits, 2):
        table.refuse_shared_videos(first, second, folder)


def _read_cg(table: PairTable, folder: Path) -> None:
    for file_split in ("train", *TEST_SETS["cg"]):
        path = annotation_file(folder, f"cg_split/{file_split}.json")
        for video_id, entry in read_json(path).items():
            split = "val" if file_split == "train" and held_out(video_id) else file_split
            _add(table, split, path, video_id, entry)
    # Test sets share videos with each other, by design: other queries of the same video.
    for split, test_set in product(("train", "val"), TEST_SETS["cg"]):
        table.refuse_shared_videos(split, test_set, folder)


def _add(table: PairTable, split: str, path: Path, video_id: str, entry: Any) -> None:
    renamed = isinstance(entry, dict) and "duration" not in entry and "video_duration" in entry
    duration = "video_duration" if renamed else "duration"
    spans, sentences, numbers = video_entry(path, video_id, entry, (duration,))
    for (start_s, end_s), sentence in zip(spans, sentences, strict=True):
        where = f"{path}, {video_id}"
        table.add(split, video_id, sentence, start_s, end_s, numbers[duration], where)


def _add_rest(table: PairTable, folder: Path) -> None:
    """The captions of all videos that no other split of the table has, as `train`."""
    taken = set().union(*(table.videos(split) for split in table.splits))
    known: set[str] = set()
    for path in (annotation_file(folder, name) for name in CAPTIONS):
        for video_id, entry in read_json(path).items():
            known.add(video_id)
            if video_id not in taken:
                _add(table, "train", path, video_id, entry)
    foreign = sorted(taken - known)
    if foreign:
        raise UserError(
            "videos of the partition have no captions",
            where=folder / "cd_split",
            found=f"{len(foreign)} such as {foreign[0]}",
            expected=f"videos of {', '.join(CAPTIONS)}",
            do="check that the files are of one dataset",
        )


def _check_framestamps(path: Path, video_id: str, entry: Any) -> None:
    """The seconds are what is read; frames at `decode_fps` must say the same, to a frame."""
    if not isinstance(entry, dict) or "framestamps" not in entry:
        return
    where = f"{path}, {video_id}"
    spans, _, numbers = video_entry(path, video_id, entry, ("decode_fps",))
    fps = numbers["decode_fps"]
    frames = list(_numbers(entry["framestamps"]))
    seconds = [value for span in spans for value in span]
    apart = [
        (frame, second)
        for frame, second in zip(frames, seconds, strict=False)
        if abs(frame / fps - second) > 1.01 / fps
    ]
    if len(frames) != len(seconds) or apart:
        found = f"frame {apart[0][0]:g} at {apart[0][1]:g} s" if apart else f"{len(frames)} frames"
        raise UserError(
            "framestamps and timestamps differ",
            where=where,
            found=found,
            expected=f"the same moments at {fps:g} frames/s",
            do="mend the file: which of them is right decides the score",
        )


def _numbers(value: Any) -> Iterator[float]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, list):
            yield from _numbers(item)
        elif isinstance(item, int | float):
            yield float(item)
