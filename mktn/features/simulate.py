"""Video features simulated at real size from human labels: `mktn simulate` -> `*-T{T}.zarr`.

The labels stand for a recogniser (`mktn.features.simulated_recogniser`). Charades has action
labels, ActivityNet class segments and annotators' words, TACoS annotators' words alone: each
store's statement says which. Of the pairs file only video ids, durations and splits are read.
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np

import mktn
from mktn.config import fill, read_settings
from mktn.datasets import DATASETS, PARTITIONS
from mktn.errors import UserError
from mktn.features import action_labels, activitynet_labels, tacos_labels
from mktn.features.pairs_file import read_pairs_file, read_videos
from mktn.features.simulated_recogniser import LabelSet, Recogniser, SimulateSettings
from mktn.features.writers import ResampledWriter
from mktn.provenance import code_sha256
from mktn.seeds import named_rng

# What the numbers of a store depend on.
FEATURE_CODE = tuple(
    f"features/{name}.py"
    for name in (
        *("simulate", "simulated_recogniser", "concept_words"),
        *("action_labels", "activitynet_labels", "tacos_labels"),
    )
)


def read_labels(dataset: str, annotations: str | Path, settings: SimulateSettings) -> LabelSet:
    """What there is to see in the videos of a dataset. Raises UserError on a broken label file."""
    if dataset == "charades":
        return action_labels.read_labels(annotations)
    if dataset == "activitynet":
        return activitynet_labels.read_labels(annotations, settings.occurrences)
    version, overlap = settings.tacos_version, settings.overlap
    return tacos_labels.read_labels(annotations, version, settings.occurrences, overlap)


def refuse_other_partitions(pairs: str | Path) -> None:
    """Raises UserError where captions that make ActivityNet's features are also test queries."""
    foreign = sorted(set(read_pairs_file(pairs, ["split"])["split"]) - set(PARTITIONS["standard"]))
    if foreign:
        raise UserError(
            "captions that make the features are also asked",
            where=pairs,
            found=f"the split {foreign[0]}",
            expected=f"the standard partition: {', '.join(PARTITIONS['standard'])}",
            do="give features that are not simulated, or the standard partition",
        )


def simulate(
    dataset: str,
    annotations: str | Path,
    pairs: str | Path,
    out: str | Path,
    settings: SimulateSettings,
) -> tuple[int, int]:
    """Write the store of all videos of `pairs` to `out`: (videos written, videos failed).

    One video is in memory at a time. A video that the label files do not have is recorded in
    the manifest with its error. Raises UserError on a label file that is absent or broken.
    """
    if dataset == "activitynet":
        refuse_other_partitions(pairs)
    labels = read_labels(dataset, annotations, settings)
    recogniser = Recogniser(labels.directions, settings)
    videos = read_videos(pairs)
    attributes = {
        "backbone": "simulated",
        "source": "simulated",
        "dataset": dataset,
        "statement": labels.statement,
        "labels": dict(labels.counts),
        "settings": dataclasses.asdict(settings),
        "code_version": mktn.__version__,
        "code_sha256": code_sha256(*FEATURE_CODE),
    }
    failed = 0
    with ResampledWriter(
        out,
        videos=len(videos),
        frames=settings.frames,
        dimension=settings.dimension,
        patches=settings.patches,
        patch_dimension=settings.dimension if settings.patches else 0,
        compressor=settings.compressor,
        attributes=attributes,
    ) as writer:
        for video_id, duration_s in videos:
            if video_id not in labels.intervals:
                writer.fail(video_id, labels.absent, duration_s)
                failed += 1
                continue
            rng = named_rng(settings.seed, "simulate", "video", video_id)
            intervals = labels.intervals[video_id]
            features = recogniser.see(intervals, duration_s, rng).astype(np.float16)
            patches = features[:, 1:] if settings.patches else None
            writer.append(video_id, features[:, 0], patches, duration_s)
    counts = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in labels.counts.items())
    print(f"labels of {dataset}: {counts}")
    return len(videos) - failed, failed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", required=True, choices=DATASETS)
    parser.add_argument(
        "--annotations",
        type=Path,
        required=True,
        help="folder of the native files and labels, as `mktn download` brings them",
    )
    parser.add_argument("--pairs", type=Path, required=True, help="pairs.parquet: its videos")
    parser.add_argument("--out", type=Path, required=True, help="store of T frames, *-T{T}.zarr")
    parser.add_argument("--settings", help="JSON: seed, frames, noise, missed, sole, ...")


def run(arguments: argparse.Namespace) -> None:
    settings = fill(SimulateSettings, read_settings(arguments.settings))
    written, failed = simulate(
        arguments.dataset, arguments.annotations, arguments.pairs, arguments.out, settings
    )
    print(f"simulated {written} videos, {failed} without labels: {arguments.out}")
