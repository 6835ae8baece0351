"""`mktn extract-video`: the videos of the pairs to clip features, one Zarr part a job.

Part k of N takes every N-th video, sorted by id, from the k-th on. A video that cannot be used is
recorded with its error, and the others go on. A job that was interrupted goes on where it stopped.
"""

import argparse
import contextlib
import dataclasses
import signal
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import av
import torch
from tqdm import tqdm

import mktn
from mktn.cards import take_cards
from mktn.config import fill, read_settings
from mktn.errors import UserError
from mktn.features.backbones import BACKBONES, BackboneDescription, load
from mktn.features.decoding import decode
from mktn.features.inference import DType, Extracted, Inference, extracted
from mktn.features.pairs_file import durations_s, read_pairs_file
from mktn.features.sharded import Compressor
from mktn.features.video import FRAME_RATE_POLICY
from mktn.features.video_backbone import VideoBackbone
from mktn.features.video_files import VideoReader, find_videos, other_cut, stamp
from mktn.features.writers import PartWriter
from mktn.provenance import code_sha256

# What the numbers of a part depend on.
FEATURE_CODE = (
    *("features/video.py", "features/pictures.py", "features/preprocessing.py"),
    *("features/video_backbone.py", "features/backbones.py", "features/published_weights.py"),
    *("features/c3d.py", "features/i3d.py", "features/torchvision_backbones.py"),
    "features/inference.py",
)


@dataclasses.dataclass(frozen=True)
class ExtractSettings:
    """batch in clips; threads of torch; device: auto takes a GPU where there is one.

    decode_workers: processes that decode, 0 for none; timeout_s: how long one may go without
    decoding a frame; dtype that autocast computes in; patch_grid: rows and columns of patches in
    place of those beside the weights; log_every: videos between two lines of a log that is no
    terminal.
    """

    batch: int = 16
    threads: int = 1
    device: Literal["auto", "cpu", "cuda"] = "auto"
    decode_workers: int = 1
    timeout_s: float = 60.0
    dtype: DType = "float32"
    patch_grid: tuple[int, ...] | None = None
    compressor: Compressor = "none"
    log_every: int = 50

    def __post_init__(self) -> None:
        if self.batch < 1 or self.log_every < 1:
            raise ValueError(f"batch {self.batch} or log_every {self.log_every} is below 1")
        if self.decode_workers < 0 or self.timeout_s <= 0:
            raise ValueError(
                f"decode_workers {self.decode_workers} is below 0 or "
                f"timeout_s {self.timeout_s} not above 0"
            )
        if self.patch_grid is not None and (len(self.patch_grid) != 2 or min(self.patch_grid) < 1):
            raise ValueError(f"patch_grid {self.patch_grid}: expected rows and columns")


def part_of(video_ids: Iterable[str], part: int, parts: int) -> list[str]:
    """The videos of one part: sorted ids, dealt in turn."""
    return sorted(set(video_ids))[part::parts]


def attributes_of(
    description: BackboneDescription, weights: str, settings: ExtractSettings
) -> dict[str, Any]:
    """What a part says of its numbers: no more than they depend on, so that a part is the same
    to the byte whoever makes it."""
    recipe = description.preprocessing
    return {
        "origin": "extracted",
        "backbone": description.backbone,
        "width": description.width,
        "weights_name": weights,
        "weights_sha256": description.weights_sha256,
        "clip": recipe.clip,
        "stride": recipe.stride,
        "fps": recipe.fps,
        "frame_rate_policy": FRAME_RATE_POLICY,
        "patches": list(description.patch_grid),
        "preprocessing": dataclasses.asdict(recipe),
        "dtype": settings.dtype,
        "unverified": list(description.training.get("unverified", [])),
        "code_version": mktn.__version__,
        "code_sha256": code_sha256(*FEATURE_CODE),
    }


def extract_part(
    videos: Path,
    annotated_s: Mapping[str, float],
    backbone: VideoBackbone,
    description: BackboneDescription,
    weights: str,
    out: Path,
    part: int,
    parts: int,
    settings: ExtractSettings,
) -> tuple[int, dict[str, str]]:
    """Write part `part` of `parts`: (its clips, video_id -> why it was left out).

    annotated_s: the durations of all videos of the pairs, seconds. weights: their file's name.
    Raises UserError when no video can be used: where none of the pairs' is in the folder, or all
    of the only part fail.
    """
    video_ids = part_of(annotated_s, part, parts)
    files = find_videos(videos, video_ids)
    torch.set_num_threads(settings.threads)
    device = _device(settings.device)
    recipe = description.preprocessing
    inference = Inference(backbone, recipe, device, settings.dtype, settings.batch)
    rows, columns = description.patch_grid
    writer = PartWriter(
        out, part, backbone.feature_dimension, rows * columns, backbone.patch_dimension,
        settings.compressor, attributes_of(description, weights, settings), resumable="videos",
        identity={"videos": video_ids, "batch": settings.batch, "threads": settings.threads,
                  "device": device.type},
        stamps=dict(zip(video_ids, map(stamp, files), strict=True)),
    )  # fmt: skip
    clips, began = 0, time.perf_counter()
    with writer, contextlib.ExitStack() as stack:
        if writer.note:
            print(f"{out}: {writer.note}, {len(writer.done)} videos are there", flush=True)
        todo = [video_id for video_id in video_ids if video_id not in writer.done]
        # Failures are recorded after the first success: where all fail, as in a wrong folder,
        # nothing is kept that a later job would go on from.
        held: list[tuple[str, Extracted]] | None = None if writer.done else []
        events = decode(
            VideoReader(recipe), find_videos(videos, todo), settings.batch,
            settings.decode_workers, settings.timeout_s,
        )  # fmt: skip
        stack.enter_context(contextlib.closing(events))
        bar = stack.enter_context(
            tqdm(total=len(todo), desc="extract", unit="video", disable=None)
        )
        for number, found in extracted(events, inference):
            video_id = todo[number]
            if not found.error:
                cut = other_cut(found.duration_s, annotated_s[video_id])
                found = dataclasses.replace(found, error=cut)
            if found.note:
                print(f"note on {video_id}: {found.note}", flush=True)
            if found.error and held is not None:
                held.append((video_id, found))
            else:
                for name, value in [*(held or []), (video_id, found)]:
                    _record(writer, name, value)
                held = None
            clips += 0 if found.error else len(found.features)
            bar.update()
            if bar.disable and ((number + 1) % settings.log_every == 0 or number + 1 == len(todo)):
                ms = 1e3 * (time.perf_counter() - began) / max(clips, 1)
                print(f"{number + 1}/{len(todo)} videos  {clips} clips  {ms:.1f} ms a clip",
                      flush=True)  # fmt: skip
        if held and parts > 1 and any(find_videos(videos, annotated_s)):
            # Other parts have what this one lacks.
            for name, value in held:
                _record(writer, name, value)
        elif held:
            raise UserError(
                "no video can be used", where=videos,
                found=f"{len(held)} that fail, {held[0][0]}: {held[0][1].error}",
                expected="VIDEO.mp4 of the pairs", do="mend the folder or the files",
            )  # fmt: skip
    records = writer.manifest
    errors = {record["video_id"]: record["error"] for record in records if record["error"]}
    return sum(record["rows"] for record in records), errors


def _record(writer: PartWriter, video_id: str, found: Extracted) -> None:
    if found.error:
        writer.fail(video_id, found.error)
    else:
        writer.append(video_id, found.features, found.patches, found.span_s, found.duration_s)


def _device(name: str) -> torch.device:
    if name != "cpu":
        take_cards()
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("no GPU", where="settings.device", found="cuda", expected="auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """SIGTERM ends the block as an exception does, so that processes and locks are let go."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Inputs and outputs of `mktn extract-video`."""
    parser.add_argument(
        "--videos", type=Path, required=True, help="folder of VIDEO.mp4, .mkv, ..."
    )
    parser.add_argument("--pairs", type=Path, required=True, help="pairs.parquet: which videos")
    parser.add_argument("--backbone", choices=BACKBONES, required=True)
    parser.add_argument(
        "--weights", type=Path, required=True, help="published torch file, or our .safetensors"
    )
    parser.add_argument("--out", type=Path, required=True, help="part-{k}.zarr")
    parser.add_argument("--part", type=int, required=True, help="k, from 0")
    parser.add_argument("--parts", type=int, required=True, help="N, parts in all")
    parser.add_argument("--settings", help="JSON: ExtractSettings")


def run(arguments: argparse.Namespace) -> None:
    """`mktn extract-video`."""
    settings = fill(ExtractSettings, read_settings(arguments.settings))
    if not 0 <= arguments.part < arguments.parts:
        raise UserError(
            "no such part", where="--part", found=arguments.part,
            expected=f"0 to {arguments.parts - 1}",
        )  # fmt: skip
    if not arguments.pairs.is_file():
        raise UserError("missing file", where=arguments.pairs, do="run mktn pairs")
    if not arguments.videos.is_dir():
        raise UserError("no such folder", where=arguments.videos, expected="VIDEO.mp4 files")
    rows_columns = settings.patch_grid
    grid = (rows_columns[0], rows_columns[1]) if rows_columns else None
    backbone, description = load(arguments.weights, arguments.backbone, grid)
    annotated_s = durations_s(read_pairs_file(arguments.pairs, ["video_id", "duration_s"]))
    video_ids = part_of(annotated_s, arguments.part, arguments.parts)
    print(f"torch {torch.__version__}, av {av.__version__}", flush=True)
    with _ended_by_sigterm():
        clips, errors = extract_part(
            arguments.videos, annotated_s, backbone, description, arguments.weights.name,
            arguments.out, arguments.part, arguments.parts, settings,
        )  # fmt: skip
    for video_id, error in errors.items():
        print(f"left out {video_id}: {error}")
    print(
        f"{arguments.out}: {clips} clips of {len(video_ids) - len(errors)} videos, "
        f"{len(errors)} left out"
    )
