"""TensorBoard's event files of a training, on request: nothing that is trained depends on them."""

import dataclasses
import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mktn.engine.run_config import RunConfig
from mktn.errors import UserError

EVERY = 20  # steps that are read from the device at once


class EventFiles:
    """Scalars of each step and epoch, and the settings as text, in `folder`.

    The x-axis is the step of the whole training. `step` is the one that is next: a resumed
    training hides what an earlier piece wrote from there on. Of several processes of a training
    (torchrun's RANK) only the first writes. Raises UserError where TensorBoard is not installed
    or the folder cannot be written; a later failure to write is one line, and ends the writing.
    """

    def __init__(self, folder: str | Path, config: RunConfig, step: int = 0) -> None:
        self.folder = folder
        self._held: list[tuple[int, Tensor, list[str]]] = []  # step, (names,), names
        self._writer: Any = None
        if os.environ.get("RANK", "0") != "0":
            return
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UserError(
                "TensorBoard is not installed",
                where="--tensorboard",
                found=error,
                do="install mktn[tensorboard], or leave the option out",
            ) from error
        try:
            self._writer = SummaryWriter(str(folder), purge_step=step)
        except OSError as error:
            raise UserError(
                "event files cannot be written", where=folder, found=error.strerror or error
            ) from error
        text = json.dumps(dataclasses.asdict(config), indent=2)
        self._write(lambda w: w.add_text("settings", f"```json\n{text}\n```", step))

    def step(self, step: int, values: Mapping[str, Tensor | float]) -> None:
        """Scalars of a step: 0-d tensors, which stay on their device for now, and numbers.

        The tensors have the same names in each step.
        """
        if self._writer is None:
            return
        tensors = {name: v.detach() for name, v in values.items() if isinstance(v, Tensor)}
        self._held.append((step, torch.stack([*tensors.values()]), [*tensors]))
        for name, value in values.items():
            if not isinstance(value, Tensor):
                self._scalar(f"step/{name}", value, step)
        if len(self._held) >= EVERY:
            self._flush()

    def epoch(self, step: int, row: Mapping[str, Any]) -> None:
        """A row of log.parquet, as epoch/{column}; `step` is the last of the epoch."""
        self._flush()
        for name, value in row.items():
            if isinstance(value, int | float) and math.isfinite(value):
                self._scalar(f"epoch/{name}", value, step)
        self._write(lambda w: w.flush())

    def close(self) -> None:
        """Write what is held."""
        self._flush()
        self._write(lambda w: w.close())
        self._writer = None

    def _flush(self) -> None:
        if not self._held:
            return
        table = torch.stack([row for _, row, _ in self._held]).tolist()
        for (step, _, names), row in zip(self._held, table, strict=True):
            for name, value in zip(names, row, strict=True):
                self._scalar(f"step/{name}", value, step)
        self._held = []

    def _scalar(self, name: str, value: float, step: int) -> None:
        self._write(lambda writer: writer.add_scalar(name, value, step))

    def _write(self, write: Callable[[Any], None]) -> None:
        if self._writer is None:
            return
        try:
            write(self._writer)
        except OSError as error:
            print(f"{self.folder}: no more event files ({error.strerror})", file=sys.stderr)
            self._writer = None
