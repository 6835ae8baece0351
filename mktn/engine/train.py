"""`mktn train`: one variant on one dataset, selected on validation only."""

import argparse
import copy
import dataclasses
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from mktn.config import fill, read_settings
from mktn.engine.checkpoint import save
from mktn.engine.criterion import Criterion, LossConfig
from mktn.engine.gradients import encoder_gradients, warn_of_swamping
from mktn.engine.metrics import temporal_iou
from mktn.engine.predict import autocast, choose_device, predict
from mktn.errors import UserError
from mktn.files import written_beside
from mktn.models import VARIANTS, ModelConfig, build
from mktn.seeds import named_seed

if TYPE_CHECKING:
    from mktn.grouping.loader import PairData


DATA_SIZES = ("frames", "dimension", "patch_dimension", "word_dimension", "sentence_dimension")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Optimisation; the paper gives none of it."""

    epochs: int = 8
    learning_rate: float = 6e-4
    warm_up: float = 0.1  # share of the steps
    weight_decay: float = 1e-4
    clip: float = 1.0  # gradient norm
    patience: int = 8  # validations without improvement before training stops
    validate_every: int = 1  # epochs
    gradients_every: int = 5  # epochs between logs of each term's gradient norm; 0: never

    def __post_init__(self) -> None:
        if min(self.epochs, self.patience, self.validate_every) < 1:
            raise ValueError("epochs, patience and validate_every must be 1 or more")
        if self.learning_rate <= 0 or self.clip <= 0 or not 0 <= self.warm_up < 1:
            raise ValueError("learning_rate > 0, clip > 0 and 0 <= warm_up < 1 must hold")


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """The whole of `--settings` of `mktn train`."""

    source: str
    dataset: str
    model: str = "mktn"
    variant: str = "full"
    seed: int = 0
    device: str = "auto"
    threads: int = 1
    sizes: dict[str, Any] = dataclasses.field(default_factory=dict)
    losses: LossConfig = dataclasses.field(default_factory=LossConfig)
    loader: dict[str, Any] = dataclasses.field(default_factory=dict)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ValueError(f"threads {self.threads} is below 1")


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
    sizes = model_config(data, config.sizes)
    torch.manual_seed(named_seed(config.seed, "weights", config.dataset, config.model))
    network = build(config.model, config.variant, sizes)
    criterion = Criterion(config.losses, VARIANTS[config.variant])
    log, selected = fit(network, criterion, data, config)
    record = {
        "source": config.source,
        "dataset": config.dataset,
        "seed": config.seed,
        "loader": dataclasses.asdict(data.config),
        "train": dataclasses.asdict(config.train),
        "features": data.store.attributes,
        "text": data.text.attributes,
        "patches": "store" if sizes.patch_dimension else "virtual",
        "selected": selected,
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
        {
            "frames": data.store.frames,
            "dimension": data.store.dimension,
            "patch_dimension": data.store.patch_dimension,
            "word_dimension": data.text.all_words.shape[1],
            "sentence_dimension": data.text.sentences.shape[1],
            **sizes,
        },
        "settings.sizes",
    )


def fit(
    network: nn.Module, criterion: Criterion, data: "PairData", config: RunConfig
) -> tuple[list[dict[str, Any]], int]:
    """Train in place and leave the weights of the best validation epoch.

    Returns one log row an epoch, and the epoch that was selected.
    """
    settings, device = config.train, choose_device(config.device)
    torch.manual_seed(named_seed(config.seed, "train", config.dataset, config.variant))
    network.to(device)
    criterion.to(device)
    parameters = [*network.parameters(), *criterion.parameters()]
    rest: dict[str, Any] = {"params": [*network.parameters()]}
    # Decay would pull a learned q and lambda to one half.
    learned: dict[str, Any] = {"params": [*criterion.parameters()], "weight_decay": 0.0}
    optimizer = torch.optim.AdamW(
        [rest, learned],
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
    )
    steps = sum(
        len(data.packed("train", epoch=epoch, seed=config.seed))
        for epoch in range(settings.epochs)
    )
    if not steps:
        raise UserError("there is no usable training pair", where="groups.parquet")
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda done: one_cycle(done / steps, settings.warm_up)
    )
    step, best, best_epoch, best_state = 0, -1.0, 0, copy.deepcopy(network.state_dict())
    log: list[dict[str, Any]] = []
    for epoch in range(settings.epochs):
        started = time.perf_counter()
        rows: list[torch.Tensor] = []
        network.train()
        for batch in _progress(data, epoch, config):
            batch = batch.to(device)
            with autocast(device):
                outputs = network(batch)
            terms = criterion(outputs, batch, step / max(steps - 1, 1))
            optimizer.zero_grad(set_to_none=True)
            if not rows and settings.gradients_every and epoch % settings.gradients_every == 0:
                norms = encoder_gradients(terms, network, criterion.config)
                warn_of_swamping(norms, epoch)
            elif not rows:
                norms = {}
            _finite(terms["total"], "loss", terms, epoch, step)
            terms["total"].backward()
            pull = nn.utils.clip_grad_norm_(parameters, settings.clip)
            _finite(pull, "gradient", terms, epoch, step)
            optimizer.step()
            scheduler.step()
            step += 1
            rows.append(torch.stack([value.detach() for value in terms.values()]))
        means = torch.stack(rows).mean(dim=0).tolist()
        row: dict[str, Any] = {"epoch": epoch, **dict(zip(terms, means, strict=True)), **norms}
        row["learning_rate"] = scheduler.get_last_lr()[0]
        last = epoch + 1 == settings.epochs
        row["val_mIoU"] = None
        if last or (epoch + 1) % settings.validate_every == 0:
            row |= validate(network, data, device)
            if row["val_mIoU"] > best:
                best, best_epoch = row["val_mIoU"], epoch
                best_state = copy.deepcopy(network.state_dict())
        row["seconds"] = time.perf_counter() - started
        log.append(row)
        _report(row)
        if (epoch - best_epoch) // settings.validate_every >= settings.patience:
            break
    network.load_state_dict(best_state)
    print(f"selected epoch {best_epoch}: validation mIoU {best:.2f}", file=sys.stderr)
    return log, best_epoch


def one_cycle(progress: float, warm_up: float) -> float:
    """Share of the learning rate: cosine from 1/25 up to 1 at `warm_up`, and down to 0 at 1."""
    if progress < warm_up:
        return 1 - (1 - 1 / 25) * (1 + math.cos(math.pi * progress / warm_up)) / 2
    return (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up))) / 2


def validate(network: nn.Module, data: "PairData", device: torch.device) -> dict[str, float]:
    """Validation mIoU and R@1 at IoU .5 of the best moment, in per cent; they choose the epoch."""
    found = predict(network, data, "val", device=device, n=1, nms_thresholds=[1.0])[1.0]
    if not found.pair_ids:
        raise UserError("there is no usable validation pair", where="groups.parquet")
    target = dict(zip(data.pair_ids, data.span_s, strict=True))
    iou = temporal_iou(found.spans_s[:, 0], np.stack([target[p] for p in found.pair_ids]))
    return {"val_mIoU": 100 * float(iou.mean()), "val_R1_0.5": 100 * float((iou > 0.5).mean())}


def _finite(
    value: torch.Tensor, what: str, terms: dict[str, torch.Tensor], epoch: int, step: int
) -> None:
    if not torch.isfinite(value):
        raise UserError(
            f"the {what} is not finite; nothing was updated",
            where=f"epoch {epoch}, step {step}",
            found={name: term.item() for name, term in terms.items()},
            do="lower train.learning_rate or the weight of the term",
        )


def _progress(data: "PairData", epoch: int, config: RunConfig) -> Any:
    from tqdm import tqdm

    batches = data.batches("train", epoch=epoch, seed=config.seed)
    total = len(data.packed("train", epoch=epoch, seed=config.seed))
    # disable=None: a bar in a terminal, nothing in a log.
    return tqdm(batches, f"epoch {epoch}", total, leave=False, disable=None)


def _report(row: dict[str, Any]) -> None:
    shown = ("total", "span", "csm", "proto", "cl", "val_mIoU", "val_R1_0.5", "seconds")
    values = " ".join(f"{name} {row[name]:.3f}" for name in shown if row.get(name) is not None)
    print(f"epoch {row['epoch']}: {values}", file=sys.stderr, flush=True)


def _write_log(log: list[dict[str, Any]], path: Path) -> None:
    import polars as pl

    names = dict.fromkeys(name for row in log for name in row)
    frame = pl.DataFrame({name: [row.get(name) for row in log] for name in names}, strict=False)
    for name in frame.columns:
        if any(isinstance(v, float) and math.isnan(v) for v in frame[name].to_list()):
            frame = frame.with_columns(pl.col(name).fill_nan(None))
    with written_beside(path) as beside:
        frame.write_parquet(beside)
