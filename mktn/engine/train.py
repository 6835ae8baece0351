"""`mktn train`: train one variant on one dataset and write the run."""

import argparse
import contextlib
import dataclasses
import sys
from pathlib import Path
from typing import Any

import torch

from mktn.config import fill, read_settings
from mktn.engine.checkpoint import save
from mktn.engine.criterion import Criterion
from mktn.engine.distributed import Processes, joined, started
from mktn.engine.event_files import EventFiles
from mktn.engine.fit import Training
from mktn.engine.grounding import grounding_loss
from mktn.engine.interrupts import Interrupts, Stopped
from mktn.engine.log_columns import COLUMNS
from mktn.engine.resume import Checkpointer
from mktn.engine.run_config import NOT_FINITE, RunConfig, model_config
from mktn.engine.run_identity import run_identity
from mktn.engine.run_lock import one_writer
from mktn.engine.run_state import StateFile
from mktn.errors import UserError
from mktn.models import build, check_variant
from mktn.models.variants import transfer_of
from mktn.seeds import named_seed


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `mktn train`."""
    add_data(parser)
    parser.add_argument("--run", required=True, help="output: the run's folder")
    parser.add_argument(
        "--checkpoint-minutes",
        type=float,
        default=10.0,
        help="between checkpoints of the unfinished run; 0: after each step",
    )
    parser.add_argument(
        "--tensorboard", type=Path, metavar="DIR", help="event files of TensorBoard go there too"
    )
    parser.add_argument(
        "--settings", required=True, help="JSON, or a YAML or JSON file: RunConfig"
    )


def add_data(parser: argparse.ArgumentParser) -> None:
    """Options for the files that a training reads."""
    parser.add_argument("--pairs", required=True, help="pairs.parquet")
    parser.add_argument("--groups", required=True, help="groups.parquet")
    parser.add_argument("--relations", required=True, help="relations.parquet")
    parser.add_argument("--features", required=True, help="{backbone}-T{T}.zarr")
    parser.add_argument("--text", required=True, help="text store of the same pairs")


def run(arguments: argparse.Namespace) -> None:
    """Train, and write model.safetensors, config.json and log.parquet into the run's folder.

    Goes on from the folder's resume.safetensors where there is one. Exit status 128 + the signal
    that stopped it, as 143 for SIGTERM.
    """
    config = fill(RunConfig, read_settings(arguments.settings))
    if not arguments.checkpoint_minutes >= 0:
        raise UserError(
            "value refused",
            where="--checkpoint-minutes",
            found=arguments.checkpoint_minutes,
            expected="a number of at least 0",
        )
    check_variant(config.model, config.variant)
    grounding = grounding_loss(config.model, config.grounding)
    if config.processes > 1 and grounding is not None and not grounding.shares:
        raise UserError(
            "this model is trained by one process: its loss compares all videos of a batch",
            where="settings.processes",
            found=config.processes,
            expected=1,
        )
    if config.processes > 1 and not started():
        from mktn.cards import take_cards
        from mktn.engine.launch import launch

        if config.device != "cpu":
            take_cards(config.processes)
        launch(config.processes, ["train", *_options(arguments)])
        return
    with joined(config.device, config.processes) as processes:
        _train(arguments, config, processes)


def _options(arguments: argparse.Namespace) -> list[str]:
    """The options of this step as they were given, without those of all steps."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_arguments(parser)
    given = {name: value for name, value in vars(arguments).items() if value is not None}
    line = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
    own, _ = parser.parse_known_args(line)
    return [part for part in line if part[2:].split("=")[0].replace("-", "_") in vars(own)]


def begun(
    arguments: argparse.Namespace,
    config: RunConfig,
    folder: Path | None,
    processes: Processes | None = None,
) -> Training:
    """The training of a configuration at its beginning, features where it reads them fastest.

    Raises UserError where the files do not belong together.
    """
    from mktn.grouping.loader import LoaderConfig, PairData

    torch.set_num_threads(config.threads)
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
    sizes = model_config(data, config.sizes, config.model)
    torch.manual_seed(named_seed(config.seed, "weights", config.dataset, config.model))
    network = build(config.model, config.variant, sizes)
    grounding = grounding_loss(config.model, config.grounding)
    criterion = Criterion(config.losses, transfer_of(config.model, config.variant), grounding)
    return Training(network, criterion, data, config, folder, processes)


def _train(arguments: argparse.Namespace, config: RunConfig, processes: Processes) -> None:
    folder = Path(arguments.run)
    training = begun(arguments, config, folder, processes)
    data = training.data
    sizes = model_config(data, config.sizes, config.model)
    identity = run_identity(config, data, sizes)
    writer = one_writer(folder) if processes.first else contextlib.nullcontext()
    with writer, Interrupts() as asked:
        checkpointer = Checkpointer(folder, identity, arguments.checkpoint_minutes, asked)
        processes.wait()  # for the first to hold the folder
        with StateFile(folder, config.train.epochs) as state:
            checkpointer.restore(training)
            said = data.place(training.device)
            if processes.first:
                print(said)
            if arguments.tensorboard:
                step = training.progress.step
                training.events = EventFiles(arguments.tensorboard, config, step)
            _fit(training, state, checkpointer)
            if processes.first:
                _write(training, sizes, folder)
                (folder / NOT_FINITE).unlink(missing_ok=True)
                checkpointer.remove()


def _fit(training: Training, state: StateFile, checkpointer: Checkpointer) -> None:
    at = training.progress
    of_epoch = training.config.train.epochs / training.steps

    def between() -> None:
        state.follow(at.log, min(1.0, at.position * of_epoch))
        checkpointer.between(training)

    try:
        training.fit(between)
    except Stopped as stopped:
        if training.processes.first:
            print(stopped, file=sys.stderr, flush=True)
        sys.exit(stopped.status)
    finally:
        if training.events:
            training.events.close()
    state.follow(at.log, 0.0)


def _write(training: Training, sizes: Any, folder: Path) -> None:
    """The finished run: model.safetensors, config.json and log.parquet."""
    config, data, criterion = training.config, training.data, training.criterion
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
        "selected": training.progress.best_epoch,
        "processes": config.processes,
        "rince": criterion.constants(),
        "grounding": dict(vars(criterion.grounding)),
        "torch": torch.__version__,
    }
    save(
        folder,
        training.network,
        model=config.model,
        variant=config.variant,
        config=sizes,
        losses=config.losses,
        record=record,
    )
    _write_log(training.progress.log, folder / "log.parquet")


def _write_log(log: list[dict[str, Any]], path: Path) -> None:
    import polars as pl
    from polars import selectors as cs

    from mktn.parquet import write_parquet

    # Each column in each run, so that the logs of all variants are one table.
    kinds = {name: pl.Int64 if c.kind is int else pl.Float64 for name, c in COLUMNS.items()}
    values = {name: [row.get(name) for row in log] for name in kinds}
    frame = pl.DataFrame(values, schema=kinds).with_columns(cs.float().fill_nan(None))
    write_parquet(frame, path)
