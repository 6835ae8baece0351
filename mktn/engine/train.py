"""`mktn train`: train one variant on one dataset and write the run."""

import argparse
import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from mktn.config import fill, read_settings
from mktn.engine.checkpoint import save
from mktn.engine.criterion import Criterion
from mktn.engine.fit import fit
from mktn.engine.run_config import DATA_SIZES, RunConfig
from mktn.errors import UserError
from mktn.models import VARIANTS, ModelConfig, build
from mktn.seeds import named_seed

if TYPE_CHECKING:
    from mktn.grouping.loader import PairData


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `mktn train`."""
    parser.add_argument("--pairs", required=True, help="pairs.parquet")
    parser.add_argument("--groups", required=True, help="groups.parquet")
    parser.add_argument("--relations", required=True, help="relations.parquet")
    parser.add_argument("--features", required=True, help="{backbone}-T{T}.zarr")
    parser.add_argument("--text", required=True, help="text store of the same pairs")
    parser.add_argument("--run", required=True, help="output: the run's folder")
    parser.add_argument(
        "--settings", required=True, help="JSON, or a YAML or JSON file: RunConfig"
    )


def run(arguments: argparse.Namespace) -> None:
    """Train, and write model.safetensors, config.json and log.parquet into the run's folder."""
    from mktn.grouping.loader import LoaderConfig, PairData

    config = fill(RunConfig, read_settings(arguments.settings))
    torch.set_num_threads(config.threads)
    if config.variant not in VARIANTS:
        raise UserError("unknown variant", found=repr(config.variant), expected=list(VARIANTS))
    data = PairData(
        arguments.pairs,
        arguments.groups,
        arguments.features,
        arguments.text,
        arguments.relations,
        fill(LoaderConfig, config.loader, "settings.loader"),
    )
    data.check_partition(config.partition)
    data.check_dataset(config.dataset)
    data.check_splits("train", "val")
    sizes = model_config(data, config.sizes)
    torch.manual_seed(named_seed(config.seed, "weights", config.dataset, config.model))
    network = build(config.model, config.variant, sizes)
    criterion = Criterion(config.losses, VARIANTS[config.variant])
    log, selected = fit(network, criterion, data, config)
    record = {
        "source": config.source,
        "dataset": config.dataset,
        "partition": config.partition,
        "seed": config.seed,
        "loader": dataclasses.asdict(data.config),
        "train": dataclasses.asdict(config.train),
        "features": data.store.attributes,
        "text": data.text.attributes,
        "patches": "store" if sizes.patch_dimension else "virtual",
        "selected": selected,
        "rince": criterion.constants(),
        "torch": torch.__version__,
    }
    save(
        arguments.run,
        network,
        model=config.model,
        variant=config.variant,
        config=sizes,
        losses=config.losses,
        record=record,
    )
    _write_log(log, Path(arguments.run) / "log.parquet")


def model_config(data: "PairData", sizes: dict[str, Any]) -> ModelConfig:
    """The sizes of the data and the hyperparameters together."""
    given = sorted(set(DATA_SIZES) & set(sizes))
    if given:
        raise UserError(
            "key follows from the data", where=f"settings.sizes.{given[0]}", do="leave it out"
        )
    return fill(
        ModelConfig,
        {**data.sizes(), **sizes},
        "settings.sizes",
    )


def _write_log(log: list[dict[str, Any]], path: Path) -> None:
    import polars as pl

    from mktn.parquet import write_parquet

    names = dict.fromkeys(name for row in log for name in row)
    frame = pl.DataFrame({name: [row.get(name) for row in log] for name in names}, strict=False)
    for name in frame.columns:
        if any(isinstance(v, float) and math.isnan(v) for v in frame[name].to_list()):
            frame = frame.with_columns(pl.col(name).fill_nan(None))
    write_parquet(frame, path)
