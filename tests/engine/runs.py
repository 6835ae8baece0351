"""Small trainings by command line, for the tests of stopping and going on."""

import json
from pathlib import Path
from typing import Any

import polars as pl

from mktn.engine.log_columns import COLUMNS

NAMES = ("pairs.parquet", "groups.parquet", "relations.parquet", "t.zarr", "text.zarr")
OPTIONS = ("pairs", "groups", "relations", "features", "text")
# Columns of log.parquet that are of one process and machine.
MEASURED = [name for name, column in COLUMNS.items() if not column.repeats]
CHECKPOINT = "resume.safetensors"


def settings(**changes: Any) -> dict[str, Any]:
    """Dropout, a learned q and lambda, and a validation that ends the training early."""
    return {
        "source": "synthetic",
        "dataset": "charades",
        "sizes": {"width": 16, "heads": 2, "dropout": 0.1, "feature_dropout": 0.1},
        "losses": {"learnable": True},
        "loader": {"queries": 4},
        "train": {"epochs": 9, "patience": 3, "learning_rate": 1e-2, "gradients_every": 2},
        **changes,
    }


def command(dataset: Path, run: Path, given: dict[str, Any], minutes: float = 60) -> list[str]:
    """Arguments of `mktn` that train on the small dataset."""
    paths = [f"--{o}={dataset / n}" for o, n in zip(OPTIONS, NAMES, strict=True)]
    extra = [f"--run={run}", f"--checkpoint-minutes={minutes}"]
    return ["train", *paths, *extra, f"--settings={json.dumps(given)}"]


def whole(run: Path) -> dict[str, Any]:
    """What a finished run holds, times and memory left out; nothing else may be there."""
    assert names(run) == {"model.safetensors", "config.json", "log.parquet"}
    log = pl.read_parquet(run / "log.parquet").drop(MEASURED)
    held = {name: (run / name).read_bytes() for name in ("model.safetensors", "config.json")}
    return held | {"log": log.to_dict(as_series=False)}


def names(run: Path) -> set[str]:
    """The files of a run's folder, but for what tells its state."""
    return {path.name for path in run.iterdir()} - {"state.json"}
