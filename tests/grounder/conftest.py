"""A tiny run in the pipeline's own folders, from rendered videos to predictions."""

import functools
import json
import os
from pathlib import Path
from typing import Any

import pytest

import mktn
from mktn.cli import main

DATASET = "charades"
RUN = "runs/synthetic/charades/mktn/full/seed0"
SYNTHESIZE = {"videos_train": 8, "videos_val": 2, "videos_test": 3, "duration_s": 10, "size": 32}
PRETRAIN = {
    "width": 2, "steps": 2, "batch": 4, "preprocessing": {"fps": 8.0, "resize": [32], "crop": 32},
}  # fmt: skip
TEXT = {
    "glove": {"dimension": 8, "epochs": 3},
    "skipthought": {"steps": 2, "dimension": 8, "batch": 4},
    "max_words": 9,
}
TRAIN = {
    "source": "synthetic", "dataset": DATASET, "loader": {"queries": 16},
    "sizes": {"width": 16, "heads": 2, "objects": 2, "phrases": 2, "activities": 2},
    "train": {"epochs": 2, "learning_rate": 1e-2},
}  # fmt: skip
EVALUATE = {
    "source": "synthetic", "dataset": DATASET, "ious": [0.3, 0.5], "table_iou": 0.5,
    "bootstraps": 20, "loader": {"queries": 16},
}  # fmt: skip


def do(line: str, settings: dict[str, Any] | None = None) -> None:
    """Run a command of `mktn` in the working directory."""
    given = [] if settings is None else ["--settings", json.dumps(settings)]
    assert main([*line.split(), *given]) == 0, line


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data/synthetic and a run in runs/synthetic, as the rules lay them out."""
    return _pipeline(tmp_path_factory.getbasetemp())


@functools.cache  # tests/docs has this fixture as well
def _pipeline(base: Path) -> Path:
    folder = base / "pipeline"
    folder.mkdir()
    before = Path.cwd()
    os.chdir(folder)
    data, features = "data/synthetic", f"data/synthetic/features/{DATASET}"
    pairs = f"{data}/pairs/{DATASET}/pairs.parquet"
    groups = f"{data}/groups/{DATASET}"
    text = f"{data}/text/{DATASET}.zarr"
    read = (
        f"--pairs {pairs} --groups {groups}/groups.parquet --features {features}/c3d-T12.zarr"
        f" --text {text}"
    )
    try:
        do(
            f"synthesize --dataset {DATASET} --annotations annotations"
            f" --videos {data}/videos/{DATASET} --actions actions.parquet",
            SYNTHESIZE,
        )
        do(
            f"pairs --dataset {DATASET} --annotations annotations --pairs {pairs}"
            " --rejected rejected.parquet"
        )
        do(
            f"pretrain --actions actions.parquet --videos {data}/videos/{DATASET} --backbone c3d"
            f" --weights {data}/backbones/c3d.safetensors",
            PRETRAIN,
        )
        do(
            f"extract-video --videos {data}/videos/{DATASET} --pairs {pairs} --backbone c3d"
            f" --weights {data}/backbones/c3d.safetensors --out {features}/c3d/part-0.zarr"
            " --part 0 --parts 1",
            {"decode_workers": 0},
        )
        do(
            f"resample --features {features}/c3d --pairs {pairs} --frames 12"
            f" --out {features}/c3d-T12.zarr",
            {"source": "synthetic"},
        )
        do(
            f"extract-text --pairs {pairs} --word-vectors trained"
            f" --models {data}/text_models/{DATASET} --out {text}",
            TEXT,
        )
        do(f"relate --pairs {pairs} --text {text} --out {groups}/relations.parquet")
        do(
            f"group --pairs {pairs} --relations {groups}/relations.parquet"
            f" --features {features}/c3d-T12.zarr --rejected-pairs rejected.parquet"
            f" --groups {groups}/groups.parquet --rejected {groups}/rejected.parquet"
        )
        do(f"train {read} --relations {groups}/relations.parquet --run {RUN}", TRAIN)
        do(
            f"evaluate --run {RUN} {read} --rejected {groups}/rejected.parquet"
            f" --predictions {RUN}/predictions.parquet --metrics {RUN}/metrics.json",
            EVALUATE,
        )
    finally:
        os.chdir(before)
    return folder


@pytest.fixture(scope="session")
def run_folder(pipeline: Path) -> Path:
    """The folder of the tiny run."""
    return pipeline / RUN


@pytest.fixture(scope="session")
def grounder(run_folder: Path) -> "mktn.Grounder":
    """It, loaded."""
    return mktn.Grounder.load(run_folder, device="cpu")


@pytest.fixture(scope="session")
def bundle_folder(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It, exported, far from the pipeline's folders."""
    out = tmp_path_factory.mktemp("exported") / "bundle"
    assert main(["export", str(run_folder), "--out", str(out)]) == 0
    return out


@pytest.fixture(scope="session")
def videos(pipeline: Path) -> list[Path]:
    """The rendered videos, by name."""
    return sorted((pipeline / "data/synthetic/videos" / DATASET).glob("*.mp4"))
