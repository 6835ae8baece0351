"""The most memory that is held between two moments, of a GPU or of this process.

On a CPU it is the peak resident set. (Not `ru_maxrss`: it cannot be reset, and a process inherits
it from the one that starts it.)
"""

import ctypes
from pathlib import Path

import torch

from mktn.errors import UserError


def reset_peak(device: torch.device) -> int:
    """Let the peak start from what is held now, and return that, in bytes.

    Raises UserError where the system cannot tell: a CPU needs Linux with glibc.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        return int(torch.cuda.memory_allocated(device))
    # Memory that is freed and still resident would hide as much of what is measured.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        raise UserError("peak memory cannot be measured", expected="Linux with glibc, or a GPU")
    trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError as error:
        raise UserError(
            "peak memory cannot be measured", found=error, expected="Linux, or a GPU"
        ) from error
    return _status("VmRSS")


def peak(device: torch.device) -> int:
    """The most bytes that were held since `reset_peak`."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return int(torch.cuda.max_memory_allocated(device))
    return _status("VmHWM")


def _status(name: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise UserError("peak memory cannot be measured", found=f"no {name} in /proc/self/status")
