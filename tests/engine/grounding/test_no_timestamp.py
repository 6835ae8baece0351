"""LCNet's training is the same to the bit whatever the training timestamps are.

Relations, groups and training are made anew by their commands from pairs of which only the
training rows have other spans. Validation keeps its own: the epoch is selected by them.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from mktn.cli import main
from mktn.engine.checkpoint import load
from mktn.engine.criterion import Criterion, LossConfig
from mktn.engine.fit import fit
from mktn.engine.grounding.lcnet import CorrespondenceLoss
from mktn.engine.run_config import RunConfig, TrainConfig
from mktn.engine.train import model_config
from mktn.grouping.loader import LoaderConfig, PairData
from mktn.models import build
from mktn.models.variants import transfer_of
from tests.engine.runs import MEASURED, whole

SIZES = {"width": 16, "heads": 2, "dropout": 0.1, "feature_dropout": 0.1}
LCNET = SIZES | {"cells": 4, "counts": [4], "clip": 3}
TRAIN = {"epochs": 3, "learning_rate": 1e-2, "gradients_every": 1}


def scrambled(pairs: pl.DataFrame) -> pl.DataFrame:
    """The same pairs; each training span is another."""
    rng = np.random.default_rng(0)
    ends = np.sort(rng.random((len(pairs), 2)), axis=1) + np.array([0, 0.01])
    spans_s = ends.clip(max=1) * pairs["duration_s"].to_numpy()[:, None]
    training = pl.col("split") == "train"
    given = {"start_s": spans_s[:, 0], "end_s": spans_s[:, 1]}
    other = pairs.with_columns(
        pl.when(training).then(pl.Series(name, values)).otherwise(pl.col(name)).alias(name)
        for name, values in given.items()
    )
    for name in given:
        changed = (other[name] != pairs[name]).to_numpy()
        assert (changed == (pairs["split"] == "train").to_numpy()).all()
    return other


def run_of(
    source: Path, pairs: pl.DataFrame, folder: Path, model: str, variant: str
) -> dict[str, Any]:
    """Relations, groups and a training of these pairs, each by its command: what it left."""
    folder.mkdir()
    pairs.write_parquet(folder / "pairs.parquet")
    pairs.head(0).with_columns(reason=pl.lit("")).write_parquet(folder / "rejected_pairs.parquet")
    paths = {name: folder / f"{name}.parquet" for name in ("pairs", "relations", "groups")}
    stores = [f"--features={source / 't.zarr'}", f"--text={source / 'text.zarr'}"]
    main(["relate", f"--pairs={paths['pairs']}", stores[1], f"--out={paths['relations']}"])
    given = [f"--{name}={path}" for name, path in paths.items()]
    rejected = folder / "rejected_pairs.parquet", folder / "rejected.parquet"
    main(["group", *given, stores[0], f"--rejected-pairs={rejected[0]}",
          f"--rejected={rejected[1]}", '--settings={"videos": 2}'])  # fmt: skip
    settings = {
        "source": "synthetic",
        "dataset": "charades",
        "model": model,
        "variant": variant,
        "sizes": LCNET if model == "lcnet" else SIZES,
        "loader": {"queries": 8},
        "train": TRAIN,
    }
    run = folder / "run"
    main(["train", *given, *stores, f"--run={run}", f"--settings={json.dumps(settings)}"])
    load(run)  # what was written is read back
    return whole(run)


@pytest.mark.parametrize("variant", ["origin", "plus_mktn"])
def test_scrambled_training_timestamps_change_no_bit(
    small_dataset: Path, tmp_path: Path, variant: str
) -> None:
    pairs = pl.read_parquet(small_dataset / "pairs.parquet")
    as_is = run_of(small_dataset, pairs, tmp_path / "as_is", "lcnet", variant)
    other = run_of(small_dataset, scrambled(pairs), tmp_path / "other", "lcnet", variant)
    assert as_is == other  # the weights and all of the log but times and memory
    for name, column in as_is["log"].items():
        if name in ("rank", "cycle", "val_mIoU"):
            assert None not in column
        if name in ("span", "float", "csm"):
            assert set(column) == {None}


def test_the_same_scrambling_changes_a_training_that_reads_them(
    small_dataset: Path, tmp_path: Path
) -> None:
    pairs = pl.read_parquet(small_dataset / "pairs.parquet")
    as_is = run_of(small_dataset, pairs, tmp_path / "as_is", "mktn", "full")
    other = run_of(small_dataset, scrambled(pairs), tmp_path / "other", "mktn", "full")
    assert as_is["log"]["span"] != other["log"]["span"]


@pytest.mark.parametrize("variant", ["origin", "plus_mktn"])
def test_removed_training_timestamps_change_no_bit(small_dataset: Path, variant: str) -> None:
    names = ("pairs.parquet", "groups.parquet", "t.zarr", "text.zarr", "relations.parquet")
    found = []
    for removed in (False, True):
        data = PairData(*(small_dataset / name for name in names), LoaderConfig(queries=8))
        if removed:
            data.span_s[data.split("train")] = np.nan
        config = RunConfig("synthetic", "charades", "lcnet", variant, train=TrainConfig(epochs=2))
        torch.manual_seed(0)
        network = build("lcnet", variant, model_config(data, LCNET, "lcnet"))
        criterion = Criterion(LossConfig(), transfer_of("lcnet", variant), CorrespondenceLoss())
        log, _ = fit(network, criterion, data, config)
        kept = [{k: v for k, v in row.items() if k not in MEASURED} for row in log]
        found.append((network.state_dict(), kept))
    (weights, log), (others, other_log) = found
    assert log == other_log
    assert all(torch.equal(value, others[name]) for name, value in weights.items())
