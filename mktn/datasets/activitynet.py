"""ActivityNet Captions: `train.json`, `val_1.json` and `val_2.json`.

`{video_id: {"duration": s, "timestamps": [[start_s, end_s], ...], "sentences": [str, ...]}}`.
val = val_1 and test = val_2, as published; both annotate the same videos. With the validation
"held_out" a tenth of the training videos is val instead, and val_1 is not read. Its other
partitions are in mktn.datasets.partitions.
"""

from pathlib import Path

from mktn.datasets import partitions
from mktn.datasets.annotations import (
    PairTable,
    annotation_file,
    annotation_folder,
    held_out,
    read_json,
    video_entry,
)

VALIDATIONS = ("official", "held_out")


def read(directory: Path, validation: str = "official", partition: str = "standard") -> PairTable:
    """The pairs of a partition's files. Raises UserError on a file that is absent or broken."""
    if partition != "standard":
        return partitions.read("activitynet", directory, partition, validation)
    folder = annotation_folder(directory, "activitynet_captions")
    files = {"train": "train.json", "val": "val_1.json", "test": "val_2.json"}
    if validation == "held_out":
        del files["val"]
    table = PairTable("activitynet")
    for file_split, name in files.items():
        path = annotation_file(folder, name)
        for video_id, entry in read_json(path).items():
            spans, sentences, numbers = video_entry(path, video_id, entry, ("duration",))
            split = file_split
            if validation == "held_out" and split == "train" and held_out(video_id):
                split = "val"
            for (start_s, end_s), sentence in zip(spans, sentences, strict=True):
                table.add(
                    split,
                    video_id,
                    sentence,
                    start_s,
                    end_s,
                    numbers["duration"],
                    f"{path}, {video_id}",
                )
    table.refuse_shared_videos("train", "val", folder)
    table.refuse_shared_videos("train", "test", folder)
    return table
