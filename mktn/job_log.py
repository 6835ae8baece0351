"""`mktn --log FILE COMMAND`: a job's output goes into its log, and a failure says where it is.

The last line of a log tells how the job ended; a log without it is of a job that was killed. So
failures are found in the logs alone, wherever the jobs ran.
"""

import contextlib
import datetime
import faulthandler
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from mktn.errors import UserError

SHOWN_LINES = 20
TAIL_BYTES = 64 * 1024  # of a log, in which its last lines are looked for
ENDING = re.compile(r"^mktn [a-z-]+: exit status (\d+) after [\d.]+ s, ")
# What could not be written to the log: the disk that it is on may be the full one.
unsaid: list[str] = []
ENDED_BY = (signal.SIGTERM, signal.SIGHUP)


class _Stopped(SystemExit):
    """A signal that nothing else handled; the exit status is that of a shell."""


def split_log(arguments: Sequence[str]) -> tuple[Path | None, list[str]]:
    """The file of a leading `--log FILE` or `--log=FILE`, and the arguments after it."""
    first = arguments[0] if arguments else ""
    if first == "--log" and len(arguments) > 1:
        return Path(arguments[1]), [*arguments[2:]]
    if first.startswith("--log="):
        return Path(first.removeprefix("--log=")), [*arguments[1:]]
    return None, [*arguments]


def run_logged(log: Path, command: str, work: Callable[[], int]) -> int:
    """Do `work` with file descriptors 1 and 2 in `log`; returns its exit status.

    On failure the original stderr gets the last lines of the log and its path: one line where
    the user can mend it (status 2). Exceptions and SystemExit end here; SIGTERM and SIGHUP do
    too, where `work` handles them no other way. Raises UserError where the log cannot be opened.
    """
    started = time.monotonic()
    with _redirected(log) as said, _stopping():
        try:
            status = work()
        except SystemExit as stop:
            status = _status(stop)
        except KeyboardInterrupt:
            status = 128 + signal.SIGINT
            print(f"mktn {command}: interrupted", file=sys.stderr)
        except BaseException:
            status = 1
            traceback.print_exc()
        message = ""
        with contextlib.suppress(OSError):  # a full disk: the status still tells
            _flush()
        if status:
            message = "".join(unsaid) + failure(log, command, status)
        with contextlib.suppress(OSError):
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            seconds = time.monotonic() - started
            ending = f"mktn {command}: exit status {status} after {seconds:.1f} s, {now}"
            print(ending, file=sys.stderr, flush=True)
        if status and is_first_rank():
            with contextlib.suppress(OSError):
                os.write(said, message.encode())
    return status


def failure(log: Path, command: str, status: int) -> str:
    """What a person is told of a failed job: its last line, or its last lines, and the log."""
    lines = last_lines(log, 1 if status == 2 else SHOWN_LINES)
    if status == 2:
        return "".join(f"{line}\n" for line in lines) + f"mktn {command}: the log is {log}\n"
    ended = f"stopped by {_signal_name(status)}" if status > 128 else f"exit status {status}"
    head = f"mktn {command}: {ended}; the end of its log {log}:\n"
    return head + _indented(lines)


def last_lines(log: Path, count: int = SHOWN_LINES) -> list[str]:
    """The last `count` lines of a log that say something, without the one that ends it.

    Undecodable bytes are replaced; a log that cannot be read has none.
    """
    return [line for line in _tail(log) if line.strip() and not ENDING.match(line)][-count:]


def ended(log: Path) -> int | None:
    """The exit status that the log ends with; None where it has none: killed, or running."""
    lines = [line for line in _tail(log) if line.strip()]
    match = ENDING.match(lines[-1]) if lines else None
    return int(match[1]) if match else None


def failed_jobs(folder: Path, since_s: float, *, told: bool) -> Iterator[str]:
    """For each log written since `since_s` (Unix time) whose job failed, what to say of it.

    Jobs that end themselves tell it where they run. `told`: that is the user's own terminal, so
    that only the killed, which say nothing, are left. SLURM's own logs, in `slurm`, are not ours.
    """
    for log in sorted(folder.rglob("*.log")) if folder.is_dir() else []:
        if "slurm" in log.relative_to(folder).parts[:1]:
            continue
        try:
            if log.stat().st_mtime < since_s:
                continue
        except OSError:
            continue
        status = ended(log)
        if status is None:
            head = f"{log}: its job was killed, perhaps for its memory or time; the log's end:\n"
            yield head + _indented(last_lines(log) or ["(empty)"])
        elif status and not told:
            yield failure(log, log.parent.name, status)


def is_first_rank() -> bool:
    """Whether this is the only process of a job, or the first of several (torchrun's RANK)."""
    return os.environ.get("RANK", "0") == "0"


@contextlib.contextmanager
def _redirected(log: Path) -> Iterator[int]:
    """Descriptors 1 and 2 write to `log`; yields a descriptor of what stderr was."""
    fresh = os.O_TRUNC if is_first_rank() else 0
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        # Appending, so that processes that share a log do not write over each other.
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | fresh, 0o666)
    except OSError as error:
        raise UserError(
            "the log cannot be written", where=log, found=error.strerror, expected="a file"
        ) from error
    _flush()
    before = os.dup(1), os.dup(2)  # not inherited: no child holds the terminal
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    if hasattr(sys.stdout, "reconfigure"):
        # As a terminal shows it, and so that a killed job leaves all that it said.
        sys.stdout.reconfigure(line_buffering=True)
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        faulthandler.enable(2)
    try:
        yield before[1]
    finally:
        with contextlib.suppress(OSError):
            _flush()
        for number, kept in enumerate(before, start=1):
            os.dup2(kept, number)
            os.close(kept)


@contextlib.contextmanager
def _stopping() -> Iterator[None]:
    """SIGTERM and SIGHUP end the work like an exception, so that it can say so."""

    def stop(number: int, frame: FrameType | None) -> None:
        if os.getpid() != owner:  # a forked child, which is to die as it always did
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        # Not by print, which may be what the signal came into.
        os.write(2, f"mktn: stopped by {signal.Signals(number).name}\n".encode())
        raise _Stopped(128 + number)

    owner = os.getpid()
    before = {}
    with contextlib.suppress(ValueError):  # not the main thread
        for number in ENDED_BY:
            if signal.getsignal(number) is signal.SIG_DFL:
                before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _status(stop: SystemExit) -> int:
    if stop.code is None:
        return 0
    if isinstance(stop.code, int):
        return stop.code
    print(stop.code, file=sys.stderr)
    return 1


def _signal_name(status: int) -> str:
    try:
        return signal.Signals(status - 128).name
    except ValueError:
        return f"exit status {status}"


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed before we began
            stream.flush()


def _indented(lines: Sequence[str]) -> str:
    return "".join(f"    {line}\n" for line in lines)


def _tail(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - TAIL_BYTES, 0))
            return file.read(TAIL_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
