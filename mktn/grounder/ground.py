"""`mktn ground`: sentences about one's own videos, answered by a run or a bundle."""

import argparse
import dataclasses
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mktn.datasets.video_ids import VIDEO_SUFFIXES
from mktn.errors import UserError
from mktn.features.store import FeatureStore, ResampledStore
from mktn.files import write_text
from mktn.grounder.answers import Answer, EncodedVideo
from mktn.grounder.clips import cut
from mktn.grounder.export import add_places, places_of
from mktn.grounder.grounder import Grounder
from mktn.grounder.own_video import Resampled
from mktn.grounder.parts import Parts, other_code
from mktn.grounder.timeline import plot, refuse_picture

FORMAT = 1  # of --json
# What features of new videos must have in common with the run's.
SAME = (
    "origin",
    "backbone",
    "width",
    "weights_sha256",
    "clip",
    "stride",
    "preprocessing",
    "preset",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `mktn ground`."""
    parser.add_argument("videos", nargs="+", metavar="VIDEO", help="one, or several")
    parser.add_argument("--model", type=Path, required=True, help="a run's folder, or a bundle")
    parser.add_argument(
        "-q", "--query", action="append", default=[], metavar="SENTENCE",
        help="what is to be found; several are answered together",
    )  # fmt: skip
    parser.add_argument("--top", type=int, default=5, help="moments a sentence (5)")
    parser.add_argument("--nms", type=float, default=0.5, help="IoU of two moments at most (0.5)")
    parser.add_argument(
        "--in-order", action="store_true",
        help="the sentences tell of the video in its order, as annotators' do",
    )  # fmt: skip
    parser.add_argument("--json", metavar="FILE", help="the answers as JSON; - for stdout")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="timeline, .png .svg or .pdf")
    parser.add_argument("--clips", type=Path, metavar="DIR", help="the moments as mp4 files")
    parser.add_argument(
        "--features", type=Path, metavar="DIR",
        help="features of the videos, made as the run's (parts or a T store); VIDEO are their ids",
    )  # fmt: skip
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    add_places(parser)


def run(arguments: argparse.Namespace) -> None:
    """Answer, print a table, and write what is asked for."""
    for name in ("top", "threads"):
        if getattr(arguments, name) < 1:
            raise UserError(
                "value refused", where=f"--{name}", found=getattr(arguments, name), expected=">= 1"
            )
    if not arguments.query:
        raise UserError("no sentence is given", expected="one or more", do='give -q "..."')
    if arguments.plot:
        refuse_picture(arguments.plot)
    grounder = Grounder.load(
        arguments.model, device=arguments.device, threads=arguments.threads,
        places=places_of(arguments), batch=arguments.batch,
    )  # fmt: skip
    if arguments.features is None:
        videos: list[Any] = [_existing(name) for name in arguments.videos]
        videos = [grounder.encode(name) for name in videos]
    else:
        videos = list(_of_features(grounder, arguments.features, arguments.videos))
    answers = grounder.ground(
        videos, arguments.query, n=arguments.top, nms=arguments.nms, in_order=arguments.in_order
    )
    for line in notes(grounder.parts, videos, answers):
        print(f"mktn ground: {line}", file=sys.stderr)
    if arguments.json == "-":
        print(as_json(grounder, videos, answers), end="")
    else:
        print(table(answers, len(videos) > 1), end="")
        if arguments.json:
            write_text(as_json(grounder, videos, answers), arguments.json)
    if arguments.plot:
        plot(videos, answers, arguments.plot)
    if arguments.clips:
        for path in write_clips(videos, answers, arguments.clips):
            print(path, file=sys.stderr if arguments.json == "-" else sys.stdout)


def _existing(name: str) -> str:
    # All of them before the first is seen.
    if Path(name).is_dir():
        suffixes = {path.suffix for path in Path(name).iterdir()}
        found = sorted(suffix for suffix in suffixes if suffix.lower() in VIDEO_SUFFIXES)
        raise UserError(
            "a folder, and no video", where=name, expected="video files",
            do=f"name its videos: {Path(name)}/*{found[0] if found else '.mp4'}",
        )  # fmt: skip
    if not Path(name).is_file():
        raise UserError("no such video", where=name, expected="a video file")
    return name


def _of_features(grounder: Grounder, folder: Path, names: Sequence[str]) -> Iterator[EncodedVideo]:
    """Videos by their ids, or files that are named by them."""
    parts = any(folder.glob("part-*.zarr")) or (folder / "span_s").is_dir()
    store = FeatureStore(folder) if parts else ResampledStore(folder)
    theirs, here = grounder.parts.config["features"], json.loads(json.dumps(store.attributes))
    for key in SAME:
        if theirs.get(key) != here.get(key):
            raise UserError(
                "features of another kind than the run's", where=f"{folder}, {key}",
                found=here.get(key), expected=theirs.get(key), do="make them as the run's",
            )  # fmt: skip
    for name in names:
        path = Path(name)
        file, video_id = (path, path.stem) if path.is_file() else (None, name)
        if isinstance(store, FeatureStore):
            yield grounder.encode_features(store[video_id], name, file)
            continue
        features, patches = store.read([video_id])
        frames = Resampled(
            features[0], None if patches is None else patches[0], store.duration_s[video_id]
        )
        yield grounder.encode_frames(frames, name, file)


def notes(
    parts: Parts, videos: Sequence[EncodedVideo], answers: Sequence[Answer]
) -> Iterator[str]:
    """Lines on what was borne of the videos and not understood of the sentences."""
    yield from other_code(parts.config)
    for video in videos:
        if video.note:
            yield f"{video.name}: {video.note}"
    unknown = list(dict.fromkeys(word for answer in answers for word in answer.unknown))
    if unknown:
        yield f"words without a vector of their own, which are read as noise: {', '.join(unknown)}"
    for number, answer in enumerate(answers, start=1):
        if answer.cut:
            yield f"sentence {number}: only its first {parts.max_words} words are read"


def table(answers: Sequence[Answer], several: bool) -> str:
    """The answers as lines for a terminal; of several videos with the one that fits best."""
    lines = []
    for number, answer in enumerate(answers, start=1):
        lines.append(f"{number}. {answer.sentence}" + (f"  [{answer.video}]" if several else ""))
        lines += [
            f"   {rank:>3}  {m.start_s:8.2f} - {m.end_s:8.2f} s   {m.score:.3f}"
            for rank, m in enumerate(answer.moments, start=1)
        ] or ["        no moment"]
    return "\n".join(lines) + "\n"


def as_json(grounder: Grounder, videos: Sequence[EncodedVideo], answers: Sequence[Answer]) -> str:
    """The answers as indented JSON; seconds are not rounded."""
    config = grounder.parts.config
    value = {
        "format": FORMAT,
        "run": {name: config[name] for name in ("source", "dataset", "model", "variant", "seed")},
        "videos": [{"video": v.name, "duration_s": v.duration_s, "note": v.note} for v in videos],
        "answers": [dataclasses.asdict(answer) for answer in answers],
    }
    return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def write_clips(
    videos: Sequence[EncodedVideo], answers: Sequence[Answer], folder: Path
) -> Iterator[Path]:
    """Cut every moment of the answers out: VIDEO-{sentence}-{rank}.mp4 in `folder`."""
    paths = {video.name: video.path for video in videos}
    for number, answer in enumerate(answers, start=1):
        path = paths[answer.video]
        if path is None:
            raise UserError(
                "no file to cut from", where=answer.video, do="name the video's file as VIDEO"
            )
        stem = re.sub(r"[^\w.-]", "_", path.stem)
        for rank, moment in enumerate(answer.moments, start=1):
            out = folder / f"{stem}-{number}-{rank}.mp4"
            cut(path, moment.start_s, moment.end_s, out)
            yield out
