"""TACoS in its two published versions; `video_meta.csv` gives fps and duration of both.

Where that file is absent, the json files of the one version give them for both.

- `2dtan_{train,val,test}.json`: `{VIDEO.avi: {"timestamps": [[start, end], ...] in frames,
  "sentences": [str, ...], "fps": f, "num_frames": n}}`.
- `tall_{train,val,test}.txt`: `VIDEO.avi_startframe_endframe:sentence#sentence#...#` a line.

Video ids lose their `.avi`, as in `video_meta.csv`.
"""

import re
from pathlib import Path
from typing import NamedTuple

from mktn.datasets.annotations import (
    SPLITS,
    PairTable,
    annotation_file,
    annotation_folder,
    matched_lines,
    number,
    read_csv,
    read_json,
    video_entry,
)
from mktn.errors import UserError

VERSIONS = ("2dtan", "tall")
LINE = re.compile(r"(\S+?)\.avi_([0-9]+)_([0-9]+):(.+)")


class VideoMeta(NamedTuple):
    """A row of `video_meta.csv`: frames a second and seconds."""

    split: str
    fps: float
    duration_s: float


def read(directory: Path, version: str = "2dtan") -> PairTable:
    """The pairs of one version. Raises UserError on a file that is absent or broken."""
    folder = annotation_folder(directory, "tacos")
    given = any((folder / f"video_meta.csv{end}").is_file() for end in ("", ".gz"))
    videos = (
        read_video_meta(annotation_file(folder, "video_meta.csv"))
        if given
        else _meta_of_2dtan(folder)
    )
    table = PairTable("tacos")
    for split in SPLITS:
        if version == "tall":
            _read_tall(annotation_file(folder, f"tall_{split}.txt"), split, videos, table)
        else:
            _read_2dtan(annotation_file(folder, f"2dtan_{split}.json"), split, videos, table)
    return table


def read_video_meta(path: Path) -> dict[str, VideoMeta]:
    """Split, fps and duration of each video. Raises UserError on a broken row."""
    videos: dict[str, VideoMeta] = {}
    for line_number, row in read_csv(path, ("video_id", "split", "fps_2dtan", "duration_s_2dtan")):
        where = f"{path}, line {line_number}"
        if row["video_id"] in videos:
            raise UserError("video stands twice", where=where, found=row["video_id"])
        videos[row["video_id"]] = VideoMeta(
            row["split"],
            number(row["fps_2dtan"], where, "fps_2dtan", positive=True),
            number(row["duration_s_2dtan"], where, "duration_s_2dtan", positive=True),
        )
    return videos


def _meta_of_2dtan(folder: Path) -> dict[str, VideoMeta]:
    """What `video_meta.csv` says, from the files that it was made of, in milliseconds as there."""
    videos: dict[str, VideoMeta] = {}
    for split in SPLITS:
        path = annotation_file(folder, f"2dtan_{split}.json")
        for name, entry in read_json(path).items():
            _, _, numbers = video_entry(path, name, entry, ("fps", "num_frames"))
            fps = numbers["fps"]
            seconds = round(numbers["num_frames"] / fps, 3)
            videos[name.removesuffix(".avi")] = VideoMeta(split, fps, seconds)
    return videos


def _meta_of(videos: dict[str, VideoMeta], video_id: str, split: str, where: str) -> VideoMeta:
    meta = videos.get(video_id)
    if meta is None:
        raise UserError(
            "video without a duration",
            where=where,
            found=video_id,
            expected="a row with this video_id in video_meta.csv",
        )
    if meta.split != split:
        raise UserError(
            "video of another split",
            where=where,
            found=f"{video_id}, {meta.split} in video_meta.csv",
            expected=f"a video of {split}",
            do="check that the files are not mixed up",
        )
    return meta


def _read_2dtan(path: Path, split: str, videos: dict[str, VideoMeta], table: PairTable) -> None:
    for name, entry in read_json(path).items():
        where = f"{path}, {name}"
        video_id = name.removesuffix(".avi")
        spans, sentences, numbers = video_entry(path, name, entry, ("fps", "num_frames"))
        meta = _meta_of(videos, video_id, split, where)
        fps = numbers["fps"]
        if abs(fps - meta.fps) > 1e-6:
            raise UserError(
                "fps differs from video_meta.csv", where=where, found=fps, expected=meta.fps
            )
        if abs(numbers["num_frames"] / fps - meta.duration_s) > 1.5 / fps:
            raise UserError(
                "num_frames / fps differs from video_meta.csv",
                where=where,
                found=f"{numbers['num_frames'] / fps:.3f} s",
                expected=f"{meta.duration_s:.3f} s",
            )
        for (start, end), sentence in zip(spans, sentences, strict=True):
            table.add(split, video_id, sentence, start / fps, end / fps, meta.duration_s, where)


def _read_tall(path: Path, split: str, videos: dict[str, VideoMeta], table: PairTable) -> None:
    for where, fields in matched_lines(
        path, LINE, "'VIDEO.avi_startframe_endframe:sentence#sentence#...#'"
    ):
        video_id, start, end, sentences = fields
        meta = _meta_of(videos, video_id, split, where)
        start_s = number(start, where, "start frame") / meta.fps
        end_s = number(end, where, "end frame") / meta.fps
        for sentence in sentences.removesuffix("#").split("#"):
            table.add(split, video_id, sentence, start_s, end_s, meta.duration_s, where)
