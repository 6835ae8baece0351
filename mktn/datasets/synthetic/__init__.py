"""`mktn synthesize`: a synthetic grounding dataset, rendered and annotated in native formats.

`settings` holds the flavours; `story` says what happens, `narration` and `language` what is
told of it, `motion` and `render` how it looks, `write` how the datasets' own files hold it.
All of it follows from the seed.
"""

import argparse
import hashlib
from pathlib import Path

from mktn.config import fill, read_settings
from mktn.datasets.synthetic.narration import narrate
from mktn.datasets.synthetic.render import encode, render
from mktn.datasets.synthetic.settings import FLAVOURS, SyntheticSettings
from mktn.datasets.synthetic.story import draw_story
from mktn.datasets.synthetic.write import SPLITS, Told, write_annotations
from mktn.errors import UserError
from mktn.files import written_beside
from mktn.parquet import write_parquet
from mktn.seeds import named_rng

__all__ = ["SyntheticSettings", "add_arguments", "run", "synthesize", "tell", "video_ids"]

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `mktn synthesize`."""
    parser.add_argument("--dataset", required=True, choices=sorted(FLAVOURS))
    parser.add_argument("--annotations", required=True, type=Path, help="folder to write")
    parser.add_argument("--videos", required=True, type=Path, help="folder of mp4 files to write")
    parser.add_argument("--actions", required=True, type=Path, help="actions.parquet to write")
    parser.add_argument("--settings", default="{}", help="JSON or a file of SyntheticSettings")


def run(arguments: argparse.Namespace) -> None:
    """Write the annotations, the videos and the table of all actions."""
    settings = fill(SyntheticSettings, read_settings(arguments.settings))
    told = synthesize(
        arguments.dataset, settings, arguments.annotations, arguments.videos, arguments.actions
    )
    frames = sum(story.frames for story, _ in told)
    queries = sum(len(queries) for _, queries in told)
    print(f"{arguments.dataset}: {len(told)} videos, {frames} frames, {queries} queries")


def video_ids(dataset: str, settings: SyntheticSettings) -> dict[str, list[str]]:
    """Video ids of each split, named as the dataset names them.

    For `charades`, `val` holds the ids whose sha256, as one big-endian integer, is divisible
    by 10, and `train` the others of the training file.
    """
    settings = settings.filled(dataset)
    wanted = {split: int(getattr(settings, f"videos_{split}")) for split in SPLITS}
    if dataset == "charades":
        wanted["train"] -= wanted["val"]
        if wanted["train"] < 1:
            raise UserError(
                "no training video is left",
                where="settings.videos_train",
                found=settings.videos_train,
                expected=f"more than videos_val, {settings.videos_val}, which are among them",
            )
    if dataset == "tacos":
        names = iter(f"s{13 + i // 10}-d{21 + i % 10}" for i in range(sum(wanted.values())))
        return {split: [next(names) for _ in range(wanted[split])] for split in SPLITS}
    rng = named_rng(settings.seed, dataset, "video_ids")
    ids: dict[str, list[str]] = {split: [] for split in SPLITS}
    seen: set[str] = set()
    while any(len(ids[split]) < wanted[split] for split in SPLITS):
        length = 5 if dataset == "charades" else 11
        name = "".join(rng.choice(list(LETTERS), length))
        name = name if dataset == "charades" else f"v_{name}"
        split = next(split for split in SPLITS[::-1] if len(ids[split]) < wanted[split])
        if dataset == "charades" and split != "test":
            hashed = int.from_bytes(hashlib.sha256(name.encode()).digest(), "big")
            split = "val" if hashed % 10 == 0 else "train"
        if name not in seen and len(ids[split]) < wanted[split]:
            ids[split].append(name)
            seen.add(name)
    return ids


def tell(dataset: str, settings: SyntheticSettings) -> Told:
    """All stories of a dataset with their queries, split by split; nothing is rendered."""
    settings = settings.filled(dataset)
    told: Told = []
    for split, names in video_ids(dataset, settings).items():
        for name in names:
            story = draw_story(settings, dataset, name, split)
            told.append((story, narrate(story, dataset, settings)))
    return told


def synthesize(
    dataset: str, settings: SyntheticSettings, annotations: Path, videos: Path, actions: Path
) -> Told:
    """Write `annotations` (folder), `videos` (folder of mp4) and `actions` (Parquet).

    Each is written beside its target and renamed when all of them are whole.
    """
    settings = settings.filled(dataset)
    told = tell(dataset, settings)
    with (
        written_beside(annotations) as annotations_part,
        written_beside(videos) as videos_part,
        written_beside(actions) as actions_part,
    ):
        write_annotations(told, dataset, annotations_part, settings.fps)
        _write_actions(told, settings.fps, actions_part)
        videos_part.mkdir()
        for story, _ in told:
            encode(
                render(story, dataset, settings), videos_part / f"{story.video_id}.mp4", settings
            )
    return told


def _write_actions(told: Told, fps: int, path: Path) -> None:
    import polars as pl

    rows = [
        {
            "video_id": story.video_id,
            "split": story.split,
            "actor": action.actor,
            "color": story.actors[action.actor].color,
            "object": story.actors[action.actor].object,
            "x": story.actors[action.actor].x,
            "y": story.actors[action.actor].y,
            "activity": action.activity,
            "start_s": action.start / fps,
            "end_s": action.end / fps,
            "duration_s": story.frames / fps,
        }
        for story, _ in told
        for action in story.actions
    ]
    write_parquet(pl.DataFrame(rows), path)
