"""One run folder has one writer."""

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from mktn.errors import UserError
from mktn.files import lock
from mktn.process import leaving_s

LOCK = "train.lock"


@contextlib.contextmanager
def one_writer(run: Path) -> Iterator[None]:
    """Hold the run's folder, made where it is missing; a killed process holds nothing.

    Raises UserError while another process trains there.
    """
    made = not run.exists()
    run.mkdir(parents=True, exist_ok=True)
    path = run / LOCK
    descriptor = _held(path)
    try:
        os.ftruncate(descriptor, 0)
        holder = {"pid": os.getpid(), "host": socket.gethostname()}
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)
        if made:
            with contextlib.suppress(OSError):  # it holds something
                run.rmdir()


def writer_of(run: Path) -> str:
    """Who trains there, as its lock says: `process 12 on node3`; "" where it does not say."""
    try:
        holder = json.loads((run / LOCK).read_text(encoding="utf-8"))
        return f"process {holder['pid']} on {holder['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _held(path: Path) -> int:
    while True:
        descriptor = lock(path, wait=False, wait_s=leaving_s())
        if descriptor is None:
            raise UserError(
                "another process trains in this folder",
                where=path.parent,
                found=writer_of(path.parent),
                do="wait for it, or end it and run this again",
            )
        # The holder before may have removed the file between its opening and its locking here.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)
