"""Clip features to T frames a video: the mean over each of T equal time bins of protocol.md."""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mktn.config import fill, read_settings
from mktn.errors import UserError
from mktn.features.pairs_file import durations_s, read_pairs_file
from mktn.features.store import FeatureStore
from mktn.features.writers import Compressor, ResampledWriter
from mktn.limits import LIMITS


@dataclasses.dataclass(frozen=True)
class ResampleSettings:
    """compressor of the store; source: the pipeline's `source`, kept in the attributes."""

    compressor: Compressor = "none"
    source: str = ""


def overlap_weights(span_s: np.ndarray, duration_s: float, frames: int) -> np.ndarray:
    """Weights (T,n) float32 of n rows with span_s (n,2) in T equal bins of [0, duration_s).

    A row weighs the length of its overlap with the bin, each bin's weights sum to one, and a bin
    that no row overlaps takes the row nearest to its centre (the first of equals).
    """
    edges = np.linspace(0.0, duration_s, frames + 1)
    start_s, end_s = span_s.astype(np.float64).T
    last_start = np.maximum(edges[:-1, None], start_s)
    overlap = np.clip(np.minimum(edges[1:, None], end_s) - last_start, 0.0, None)  # (T,n)
    centre = (edges[:-1] + edges[1:])[:, None] / 2
    distance = np.clip(np.maximum(start_s - centre, centre - end_s), 0.0, None)
    nearest = distance == distance.min(1, keepdims=True)
    nearest &= np.cumsum(nearest, 1) == 1
    # Below a microsecond an overlap is the rounding of a float32 time.
    covered = overlap.sum(1, keepdims=True) > 1e-6
    weights = np.where(covered, overlap, nearest)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def overlap_mean(
    features: np.ndarray, span_s: np.ndarray, duration_s: float, frames: int
) -> np.ndarray:
    """(T,...) float32: the mean of features (n,...) in each of T equal bins of the duration.

    span_s (n,2) seconds; the weights are those of `overlap_weights`.
    """
    weights = overlap_weights(span_s, duration_s, frames)
    flat = features.reshape(len(features), -1).astype(np.float32)
    return (weights @ flat).reshape(frames, *features.shape[1:])


def resample(
    store: FeatureStore,
    durations: dict[str, float],
    frames: int,
    out: Path,
    settings: ResampleSettings,
) -> list[str]:
    """Write the T store of the videos in `durations`; gives the videos without features."""
    usable = [name for name in durations if name in store]
    if not usable:
        raise UserError(
            "no video of the pairs has features", where=store.directory,
            found=f"{len(store)} usable videos", do="extract them with mktn extract-video",
        )  # fmt: skip
    first = store[usable[0]]
    patches, patch_dimension = (0, 0) if first.patches is None else first.patches.shape[1:]
    attributes = {**store.attributes}
    attributes["source"] = settings.source or attributes.get("source", "")
    attributes["patch_grid"] = attributes.pop("patches", None)
    failed: list[str] = []
    writer = ResampledWriter(
        out, len(usable), frames, first.features.shape[1], patches, patch_dimension,
        settings.compressor, attributes,
    )  # fmt: skip
    with writer:
        for name, duration in tqdm(durations.items(), desc="resample", unit="video", disable=None):
            if name not in store:
                failed.append(name)
                writer.fail(name, store.errors.get(name, "not extracted"), duration)
                continue
            video = store[name]
            parts = [video.features, *([] if video.patches is None else [video.patches])]
            means = [overlap_mean(part, video.span_s, duration, frames) for part in parts]
            writer.append(name, means[0], means[1] if len(means) > 1 else None, duration)
    return failed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Inputs and outputs of `mktn resample`."""
    parser.add_argument("--features", type=Path, required=True, help="folder of part-*.zarr")
    parser.add_argument("--pairs", type=Path, required=True, help="pairs.parquet: durations in s")
    parser.add_argument("--frames", type=int, required=True, help="T, time bins a video")
    parser.add_argument("--out", type=Path, required=True, help="T store, *-T{T}.zarr")
    parser.add_argument("--settings", help="JSON: compressor, source")


def run(arguments: argparse.Namespace) -> None:
    """`mktn resample`."""
    settings = fill(ResampleSettings, read_settings(arguments.settings))
    least, most = LIMITS["frames"]
    if not least <= arguments.frames <= most:
        raise UserError("value refused", where="--frames", found=arguments.frames,
                        expected=f"{least:g} to {most:g}")  # fmt: skip
    if not arguments.pairs.is_file():
        raise UserError("missing file", where=arguments.pairs, do="run mktn pairs")
    store = FeatureStore(arguments.features)
    durations = durations_s(read_pairs_file(arguments.pairs, ["video_id", "duration_s"]))
    failed = resample(store, durations, arguments.frames, arguments.out, settings)
    print(
        f"{arguments.out}: {len(durations) - len(failed)} videos of {arguments.frames} frames, "
        f"{len(failed)} without features" + (f": {', '.join(failed[:5])}" if failed else "")
    )
