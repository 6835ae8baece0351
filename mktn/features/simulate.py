"""Video features simulated at real size from the human action labels of Charades.

The labels stand for a recogniser: each labelled action puts its class vector, a verb's plus an
object's, on the frames it covers. Labels are missed and confused, boundaries move, and a
background and noise are added. The query text is never read: of the pairs file only the video
ids and the durations are.
"""

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from mktn.config import fill, read_settings
from mktn.features.action_labels import (
    NO_OBJECT,
    Action,
    ActionClass,
    read_actions,
    read_classes,
)
from mktn.features.pairs_file import read_videos
from mktn.features.writers import ResampledWriter
from mktn.seeds import named_rng

STATEMENT = (
    "simulated from the human action labels of Charades; every Charades-STA span equals an "
    "action interval; a labelled surrogate, not comparable with published numbers"
)


@dataclass(frozen=True)
class SimulateSettings:
    """What the simulated recogniser sees. Norms are relative to class vectors of norm 1."""

    seed: int = 0
    frames: int = 64  # T
    dimension: int = 1024  # D and D_p
    patches: int = 4  # C
    missed: float = 0.1  # probability that an action is not seen
    confused: float = 0.1  # probability that an action is seen as another class
    jitter_s: float = 0.5  # standard deviation of each boundary, seconds
    noise: float = 3.0  # expected norm of the noise of each stored vector
    background: float = 1.0  # expected norm of a video's constant vector
    compressor: Literal["none", "blosc-zstd"] = "none"

    def __post_init__(self) -> None:
        for name in ("frames", "dimension", "patches"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected at least 1")
        for name in ("missed", "confused"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected a probability")
        for name in ("jitter_s", "noise", "background"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} {getattr(self, name)}: expected at least 0")


def class_vectors(classes: Mapping[str, ActionClass], dimension: int, seed: int) -> np.ndarray:
    """Unit class vectors (classes, dimension) float32: verb + object, or the verb alone."""

    def direction(code: str) -> np.ndarray:
        vector = named_rng(seed, "simulate", "class", code).standard_normal(dimension)
        return vector / np.linalg.norm(vector)

    rows = []
    for action_class in classes.values():
        row = direction(action_class.verb)
        if action_class.object != NO_OBJECT:
            row = row + direction(action_class.object)
        rows.append(row / np.linalg.norm(row))
    return np.stack(rows).astype(np.float32)


def coverage(spans_s: np.ndarray, duration_s: float, frames: int) -> np.ndarray:
    """Share of each of `frames` equal bins that each span covers: (n, 2) -> (n, frames)."""
    edges = np.linspace(0.0, duration_s, frames + 1)
    start = np.maximum(spans_s[:, :1], edges[None, :-1])
    end = np.minimum(spans_s[:, 1:], edges[None, 1:])
    return np.clip(end - start, 0.0, None) / (duration_s / frames)


def simulate_video(
    actions: Sequence[Action],
    duration_s: float,
    codes: Sequence[str],
    vectors: np.ndarray,
    settings: SimulateSettings,
    rng: np.random.Generator,
) -> np.ndarray:
    """One video: (frames, 1 + patches, dimension) float32, slot 0 being the global feature.

    `codes` name the rows of `vectors`. Each action lives mainly in one or two patches, where
    its shares sum to 1; the global signal is the sum over the patches. Every draw comes from
    `rng`, so a video does not depend on the others.
    """
    slots, n = settings.patches + 1, len(actions)
    index = {code: row for row, code in enumerate(codes)}
    rows = np.array([index[action.label] for action in actions], dtype=np.int64)
    spans_s = np.array([(a.start_s, a.end_s) for a in actions], dtype=np.float64).reshape(n, 2)
    seen = rng.random(n) >= settings.missed
    swapped = rng.random(n) < settings.confused
    if len(codes) > 1:
        rows = np.where(swapped, (rows + rng.integers(1, len(codes), n)) % len(codes), rows)
    spans_s = np.sort(spans_s + settings.jitter_s * rng.standard_normal((n, 2)), axis=1)
    shares = np.zeros((n, slots))
    shares[:, 0] = 1.0
    for share in shares[:, 1:]:
        share[:] = _patch_shares(settings.patches, rng)
    weights = coverage(spans_s, duration_s, settings.frames) * seen[:, None]  # (n,T)
    spread = np.einsum("nt,nc->tcn", weights, shares).astype(np.float32)
    scale = np.float32(1.0 / np.sqrt(settings.dimension))
    features = rng.standard_normal((settings.frames, slots, settings.dimension), dtype=np.float32)
    features *= np.float32(settings.noise) * scale
    features += spread @ vectors[rows]
    features += (
        np.float32(settings.background)
        * scale
        * rng.standard_normal(settings.dimension, dtype=np.float32)
    )
    return features


def _patch_shares(patches: int, rng: np.random.Generator) -> np.ndarray:
    """Shares of an action over the patches: nine tenths in one or two, the rest anywhere."""
    main = rng.permutation(patches)[: rng.integers(1, 3)]
    parts = rng.uniform(0.3, 0.7, len(main))
    shares = np.full(patches, 0.1 / patches)
    shares[main] += 0.9 * parts / parts.sum()
    return shares


def simulate(
    annotations: str | Path, pairs: str | Path, out: str | Path, settings: SimulateSettings
) -> tuple[int, int]:
    """Write the store of all videos of `pairs` to `out`: (videos written, videos failed).

    A video that the label files do not have is recorded in the manifest with its error.
    """
    directory = Path(annotations) / "charades_v1"
    classes = read_classes(directory)
    actions = read_actions(directory, classes)
    vectors = class_vectors(classes, settings.dimension, settings.seed)
    videos = read_videos(pairs)
    attributes = {
        "backbone": "simulated",
        "source": "simulated",
        "statement": STATEMENT,
        "settings": dataclasses.asdict(settings),
    }
    failed = 0
    codes = list(classes)
    with ResampledWriter(
        out,
        videos=len(videos),
        frames=settings.frames,
        dimension=settings.dimension,
        patches=settings.patches,
        patch_dimension=settings.dimension,
        compressor=settings.compressor,
        attributes=attributes,
    ) as writer:
        for video_id, duration_s in videos:
            if video_id not in actions:
                writer.fail(video_id, "no row in Charades_v1_{train,test}.csv", duration_s)
                failed += 1
                continue
            rng = named_rng(settings.seed, "simulate", "video", video_id)
            features = simulate_video(
                actions[video_id], duration_s, codes, vectors, settings, rng
            ).astype(np.float16)
            writer.append(video_id, features[:, 0], features[:, 1:], duration_s)
    return len(videos) - failed, failed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", required=True, choices=["charades"])
    parser.add_argument(
        "--annotations",
        type=Path,
        required=True,
        help="folder of the native files, with charades_v1/ in it",
    )
    parser.add_argument("--pairs", type=Path, required=True, help="pairs.parquet: its videos")
    parser.add_argument("--out", type=Path, required=True, help="store of T frames, *-T{T}.zarr")
    parser.add_argument("--settings", help="JSON: seed, frames, noise, missed, ...")


def run(arguments: argparse.Namespace) -> None:
    settings = fill(SimulateSettings, read_settings(arguments.settings))
    written, failed = simulate(arguments.annotations, arguments.pairs, arguments.out, settings)
    print(f"simulated {written} videos, {failed} without labels: {arguments.out}")
