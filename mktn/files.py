"""Files are written beside their target and renamed when whole."""

import contextlib
import errno
import fcntl
import functools
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def written_beside(target: str | Path) -> Iterator[Path]:
    """A path beside `target` to write a file or a directory to; renamed when the block succeeds.

    When the block fails nothing is left of it and whatever stood at `target` still stands.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}.part")
    _remove(beside)
    try:
        yield beside
        if target.is_dir() and not target.is_symlink():
            old = target.with_name(f".{target.name}.{os.getpid()}.old")
            target.rename(old)
            beside.rename(target)
            _remove(old)
        else:
            os.replace(beside, target)
    except BaseException:
        _remove(beside)
        raise


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


def lock(path: str | Path, wait: bool = True) -> int | None:
    """Lock a folder or a file (made where it is missing) against other processes.

    Returns the descriptor that holds it, to be closed with `os.close`, or None where another
    process holds it and `wait` is false. A killed process holds nothing. Where the file system
    has no locks, one line on stderr says so and the descriptor holds nothing. Other OSErrors are
    raised.
    """
    path = Path(path)
    # NFS locks exclusively only what is open for writing, which a folder never is: EBADF.
    flags = os.O_RDONLY if path.is_dir() else os.O_RDWR | os.O_CREAT
    descriptor = os.open(path, flags, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno in _NO_LOCKS:
            _say_no_locks(path, error.strerror)
            return descriptor
        os.close(descriptor)
        if error.errno not in (errno.EWOULDBLOCK, errno.EAGAIN):
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
