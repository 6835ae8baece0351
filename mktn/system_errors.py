"""What the machine refuses, as one line: a full disk, a forbidden folder, too little memory.

Each library that writes for us says it in its own way: OSError with or without a number, a
ValueError of tensorstore, polars' ComputeError, a SafetensorError, torch's RuntimeError.
"""

import errno
import math
import os
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from mktn.errors import UserError

AGAIN = "run the same command again: what stood there stands, and what is whole is not made again"
# number -> what, what to do
_REFUSED = {
    errno.ENOSPC: ("the disk is full", f"make room there, then {AGAIN}"),
    errno.EDQUOT: ("the disk quota is used up", f"remove files or ask for more, then {AGAIN}"),
    errno.EFBIG: ("the file is larger than is allowed", "raise the limit (ulimit -f)"),
    errno.EROFS: ("the file system is read-only", "write elsewhere or mount it for writing"),
    errno.EACCES: ("permission denied", "change its permissions or give another path"),
    errno.EPERM: ("operation not permitted", "change its permissions or give another path"),
    errno.EIO: ("the disk gives an input/output error", f"look after the disk, then {AGAIN}"),
    errno.EEXIST: ("something stands there already", "remove it or give another path"),
    errno.ENOTDIR: ("a file stands where a folder is needed", "remove it or give another path"),
    errno.EISDIR: ("a folder stands where a file is needed", "remove it or give another path"),
    errno.ENAMETOOLONG: ("the name is too long", "give a shorter path"),
    errno.ELOOP: ("links that lead to each other", "remove them or give another path"),
    errno.EMFILE: ("too many open files", "raise the limit (ulimit -n)"),
}
FULL_BYTES = 16e6  # a disk with less may be the one that is full
SOMEWHERE = "standard output or a file"
_ROOM = (errno.ENOSPC, errno.EDQUOT)
_NUMBER = re.compile(r"(?:os error |os_error_code=['\"]|errno[ =]+)(\d+)", re.IGNORECASE)
_QUOTED = re.compile(r"(?:os error |os_error_code=['\"])(\d+)")
_PATH = re.compile(r"""(?:at path|local file|file) ["']([^"']+)["']|\(os error \d+\): (\S+)$""")
_NO_MEMORY = re.compile(
    r"can't allocate memory|cannot allocate memory|CUDA out of memory|CUDA error: out of memory"
    r"|unable to allocate .* for an array|std::bad_alloc",
    re.IGNORECASE,
)
# command -> what makes it need less memory
_LOWER = {
    "train": "loader.queries, groups.queries, loader.memory_gb or sizes.width",
    "evaluate": "loader.queries or loader.memory_gb",
    "diagnose": "loader.queries or loader.memory_gb",
    "pretrain": "pretrain's batch or memory_gb",
    "extract-video": "extract.batch or extract.decode_workers, or take more features.parts",
    "import-features": "nothing: take more features.parts",
    "extract-text": "text.skipthought.batch",
}


def refused(
    error: BaseException, command: str = "", paths: Iterable[str | Path] = ()
) -> UserError | None:
    """The line for an error that the machine gave, None for any other.

    `command` chooses what to lower when memory ran out; paths: what the command reads and writes,
    for a full disk that the error does not name.
    """
    full = [path for path in paths if _free_bytes(path) < FULL_BYTES]
    said = disk_error(error, min(full, key=_free_bytes, default=SOMEWHERE))
    if said is None and _is_of_memory(error):
        lower = _LOWER.get(command, "the sizes in its settings")
        said = UserError(
            "there is not enough memory", found=_first_line(error),
            do=f"lower {lower}, or ask for more memory (resources mem_mb)",
        )  # fmt: skip
    return said


def disk_error(
    error: BaseException, where: str | Path | None = None, begun: Path | None = None
) -> UserError | None:
    """The line for an error of a disk or of permissions, None for any other.

    where: what was being written, unless the error names a path; None for neither. begun: the
    file or folder that has been written so far.
    """
    number = error_number(error)
    path = _path_of(error) or where
    if number not in _REFUSED or path is None:
        return None
    if path == SOMEWHERE and number not in (*_ROOM, errno.EIO):
        return None  # nobody refuses what has no name: a mistake of ours
    what, do = _REFUSED[number]
    room = number in _ROOM and path != SOMEWHERE
    return UserError(
        what, where=path, do=do,
        found=_free(path) if room else "", expected=_wanted(begun) if room and begun else "",
    )  # fmt: skip


def error_number(error: BaseException) -> int | None:
    """The operating system's number of an error, also where a library has put it into words."""
    if isinstance(error, UserError) or not isinstance(error, Exception):
        return None
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    # Not any error that happens to quote another: a bug must stay a traceback.
    modules = ("polars", "safetensors", "pyarrow", "zarr", "h5py", "tensorstore")
    by_library = type(error).__module__.split(".")[0] in modules
    if by_library or isinstance(error, OSError):
        found = _NUMBER.search(str(error))
    elif isinstance(error, ValueError | RuntimeError):  # of libraries without their own
        found = _QUOTED.search(str(error))
    else:
        found = None
    return int(found[1]) if found else None


def _is_of_memory(error: BaseException) -> bool:
    said = isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error))
    return bool(said) or isinstance(error, MemoryError) or error_number(error) == errno.ENOMEM


def _path_of(error: BaseException) -> str:
    name = getattr(error, "filename", None)
    if name:
        return os.fsdecode(name)
    found = _PATH.search(str(error))
    return (found[1] or found[2]) if found else ""


def _free(path: str | Path) -> str:
    free = _free_bytes(path)
    return f"{_megabytes(free)} free" if math.isfinite(free) else ""


def _free_bytes(path: str | Path) -> float:
    folder = Path(path).absolute()
    try:
        # is_dir raises where a folder above may not be looked into.
        while not folder.is_dir() and folder != folder.parent:
            folder = folder.parent
        return shutil.disk_usage(folder).free
    except OSError:
        return math.inf


def _wanted(path: Path) -> str:
    """What is known of the need: more than has been written."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    size = sum(file.stat().st_size for file in files)
    return f"room for more than the {_megabytes(size)} written" if size else ""


def _megabytes(size: float) -> str:
    return f"{size / 1e6:.3g} MB"


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
