"""How a command ends when it is told to, and that it ends with the Snakemake that started it.

Snakemake that is killed leaves its jobs behind: they would go on writing what the next Snakemake
makes again. The Snakefile puts its own process id into the environment, and each command ends when
that process does. The shell that stands between does not, so the parent alone tells nothing.
"""

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

ENDS_WITH = "MKTN_ENDS_WITH"
# What a command has to keep its state after SIGTERM; less than others wait for its locks.
GRACE_S = 20.0
POLL_S = 1.0


def end_with_snakemake() -> None:
    """From now on, end this process when the one that the environment names has ended."""
    pid = os.environ.get(ENDS_WITH, "")
    if pid.isdecimal() and int(pid) not in (0, os.getpid()):
        threading.Thread(target=_end_after, args=(int(pid),), daemon=True).start()


def leaving_s() -> float:
    """How long to wait for a lock whose holder may be on its way out, seconds.

    Snakemake that was killed has left jobs that end, and the next one starts them again.
    """
    return GRACE_S + 10 if os.environ.get(ENDS_WITH) else 0.0


def _end_after(pid: int) -> None:
    _wait_for_end(pid)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os.kill(os.getpid(), signal.SIGKILL)


def _wait_for_end(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):  # not Linux, or an old one
        while is_alive(pid):
            time.sleep(POLL_S)
        return
    select.select([descriptor], [], [])


def is_alive(pid: int) -> bool:
    """Whether a process of this machine has the id `pid` and has not ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:  # one that has ended keeps its id until its parent has looked
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (OSError, IndexError, UnicodeDecodeError):
        return True
    return state not in ("Z", "X")


@contextlib.contextmanager
def sigterm_raises() -> Iterator[None]:
    """SIGTERM ends the block as an exception does, so that nothing half written is left.

    A second one ends the process at once. Where another handler stands, that is left to it.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise SystemExit(128 + number)

    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def flush_or_drop(stream: str) -> OSError | None:
    """Flush `sys.stdout` or `sys.stderr`; where that fails, drop what it holds and say why.

    Python would try it again at its end, and end with a status of its own.
    """
    file = getattr(sys, stream)
    try:
        file.flush()
    except OSError as error:
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, file.fileno())
            os.close(null)
        return error
    return None
