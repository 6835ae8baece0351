"""Annotation files of the synthetic videos, in the three datasets' own formats."""

import csv
import json
from pathlib import Path

from mktn.datasets.synthetic.language import gerund
from mktn.datasets.synthetic.motion import ACTIVITIES
from mktn.datasets.synthetic.narration import Query
from mktn.datasets.synthetic.story import OBJECTS, Story

Told = list[tuple[Story, list[Query]]]
SPLITS = ("train", "val", "test")
CHARADES_COLUMNS = (
    "id",
    "subject",
    "scene",
    "quality",
    "relevance",
    "verified",
    "script",
    "objects",
    "descriptions",
    "actions",
    "length",
)
CHARADES_CLASSES = tuple((activity, kind) for activity in ACTIVITIES for kind in OBJECTS)
TACOS_META_COLUMNS = (
    "video_id",
    "split",
    "fps_2dtan",
    "num_frames_2dtan",
    "duration_s_2dtan",
    "num_frames_tall",
    "fps_tgn",
)


def write_annotations(told: Told, dataset: str, folder: Path, fps: int) -> None:
    """Write the native files of `dataset` for all stories and their queries into `folder`.

    Times are multiples of 1/fps, written with as many decimals as they need.
    """
    folder.mkdir(parents=True)
    {"charades": _charades, "activitynet": _activitynet, "tacos": _tacos}[dataset](
        told, folder, fps
    )


def _seconds(frame: int, fps: int) -> str:
    return (
        f"{frame / fps:.6f}".rstrip("0").removesuffix(".") if frame % fps else f"{frame // fps}.0"
    )


def _write_csv(rows: list[list[object]], columns: tuple[str, ...], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\r\n")
        writer.writerow(columns)
        writer.writerows(rows)


def _charades(told: Told, folder: Path, fps: int) -> None:
    """charades_sta_{train,test}.txt; csv of all actions; val is among train, by its hash."""
    (folder / "charades_v1").mkdir()
    code = {pair: f"c{i:03d}" for i, pair in enumerate(CHARADES_CLASSES)}
    for part in ("train", "test"):
        lines: list[str] = []
        rows: list[list[object]] = []
        for story, queries in told:
            if (story.split == "test") != (part == "test"):
                continue
            lines += [
                f"{story.video_id} {_seconds(q.start, fps)} {_seconds(q.end, fps)}##{q.sentence}"
                for q in queries
            ]
            actions = ";".join(
                f"{code[a.activity, story.actors[a.actor].object]} "
                f"{_seconds(a.start, fps)} {_seconds(a.end, fps)}"
                for a in story.actions
            )
            script = " ".join(q.sentence for q in queries)
            objects = ";".join(sorted({actor.object for actor in story.actors}))
            length = _seconds(story.frames, fps)
            rows.append(
                [
                    *(story.video_id, "SYNT", "Synthetic", 7, 7, "Yes"),
                    *(script, objects, script, actions, length),
                ]
            )
        text = "".join(f"{line}\n" for line in lines)
        (folder / f"charades_sta_{part}.txt").write_text(text, encoding="utf-8")
        _write_csv(rows, CHARADES_COLUMNS, folder / "charades_v1" / f"Charades_v1_{part}.csv")
    classes = "".join(
        f"{code[activity, kind]} {gerund(activity).capitalize()} a {kind}\n"
        for activity, kind in CHARADES_CLASSES
    )
    (folder / "charades_v1" / "Charades_v1_classes.txt").write_text(classes, encoding="utf-8")


def _activitynet(told: Told, folder: Path, fps: int) -> None:
    names = {"train": "train", "val": "val_1", "test": "val_2"}
    for split in SPLITS:
        videos = {
            story.video_id: {
                "duration": story.frames / fps,
                "timestamps": [[q.start / fps, q.end / fps] for q in queries],
                "sentences": [q.sentence for q in queries],
            }
            for story, queries in told
            if story.split == split
        }
        (folder / f"{names[split]}.json").write_text(json.dumps(videos), encoding="utf-8")


def _tacos(told: Told, folder: Path, fps: int) -> None:
    """Both published versions, with the same queries, and the join of their durations."""
    meta: list[list[object]] = []
    for split in SPLITS:
        videos = {}
        lines = []
        for story, queries in told:
            if story.split != split:
                continue
            name = f"{story.video_id}.avi"
            videos[name] = {
                "timestamps": [[q.start, q.end] for q in queries],
                "sentences": [q.sentence for q in queries],
                "fps": fps,
                "num_frames": story.frames,
            }
            segments: dict[tuple[int, int], list[str]] = {}
            for q in queries:
                segments.setdefault((q.start, q.end), []).append(q.sentence)
            lines += [
                f"{name}_{start}_{end}:{'#'.join(sentences)}\n"
                for (start, end), sentences in segments.items()
            ]
            seconds = _seconds(story.frames, fps)
            meta.append(
                [story.video_id, split, fps, story.frames, seconds, story.frames + 16, fps]
            )
        (folder / f"2dtan_{split}.json").write_text(json.dumps(videos), encoding="utf-8")
        (folder / f"tall_{split}.txt").write_text("".join(lines), encoding="utf-8")
    _write_csv(meta, TACOS_META_COLUMNS, folder / "video_meta.csv")
