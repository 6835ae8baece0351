"""RUN/resume.safetensors: the whole state of a training that is not finished; no pickle.

One file: tensors, and one JSON string with the rest, the identity of the training and the
checksum of it all. It is written beside its place and renamed, so that it is whole or absent.
"""

import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mktn.engine.fit import Training
from mktn.engine.interrupts import Interrupts, Stopped
from mktn.engine.run_config import CHECKPOINT
from mktn.errors import UserError
from mktn.files import written_beside

FORMAT = 1
SHOWN = 4  # differences in a line


class Checkpointer:
    """Writes the state of a training every `minutes` and when it is asked to, and restores it.

    `identity` is what a training must have in common with the one that goes on with it.
    """

    def __init__(
        self, run: Path, identity: Mapping[str, Any], minutes: float, asked: Interrupts
    ) -> None:
        self.path = run / CHECKPOINT
        self.identity, self.asked = flattened(json.loads(json.dumps(identity))), asked
        self.seconds = 60 * minutes
        self._written = time.monotonic()

    def restore(self, training: Training) -> None:
        """Go on where the run's checkpoint stands, and say so; nothing where there is none.

        Raises UserError where it is damaged or of another training.
        """
        if not self.path.exists():
            return
        tensors, values = read(self.path)
        self._check(values)
        try:
            training.restore(tensors, values["training"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise _damaged(self.path, error) from error
        if training.processes.first:
            print(f"goes on at {_place(training)} of {self.path}", file=sys.stderr, flush=True)

    def between(self, training: Training) -> None:
        """Save where it is time or asked for; raises Stopped, after that, where that is asked.

        Where several processes train, what one of them is asked all of them do.
        """
        due = time.monotonic() - self._written >= self.seconds
        wishes = torch.tensor([self.asked.stop or 0, self.asked.save, due], dtype=torch.int32)
        stop, save, due = training.processes.rows(wishes).amax(dim=0).tolist()
        if not (stop or save or due):
            return
        state = training.state()  # raises where a number is none, which is no matter of the disk
        try:
            self._write(training, *state)
        except (OSError, UserError) as error:
            if stop:
                raise
            # A disk that is full for now must not end a training that needs none for now.
            self._written, self.asked.save = time.monotonic(), False
            line = f"{self.path}: not saved at {_place(training)}, the one before stays: {error}"
            if training.processes.first:
                print(line, file=sys.stderr, flush=True)
            return
        if stop:
            by = signal.Signals(stop)
            raise Stopped(
                f"stopped by {by.name} at {_place(training)}, saved in {self.path};"
                " the same command goes on from there",
                by,
            )
        if save:
            self.asked.save = False
            if training.processes.first:
                print(f"saved {_place(training)} in {self.path}", file=sys.stderr, flush=True)

    def _write(
        self, training: Training, tensors: Mapping[str, Tensor], values: Mapping[str, Any]
    ) -> None:
        failed: OSError | UserError | None = None
        if training.processes.first:
            try:
                write(self.path, tensors, {"identity": self.identity, "training": values})
            except (OSError, UserError) as error:
                failed = error
        # None leaves while the first still writes, and all go on or none.
        if training.processes.any(failed is not None):
            raise failed or UserError("the first process could not save", where=self.path)
        self._written = time.monotonic()

    def remove(self) -> None:
        """The run is whole."""
        self.path.unlink(missing_ok=True)

    def _check(self, values: Mapping[str, Any]) -> None:
        found = values.get("identity", {})
        keys = [k for k in {**found, **self.identity} if found.get(k) != self.identity.get(k)]
        if not keys:
            return
        more = f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""
        sides = (
            ", ".join(f"{key} {json.dumps(side.get(key))}" for key in keys[:SHOWN]) + more
            for side in (found, self.identity)
        )
        raise UserError(
            "the checkpoint is of another training",
            where=self.path,
            found=next(sides),
            expected=next(sides),
            do=f"delete {self.path} to train from the start, or train as it was begun",
        )


def write(path: Path, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
    """Write tensors and values, which JSON must hold, in one step; on the disk when it returns.

    Raises OSError where that fails; what stood there before still stands.
    """
    from safetensors.torch import save

    held = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    state = json.dumps(values)
    outer = {"format": FORMAT, "sha256": _sha256(held, state), "state": state}
    with written_beside(path) as beside:
        # Not its save_file, whose errors of a full disk are no OSErrors.
        content = save(held, metadata={"checkpoint": json.dumps(outer)})
        with beside.open("wb") as file:
            file.write(content)
            # A node that dies after the renaming must not leave an empty file under the name.
            file.flush()
            os.fsync(file.fileno())


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors, on the CPU, and values as `write` had them.

    Raises UserError where the file cannot be read, is damaged or of another format.
    """
    from safetensors import SafetensorError, safe_open

    try:
        path.open("rb").close()
    except OSError as error:
        raise UserError(
            "the checkpoint cannot be read",
            where=path,
            found=error.strerror,
            do="make it readable, or delete it to train from the start",
        ) from error
    try:
        with safe_open(path, "pt") as file:
            outer = json.loads((file.metadata() or {})["checkpoint"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if outer["format"] != FORMAT:
            raise UserError(
                "checkpoint written by another version",
                where=path,
                found=f"format {outer['format']!r}",
                expected=f"format {FORMAT}",
                do="delete it to train from the start",
            )
        if outer["sha256"] != _sha256(tensors, outer["state"]):
            raise ValueError("its checksum is another")
        return tensors, json.loads(outer["state"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise _damaged(path, error) from error


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        inner = isinstance(value, Mapping)
        flat |= flattened(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return flat


def _damaged(path: Path, error: Exception) -> UserError:
    return UserError(
        "the checkpoint is damaged",
        where=path,
        found=f"{type(error).__name__}: {error}",
        do=f"delete {path} to train from the start",
    )


def _sha256(tensors: Mapping[str, Tensor], state: str) -> str:
    digest = hashlib.sha256(state.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"\0{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _place(training: Training) -> str:
    return f"epoch {training.progress.epoch}, step {training.progress.step}"
