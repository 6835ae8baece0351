"""The training loop: one variant on one dataset, selected on validation only."""

import copy
import math
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from mktn.engine.criterion import Criterion
from mktn.engine.gradients import encoder_gradients, warn_of_swamping
from mktn.engine.metrics import temporal_iou
from mktn.engine.predict import autocast, choose_device, predict
from mktn.engine.run_config import RunConfig
from mktn.errors import UserError
from mktn.seeds import named_seed

if TYPE_CHECKING:
    from mktn.grouping.loader import PairData


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
