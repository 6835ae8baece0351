"""The training loop: one variant on one dataset, selected on validation only."""

import contextlib
import copy
import itertools
import sys
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from mktn.engine import training_state
from mktn.engine.criterion import Criterion
from mktn.engine.distributed import Processes
from mktn.engine.event_files import EventFiles
from mktn.engine.finite import check_finite
from mktn.engine.gradients import encoder_gradients, warn_of_swamping
from mktn.engine.late import LateCheck, Step
from mktn.engine.log_columns import TERMS
from mktn.engine.meter import EpochMeter
from mktn.engine.objective import Objective
from mktn.engine.predict import choose_device
from mktn.engine.run_config import RunConfig
from mktn.engine.schedules import one_cycle, warming
from mktn.engine.training_state import Progress
from mktn.engine.validation import validate
from mktn.errors import UserError
from mktn.seeds import named_seed

if TYPE_CHECKING:
    from mktn.grouping.batch import PairBatch
    from mktn.grouping.loader import PairData


class Training:
    """One training; between any two steps its state can be taken, and restored in another process.

    `run` is the folder that an account of a loss that is not finite goes to. `processes` share
    each batch, and stand at the same place. `late`: whether a loss that is not finite may be heard
    of some steps after, as nothing was updated since; None: on a GPU. Raises UserError where there
    is nothing to train on.
    """

    def __init__(
        self,
        network: nn.Module,
        criterion: Criterion,
        data: "PairData",
        config: RunConfig,
        run: Path | None = None,
        processes: Processes | None = None,
        late: bool | None = None,
    ) -> None:
        self.processes = processes or Processes(choose_device(config.device))
        settings, self.device = config.train, self.processes.device
        self.network, self.criterion, self.data = network, criterion, data
        self.config, self.run_folder = config, run
        # Each process draws its own dropout; the first as if it were alone.
        rank = (self.processes.rank,) if self.processes.rank else ()
        torch.manual_seed(named_seed(config.seed, "train", config.dataset, config.variant, *rank))
        network.to(self.device)
        criterion.to(self.device)
        self.objective = self.processes.parallel(Objective(network, criterion))
        self.parameters = [*network.parameters(), *criterion.parameters()]
        rest: dict[str, Any] = {"params": [*network.parameters()]}
        # Decay would pull a learned q and lambda to one half.
        learned: dict[str, Any] = {"params": [*criterion.parameters()], "weight_decay": 0.0}
        # On a CPU the losses are looked at before each update, and the bits are those of always.
        late = self.device.type == "cuda" if late is None else late
        self.optimizer = torch.optim.AdamW(
            [rest, learned],
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=late or None,
        )
        together = self.processes.size > 1
        self.late = LateCheck(self.optimizer, self.device, together) if late else None
        steps = sum(len(self._packed(epoch)) for epoch in range(settings.epochs))
        if not steps:
            raise UserError("there is no usable training pair", where="groups.parquet")
        self.steps = steps
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer,
            (lambda done: one_cycle(done / steps, settings.warm_up))
            if settings.decay == "one_cycle"
            else (lambda done: warming(done / steps, settings.warm_up)),
        )
        self.progress = Progress()
        self.rows: list[Tensor] = []  # (terms,) a step of the epoch
        self.meter = EpochMeter(self.device, settings.clip)
        self.events: EventFiles | None = None
        self.best_state = copy.deepcopy(network.state_dict())
        self._started = time.perf_counter()

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or validation has stopped improving."""
        settings, at = self.config.train, self.progress
        still = (at.epoch - 1 - at.best_epoch) // settings.validate_every
        return at.epoch >= settings.epochs or still >= settings.patience

    def fit(self, between: Callable[[], None] = lambda: None) -> None:
        """Train to the end and leave the weights of the best validation epoch.

        `between` is called where the state may be taken: after each step and between the batches
        of a validation. It may raise.
        """
        while not self.finished:
            self._epoch(between)
        self.network.load_state_dict(self.best_state)
        at = self.progress
        if self.processes.first:
            print(
                f"selected epoch {at.best_epoch}: validation mIoU {at.best:.2f}", file=sys.stderr
            )

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that the next steps depend on: tensors by name, and the rest as JSON has it.

        All processes take it together; it is the same in each.
        """
        self._hear(wait=True)  # of nothing that is not a number there is a state
        self.progress.elapsed_s = time.perf_counter() - self._started
        return training_state.taken(self)

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Stand where the training stood whose `state` this is, of the same configuration."""
        training_state.restore(self, tensors, values)

    def _packed(self, epoch: int) -> list[np.ndarray]:
        return self.data.packed("train", epoch=epoch, seed=self.config.seed)

    def _batches(self, packed: Iterable[np.ndarray]) -> Generator["PairBatch"]:
        seed, part = self.config.seed, self.processes.part
        read = (self.data.batch(rows, related=True, seed=seed, part=part) for rows in packed)
        return self.data.ahead(read)

    def first_batches(self, count: int) -> Generator["PairBatch"]:
        """The first batches of the epochs from the first on; a training that is profiled."""
        epochs = itertools.chain.from_iterable(map(self._packed, itertools.count()))
        self.network.train()
        return self._batches(itertools.islice(epochs, count))

    def _epoch(self, between: Callable[[], None]) -> None:
        """What is left of the epoch: its steps, its validation and its row of the log."""
        from tqdm import tqdm

        at, settings = self.progress, self.config.train
        self._started = time.perf_counter() - at.elapsed_s
        packed, name = self._packed(at.epoch), f"epoch {at.epoch}"
        self.network.train()
        read = self._batches(packed[at.position :])
        # disable=None: a bar in a terminal, nothing in a log.
        bar = tqdm(
            read,
            name,
            len(packed),
            leave=False,
            initial=at.position,
            disable=None if self.processes.first else True,
        )
        with contextlib.closing(read):  # also where a step raises
            for batch in self.meter.batches(bar):
                self.step(batch)
                between()
        self._hear(wait=True)
        means = torch.stack(self.rows).mean(dim=0).tolist()
        row: dict[str, Any] = {"epoch": at.epoch, **dict(zip(at.terms, means, strict=True))}
        row |= at.norms
        row["learning_rate"] = self.scheduler.get_last_lr()[0]
        row["val_mIoU"] = None
        if at.epoch + 1 == settings.epochs or (at.epoch + 1) % settings.validate_every == 0:
            with self.meter.validating():
                row |= validate(self.network, self.data, self.processes, between)
            if row["val_mIoU"] > at.best:
                at.best, at.best_epoch = row["val_mIoU"], at.epoch
                self.best_state = copy.deepcopy(self.network.state_dict())
        row |= self.meter.row()
        row["seconds"] = time.perf_counter() - self._started
        self.meter = EpochMeter(self.device, settings.clip)
        at.log.append(row)
        if self.events:
            self.events.epoch(at.step - 1, row)
        if self.processes.first:
            _report(row)
        at.epoch, at.position, at.elapsed_s, self.rows = at.epoch + 1, 0, 0.0, []

    def step(self, batch: "PairBatch") -> None:
        """One update; raises NotFinite before it where the loss or the gradient is not finite."""
        at, settings = self.progress, self.config.train
        batch = batch.to(self.device)
        processes = self.processes
        progress = min(1.0, at.step / max(self.steps - 1, 1))  # one that is profiled may go on
        own = self.objective(batch, progress)
        # Of the whole batch, and so the same in each process: none goes on where another stops.
        values = processes.total(torch.stack([value.detach() for value in own.values()]))
        terms = dict(zip(own, values, strict=True))
        self.optimizer.zero_grad(set_to_none=True)
        if not self.rows:
            at.terms, at.norms = list(terms), {}
            if settings.gradients_every and at.epoch % settings.gradients_every == 0:
                weights = self.criterion.weights()
                at.norms = encoder_gradients(own, self.network, weights, processes.total)
                if processes.first:
                    warn_of_swamping(at.norms, at.epoch, at.terms[0])
        if self.late is None:
            self._check_loss(terms, batch, (at.epoch, at.step))
        (own["total"] * processes.size).backward()
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        step = Step(terms, norm, batch, (at.epoch, at.step), progress)
        if self.late is None:
            self._check_gradient(step)
        else:
            self.late.guard(step)
        nn.utils.clip_grads_with_norm_(self.parameters, settings.clip, norm)
        self.optimizer.step()
        self.scheduler.step()
        self.rows.append(values)
        phi = self.criterion.threshold(progress)
        self.meter.step(batch, norm, terms.get("negative_share"), phi)
        if self.events:
            shown: dict[str, Tensor | float] = {**terms, "gradient_norm": norm}
            shown |= {"learning_rate": self.scheduler.get_last_lr()[0]}
            self.events.step(at.step, shown if phi is None else {**shown, "threshold": phi})
        at.step, at.position = at.step + 1, at.position + 1
        self._hear()

    def _check_loss(
        self, terms: Mapping[str, Tensor], batch: "PairBatch", place: tuple[int, int]
    ) -> None:
        where = (*place, self.run_folder)
        check_finite(terms["total"], "loss", terms, batch, where, processes=self.processes)

    def _check_gradient(self, step: Step) -> None:
        where, named = (*step.place, self.run_folder), self._named_parameters()
        check_finite(
            step.gradient_norm, "gradient", step.terms, step.batch, where, named, self.processes
        )

    def _hear(self, wait: bool = False) -> None:
        """Raise UserError of a step that the device has found not finite."""
        step = None if self.late is None else self.late.first_broken(wait)
        if step is None:
            return
        self._check_loss(step.terms, step.batch, step.place)
        # The gradients are of a later step; the parameters are still those of this one.
        self.optimizer.zero_grad(set_to_none=True)
        own = self.objective(step.batch, step.progress)
        (own["total"] * self.processes.size).backward()
        self._check_gradient(step)

    def _named_parameters(self) -> dict[str, nn.Parameter]:
        learned = self.criterion.named_parameters(prefix="criterion")
        return {**dict(self.network.named_parameters()), **dict(learned)}


def fit(
    network: nn.Module, criterion: Criterion, data: "PairData", config: RunConfig
) -> tuple[list[dict[str, Any]], int]:
    """Train in place, without checkpoints, and leave the weights of the best validation epoch.

    Returns one log row an epoch, and the epoch that was selected.
    """
    training = Training(network, criterion, data, config)
    training.fit()
    return training.progress.log, training.progress.best_epoch


def _report(row: dict[str, Any]) -> None:
    shown = ("total", *TERMS, "val_mIoU", "val_R1_0.5", "seconds")
    values = " ".join(f"{name} {row[name]:.3f}" for name in shown if row.get(name) is not None)
    print(f"epoch {row['epoch']}: {values}", file=sys.stderr, flush=True)
