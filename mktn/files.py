"""Files are written beside their target and renamed when whole."""

import contextlib
import errno
import fcntl
import functools
import hashlib
import json
import os
import re
import shutil
import socket
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from mktn.errors import UserError
from mktn.process import is_alive
from mktn.system_errors import disk_error


@contextlib.contextmanager
def written_beside(target: str | Path) -> Iterator[Path]:
    """A path beside `target` to write a file or a directory to; renamed when the block succeeds.

    When the block fails nothing is left of it and whatever stood at `target` still stands; what
    writers that were killed left in the folder is removed. A full disk, missing permissions and
    the like raise UserError. Several processes may write one target: each a path of its own.
    """
    target = Path(target)
    # A folder of its own: libraries put temporary files beside what they write.
    folder = _of_this_process(target, "part")
    beside = folder / target.name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_left(target.parent)
        _remove(folder)
        folder.mkdir()
        _open.append(beside)
        yield beside
        _refuse_other_kind(beside, target)
        _put_in_place(beside, target)
        _remove(folder)
    except BaseException as error:
        # Where one block writes several files, the one that was begun is meant.
        meant = beside.exists() or _open == [beside]
        told = disk_error(error, beside if meant else None, beside)
        with contextlib.suppress(OSError):
            _remove(folder)
        if told is None:
            raise
        # The target is what the user knows.
        raise UserError(str(told).replace(f"{folder.name}/", "")) from error
    finally:
        with contextlib.suppress(ValueError):
            _open.remove(beside)


_UMASK = os.umask(0)
os.umask(_UMASK)
_open: list[Path] = []  # what blocks of this process are writing


def _put_in_place(beside: Path, target: Path) -> None:
    """Rename; a folder that stands there is moved away first, and again if another writer's came
    in between."""
    old = _of_this_process(target, "old")
    if beside.is_file():
        beside.chmod(0o666 & ~_UMASK)  # safetensors lets nobody else read what it writes
    while True:
        if target.is_dir() and not target.is_symlink():
            _remove(old)
            with contextlib.suppress(FileNotFoundError):
                target.rename(old)
        try:
            os.replace(beside, target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EISDIR):
                raise
        else:
            _remove(old)
            return


def _refuse_other_kind(beside: Path, target: Path) -> None:
    """Raise UserError where a folder of something else would be replaced, or a file by a folder.

    A folder may be replaced by one of its kind: where it is empty or hidden, where both are Zarr
    stores, and where all it has are names, or suffixes of files, that the new one has as well.
    """
    try:  # asked once: another writer of the same target may move it away at any time
        folder = stat.S_ISDIR(target.stat().st_mode)
        there = list(target.iterdir()) if folder else []
    except FileNotFoundError:
        return
    if folder == beside.is_dir():
        if not folder or target.is_symlink():
            return
        new = list(beside.iterdir())
        names, suffixes = {path.name for path in new}, {path.suffix for path in new} - {""}
        stores = "zarr.json" in names & {path.name for path in there}
        other = [p for p in there if p.name not in names and p.suffix not in suffixes]
        if stores or not other or target.name.startswith("."):
            return
        raise UserError(
            "a folder of something else stands there", where=target, found=other[0].name,
            expected="an empty folder or none", do="remove it yourself, or name another output",
        )  # fmt: skip
    kinds = ("a folder", "a file") if folder else ("a file", "a folder")
    raise UserError(
        f"{kinds[0]} stands where {kinds[1]} is to be written", where=target,
        do="remove it, or name another output",
    )  # fmt: skip


def refuse_file(target: str | Path) -> None:
    """Raise UserError where a file stands in place of a folder that is to be written: at once,
    not when all of it is made."""
    if os.path.lexists(target) and not Path(target).is_dir():
        raise UserError(
            "a file stands where a folder is to be written", where=target,
            do="remove it, or name another output",
        )  # fmt: skip


def _of_this_process(target: Path, ending: str) -> Path:
    return target.with_name(f".{target.name}.{_host()}.{os.getpid()}.{ending}")


@functools.cache
def _host() -> str:
    # Process ids mean something on one machine, and there in one container.
    name, space = socket.gethostname(), ""
    with contextlib.suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")
    whole = hashlib.sha256(f"{name} {space}".encode()).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9-]', '-', name)[:24]}-{whole}"


@functools.cache
def _remove_left(folder: Path) -> None:
    """Remove what processes of this machine that are no more left beside their targets."""
    pattern = re.compile(rf"\.(.+)\.{re.escape(_host())}\.(\d+)\.(part|old)")
    for path in list(folder.iterdir()):
        found = pattern.fullmatch(path.name)
        if found is None or is_alive(int(found[2])):
            continue
        target = folder / found[1]
        with contextlib.suppress(OSError):
            if found[3] == "old" and not target.exists():
                path.rename(target)  # killed between the two renames
            else:
                _remove(path)


def write_text(text: str, target: str | Path) -> None:
    """Write UTF-8 text to `target` in one step."""
    with written_beside(target) as beside:
        beside.write_text(text, encoding="utf-8")


def write_bytes(data: bytes, target: str | Path) -> None:
    """Write `data` to `target` in one step."""
    with written_beside(target) as beside:
        beside.write_bytes(data)


def write_json(value: object, target: str | Path) -> None:
    """Write indented JSON with a last newline to `target` in one step; NaN is refused."""
    write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", target)


def lock(path: str | Path, wait: bool = True, wait_s: float = 0.0) -> int | None:
    """Lock a folder or a file (made where it is missing) against other processes.

    Returns the descriptor that holds it, to be closed with `os.close`, or None where another
    process holds it and `wait` is false, after `wait_s` seconds. A killed process holds nothing.
    Where the file system has no locks, one line on stderr says so and the descriptor holds
    nothing. Other OSErrors are raised.
    """
    path = Path(path)
    # NFS locks exclusively only what is open for writing, which a folder never is: EBADF.
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    descriptor = os.open(path, flags, 0o666)
    until = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            if error.errno in _NO_LOCKS:
                _say_no_locks(path, error.strerror)
                return descriptor
            if error.errno in _HELD and time.monotonic() < until:
                time.sleep(0.1)
                continue
            os.close(descriptor)
            if error.errno not in _HELD:
                raise
            return None
        return descriptor


@contextlib.contextmanager
def locked(path: str | Path, wait: bool = True) -> Iterator[bool]:
    """`lock` for a block; yields whether the block may go on (always, where waited)."""
    descriptor = lock(path, wait)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


_HELD = (errno.EWOULDBLOCK, errno.EAGAIN)
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EBADF)


@functools.cache
def _say_no_locks(path: Path, why: str) -> None:
    print(
        f"{path}: cannot be locked ({why}); let no other process write there meanwhile",
        file=sys.stderr,
    )


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
