"""Charades-STA: `charades_sta_{train,test}.txt` and the durations of `charades_v1/*.csv`.

A line is `VIDEO start_s end_s##sentence`. The column `length` of `Charades_v1_{train,test}.csv`
is the duration. There is no validation split: a tenth of the training videos is held out.
Its other partitions are in mktn.datasets.partitions.
"""

import re
from pathlib import Path

from mktn.datasets import partitions
from mktn.datasets.annotations import (
    PairTable,
    annotation_file,
    annotation_folder,
    held_out,
    matched_lines,
    number,
    read_csv,
)
from mktn.errors import UserError

NUMBER = r"[-+]?[0-9]+(?:\.[0-9]*)?(?:[eE][-+]?[0-9]+)?"
LINE = re.compile(rf"(\S+) ({NUMBER}) ({NUMBER})##(.*)")


def read(directory: Path, partition: str = "standard") -> PairTable:
    """The pairs of a partition's files. Raises UserError on a file that is absent or broken."""
    if partition != "standard":
        return partitions.read("charades", directory, partition)
    folder = annotation_folder(directory, "charades_sta")
    table = PairTable("charades")
    for file_split in ("train", "test"):
        path = annotation_file(folder, f"charades_sta_{file_split}.txt")
        durations_path = annotation_file(folder, f"charades_v1/Charades_v1_{file_split}.csv")
        durations_s = read_durations(durations_path)
        for where, fields in matched_lines(path, LINE, "'VIDEO start_s end_s##sentence'"):
            video_id, start, end, sentence = fields
            if video_id not in durations_s:
                raise UserError(
                    "video without a duration",
                    where=where,
                    found=video_id,
                    expected=f"a row with this id in {durations_path}",
                )
            split = "val" if file_split == "train" and held_out(video_id) else file_split
            table.add(
                split,
                video_id,
                sentence,
                number(start, where, "start_s"),
                number(end, where, "end_s"),
                durations_s[video_id],
                where,
            )
    table.refuse_shared_videos("train", "test", folder)
    table.refuse_shared_videos("val", "test", folder)
    return table


def read_durations(path: Path) -> dict[str, float]:
    """Seconds of each video, from the column `length`. Raises UserError on a broken row."""
    durations_s: dict[str, float] = {}
    for line_number, row in read_csv(path, ("id", "length")):
        where = f"{path}, line {line_number}"
        if row["id"] in durations_s:
            raise UserError("video stands twice", where=where, found=row["id"])
        durations_s[row["id"]] = number(row["length"], where, "length", positive=True)
    return durations_s
