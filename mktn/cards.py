"""Which GPU a process takes on a machine that it shares with others of its kind."""

import functools
import os
import subprocess
import tempfile
from pathlib import Path

from mktn.files import lock

_held: list[int] = []  # descriptors of locks, until the process ends


@functools.cache
def cards() -> tuple[str, ...]:
    """Names of the GPUs that this process may take, as CUDA_VISIBLE_DEVICES has them.

    Without that variable all that the driver lists; empty where there is none. Loads no CUDA.
    """
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        names = given.split(",")
        ends = next((i for i, name in enumerate(names) if name.strip() in ("", "-1")), len(names))
        return tuple(name.strip() for name in names[:ends])
    try:
        command = ["nvidia-smi", "--list-gpus"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return ()
    count = sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
    return tuple(str(number) for number in range(count))


def take_cards(count: int = 1) -> None:
    """Take GPUs that no other process of this user's steps holds, and see no others.

    To be called before CUDA is. Processes that are started afterwards see them too. Nothing
    where there is one GPU or none, where a scheduler or torchrun gave the process its own, and
    where too many are held: then they are shared, as before.
    """
    distributed = "LOCAL_RANK" in os.environ or "SLURM_JOB_ID" in os.environ
    if _held or distributed or len(cards()) < 2:
        return
    taken: dict[str, int] = {}
    for name in cards():
        path = Path(tempfile.gettempdir()) / f"mktn-card-{os.getuid()}-{name.replace('/', '_')}"
        descriptor = lock(path, wait=False)
        if descriptor is not None:
            taken[name] = descriptor
        if len(taken) == count:
            _held.extend(taken.values())
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(taken)
            return
    for descriptor in taken.values():
        os.close(descriptor)
