"""`mktn extract-video`: the videos of the pairs to clip features, one Zarr part a job.

Part k of N takes every N-th video, sorted by id, from the k-th on. A video that cannot be used is
recorded with its error, and the others go on.
"""

import argparse
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import torch
from tqdm import tqdm

import mktn
from mktn.config import fill, read_settings
from mktn.errors import UserError
from mktn.features.backbones import BACKBONES, BackboneDescription, load
from mktn.features.c3d import C3D
from mktn.features.i3d import I3D
from mktn.features.preprocessing import Preprocessing
from mktn.features.video import VideoError
from mktn.features.writers import Compressor, PartWriter

SUFFIXES = (".mp4", ".mkv", ".webm", ".avi")


@dataclasses.dataclass(frozen=True)
class ExtractSettings:
    """batch in clips; threads of torch; device: auto takes a GPU where there is one.

    log_every: videos between two lines of a log that is no terminal.
    """

    batch: int = 16
    threads: int = 1
    device: Literal["auto", "cpu", "cuda"] = "auto"
    compressor: Compressor = "none"
    log_every: int = 50

    def __post_init__(self) -> None:
        if self.batch < 1 or self.log_every < 1:
            raise ValueError(f"batch {self.batch} or log_every {self.log_every} is below 1")


@dataclasses.dataclass(frozen=True)
class Extracted:
    """features (n,D), patches (n,C,D_p) float16 and span_s (n,2) float32 of one video."""

    features: np.ndarray
    patches: np.ndarray
    span_s: np.ndarray


def video_path(directory: Path, video_id: str) -> Path:
    """The file of a video: its id with the first known suffix that exists, or `.mp4`."""
    candidates = [directory / f"{video_id}{suffix}" for suffix in SUFFIXES]
    return next((path for path in candidates if path.is_file()), candidates[0])


def part_of(video_ids: list[str], part: int, parts: int) -> list[str]:
    """The videos of one part: sorted ids, dealt in turn."""
    return sorted(set(video_ids))[part::parts]


def extract(
    backbone: C3D | I3D, recipe: Preprocessing, path: Path, batch: int, device: torch.device
) -> Extracted:
    """The features of all clips of one video, `batch` clips at a time. Raises VideoError."""
    rows: list[tuple[np.ndarray, np.ndarray]] = []
    spans: list[tuple[float, float]] = []
    for inputs in _batches(recipe, path, batch, spans):
        clips = inputs.to(device).contiguous(memory_format=torch.channels_last_3d)
        with torch.inference_mode():
            values = backbone.features(clips)
        whole, patches = (value.cpu().half().numpy() for value in values)
        if not (np.isfinite(whole).all() and np.isfinite(patches).all()):
            raise VideoError("features are not finite in float16")
        rows.append((whole, patches))
    joined = [np.concatenate(part) for part in zip(*rows, strict=True)]
    return Extracted(joined[0], joined[1], np.asarray(spans, np.float32))


def _batches(
    recipe: Preprocessing, path: Path, batch: int, spans: list[tuple[float, float]]
) -> Iterator[torch.Tensor]:
    held: list[torch.Tensor] = []
    for clip in recipe.clips(path):
        held.append(recipe.to_input(clip.frames))
        spans.append((clip.start_s, clip.end_s))
        if len(held) == batch:
            yield torch.stack(held)
            held = []
    if held:
        yield torch.stack(held)


def extract_part(
    videos: Path,
    video_ids: list[str],
    backbone: C3D | I3D,
    description: BackboneDescription,
    out: Path,
    part: int,
    settings: ExtractSettings,
) -> tuple[int, dict[str, str]]:
    """Write one part: (clips written, video_id -> why it was left out)."""
    torch.set_num_threads(settings.threads)
    device = _device(settings.device)
    backbone = backbone.to(device).to(memory_format=torch.channels_last_3d).eval()
    recipe = description.preprocessing
    rows, columns = description.patch_grid
    attributes = {
        "backbone": description.backbone,
        "width": description.width,
        "weights_sha256": description.weights_sha256,
        "clip": recipe.clip,
        "stride": recipe.stride,
        "fps": recipe.fps,
        "patches": [rows, columns],
        "code_version": mktn.__version__,
    }
    errors: dict[str, str] = {}
    clips, began = 0, time.perf_counter()
    writer = PartWriter(
        out, part, backbone.feature_dimension, rows * columns, backbone.patch_dimension,
        settings.compressor, attributes,
    )  # fmt: skip
    with writer, tqdm(video_ids, desc="extract", unit="video", disable=None) as bar:
        for done, video_id in enumerate(bar, start=1):
            try:
                path = video_path(videos, video_id)
                found = extract(backbone, recipe, path, settings.batch, device)
            except VideoError as error:
                errors[video_id] = str(error)
                writer.fail(video_id, str(error))
            else:
                end_s = float(found.span_s[-1, 1])
                writer.append(video_id, found.features, found.patches, found.span_s, end_s)
                clips += len(found.features)
            if bar.disable and (done % settings.log_every == 0 or done == len(video_ids)):
                ms = 1e3 * (time.perf_counter() - began) / max(clips, 1)
                print(
                    f"{done}/{len(video_ids)} videos  {clips} clips  {ms:.1f} ms a clip",
                    flush=True,
                )
    return clips, errors


def _device(name: str) -> torch.device:
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("no GPU", where="settings.device", found="cuda", expected="auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Inputs and outputs of `mktn extract-video`."""
    parser.add_argument("--videos", type=Path, required=True, help="folder of VIDEO.mp4")
    parser.add_argument("--pairs", type=Path, required=True, help="pairs.parquet: which videos")
    parser.add_argument("--backbone", choices=BACKBONES, required=True)
    parser.add_argument(
        "--weights", type=Path, required=True, help=".safetensors, with its .json beside it"
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
    backbone, description = load(arguments.weights, arguments.backbone)
    listed = pl.read_parquet(arguments.pairs, columns=["video_id"])["video_id"].to_list()
    video_ids = part_of(listed, arguments.part, arguments.parts)
    clips, errors = extract_part(
        arguments.videos, video_ids, backbone, description, arguments.out, arguments.part, settings
    )
    for video_id, error in errors.items():
        print(f"left out {video_id}: {error}")
    print(
        f"{arguments.out}: {clips} clips of {len(video_ids) - len(errors)} videos, "
        f"{len(errors)} left out"
    )
