"""`state.json` in a run's folder: how far a training is and who does it, for `mktn status`.

It says nothing that a result depends on. Where it cannot be written, one line says so and the
training goes on.
"""

import contextlib
import dataclasses
import json
import math
import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from mktn.config import fill
from mktn.errors import UserError
from mktn.files import write_json

FORMAT = 1
NAME = "state.json"
BEAT_S = 30.0  # seconds between two signs of life within an epoch
SILENT_S = 300.0  # without a sign, or twice an epoch if that is longer: nothing works there

State = Literal["running", "done", "interrupted", "failed"]


@dataclasses.dataclass
class RunState:
    """The contents of state.json. Times are Unix time or durations, both in seconds."""

    state: State
    epochs: int  # at most
    epoch: int = 0  # epochs that are finished
    share: float = 0.0  # of the present epoch's steps
    best: float | None = None  # validation mIoU, per cent
    best_epoch: int | None = None  # from 0
    epoch_s: float | None = None  # mean of the finished epochs
    started: float = 0.0  # by this process
    updated: float = 0.0
    host: str = ""
    boot: str = ""  # changes when the host starts again
    pid: int = 0
    pid_started: str = ""  # another process may have the number later
    slurm_job: str | None = None
    log: str | None = None
    error: str | None = None
    format: int = FORMAT


class StateFile:
    """Writes state.json through a training; as a context manager it says how that ended.

    Of several processes of a training (torchrun's RANK) only the first writes.
    """

    def __init__(self, folder: str | Path, epochs: int) -> None:
        self.path = Path(folder) / NAME
        self.writes = os.environ.get("RANK", "0") == "0"
        self._told = False
        self.state = RunState("running", epochs, started=time.time(), **_here())

    def __enter__(self) -> "StateFile":
        self._write()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.state.state = "done" if error is None else _ending(error)
        if self.state.state == "failed":
            said = (
                str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            )
            self.state.error = " ".join(said.split())[:500]
        self._write()

    def follow(self, log: Sequence[Mapping[str, Any]], share: float) -> None:
        """Tell of the finished epochs, and now and then that the present one goes on.

        `log` holds a row of log.parquet for each finished epoch; of the steps of the present
        one `share` are done. Cheap enough for each step: most calls write nothing.
        """
        state = self.state
        if state.epoch != len(log):
            state.epoch = len(log)
            state.best, state.best_epoch = best_of(log)
            state.epoch_s = sum(row["seconds"] for row in log) / len(log)
        elif time.time() - state.updated < BEAT_S:
            return
        state.share = share
        self._write()

    def _write(self) -> None:
        self.state.updated = time.time()
        if not self.writes:
            return
        try:
            write_json(dataclasses.asdict(self.state), self.path)
        except (OSError, UserError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            if not self._told:  # once; the next time may go well
                print(f"{self.path}: not written ({why}); mktn status", file=sys.stderr)
            self._told = True


def best_of(log: Sequence[Mapping[str, Any]]) -> tuple[float | None, int | None]:
    """The best validation mIoU and its epoch; the first of equals."""
    scores = [(row.get("val_mIoU"), row["epoch"]) for row in log]
    found = [
        (score, -epoch) for score, epoch in scores if score is not None and math.isfinite(score)
    ]
    if not found:
        return None, None
    score, epoch = max(found)
    return float(score), -epoch


def read_state(folder: str | Path) -> RunState | None:
    """What state.json says; None where there is none that this version wrote. Never raises."""
    path = Path(folder) / NAME
    try:
        if not path.is_file():  # reading a pipe would wait
            return None
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            return None
        state = fill(RunState, values)
        times = (state.share, state.started, state.updated, state.epoch_s or 0, state.best or 0)
        return state if all(math.isfinite(number) for number in times) else None
    except (OSError, ValueError, RecursionError, UserError):
        return None


def alive(state: RunState, now: float) -> bool | None:
    """Whether the process works: known on its own host, else None while it gives signs of life."""
    if state.host == socket.gethostname():
        return state.boot == _boot() and state.pid_started == _started(state.pid) != ""
    return None if silence_s(state, now) is None else False


def silence_s(state: RunState, now: float) -> float | None:
    """How long there has been no sign of life, where that is longer than it should be."""
    age = now - state.updated
    return age if age > max(SILENT_S, 2 * (state.epoch_s or 0)) else None


def _ending(error: BaseException) -> State:
    return "interrupted" if isinstance(error, KeyboardInterrupt | SystemExit) else "failed"


def _here() -> dict[str, Any]:
    pid = os.getpid()
    return {
        "host": socket.gethostname(),
        "boot": _boot(),
        "pid": pid,
        "pid_started": _started(pid),
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
        "log": _log(),
    }


def _log() -> str | None:
    """The file that stderr goes to."""
    with contextlib.suppress(OSError):
        path = os.readlink("/proc/self/fd/2")
        return path if os.path.isfile(path) else None
    return None


def _boot() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    return ""


def _started(pid: int) -> str:
    """When the process started, in the kernel's words; empty where there is none."""
    try:
        # The name, in parentheses, may hold anything; a zombie has ended.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return "" if fields[0] in "ZX" else fields[19]
    except FileNotFoundError:
        return "" if Path("/proc/self/stat").exists() else _answers(pid)
    except (OSError, IndexError, ValueError):
        return ""


def _answers(pid: int) -> str:
    """Without /proc: whether there is such a process at all."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return "there"
    except OSError:
        return ""
    return "there"
