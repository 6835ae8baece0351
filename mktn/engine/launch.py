"""Several processes of this machine, started as torchrun starts them and reported in one line."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from torch.distributed import TCPStore

from mktn.engine.distributed import ERROR_FILE, LAUNCHED
from mktn.errors import UserError

GRACE_S = 10.0  # in which the others notice that one is gone
POLL_S = 0.05
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)


def launch(processes: int, arguments: list[str]) -> None:
    """Run `mktn` with these arguments in several processes of this machine, until all are done.

    Each gets torchrun's environment. Signals are handed on. When one fails the others end too,
    in ten seconds at the latest, and all end where this process does. Raises UserError with the
    line of a process that raised it; SystemExit with a status otherwise, after a line on why.
    """
    # The processes meet at a store of this one, so that no port has to be guessed.
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{rank}.json" for rank in range(processes)]
        running: list[subprocess.Popen[bytes]] = []
        try:
            with _handing_on(running):
                for rank, file in enumerate(files):
                    given = {
                        **{"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes},
                        **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": store.port},
                        **{"TORCHELASTIC_USE_AGENT_STORE": True, ERROR_FILE: file},
                        LAUNCHED: os.getpid(),
                    }
                    environment = os.environ | {name: str(v) for name, v in given.items()}
                    command = [sys.executable, "-m", "mktn", *arguments]
                    # A session of its own: a terminal's Ctrl-C comes from here, and once.
                    running.append(
                        subprocess.Popen(command, env=environment, start_new_session=True)
                    )
                first = _wait(running)
        finally:
            stuck = _end(running)
        if any(process.returncode for process in running):
            _tell([process.returncode for process in running], first, stuck, files)


def _wait(running: list[subprocess.Popen[bytes]]) -> list[int]:
    """Until all are done, or for a while after the first failure; who had failed first."""
    first: list[int] = []
    since = None
    while None in [process.poll() for process in running]:
        failed = [rank for rank, process in enumerate(running) if process.returncode]
        if failed and since is None:
            first, since = failed, time.monotonic()
        if since is not None and time.monotonic() - since > GRACE_S:
            break
        time.sleep(POLL_S)
    return first


def _end(running: list[subprocess.Popen[bytes]]) -> list[int]:
    """End those that are not done, and say which."""
    stuck = [rank for rank, process in enumerate(running) if process.poll() is None]
    for process in running:
        process.kill()  # does nothing where it is done
    for process in running:
        process.wait()
    return stuck


@contextlib.contextmanager
def _handing_on(running: list[subprocess.Popen[bytes]]) -> Iterator[None]:
    def hand_on(number: int, frame: FrameType | None) -> None:
        for process in running:
            process.send_signal(number)

    before = {number: signal.signal(number, hand_on) for number in FORWARDED}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(statuses: list[int], first: list[int], stuck: list[int], files: list[Path]) -> None:
    lines = {rank: line for rank, file in enumerate(files) if (line := _line(file))}
    mistaken = [rank for rank in lines if statuses[rank] == 2]
    if mistaken:
        raise UserError(lines[mistaken[0]])
    if all(status > 128 for status in statuses):  # asked to stop, and the first has said so
        raise SystemExit(statuses[0])
    # Who was ended from outside, then who failed first: the others only missed it. A large
    # process that is killed may be gone for the others before it is gone here.
    ended = [rank for rank, status in enumerate(statuses) if status < 0 and rank not in stuck]
    failed = [rank for rank, status in enumerate(statuses) if status]
    rank = [*ended, *first, *failed][0]
    status = statuses[rank]
    how = f"failed with status {status}"
    if status < 0:
        how = f"was ended by {signal.Signals(-status).name}"
    print(
        f"mktn train: process {rank} of {len(statuses)} {how}, and the others ended with it",
        file=sys.stderr,
        flush=True,
    )
    raise SystemExit(1)


def _line(path: Path) -> str:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["message"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
