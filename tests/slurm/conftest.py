"""One cluster for all tests here; tests/slurm/run looks after what it needs."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.slurm.pipeline import STARTED

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Mapping[str, str]]:
    """The environment in which the clients of a running cluster are found."""
    default = ROOT.parent / "shared" / "slurm" / "local-cluster"
    program = os.environ.get("MKTN_LOCAL_CLUSTER", str(default))
    # Its paths have a limit that those of pytest exceed.
    folder = Path(tempfile.mkdtemp(prefix="mktn-slurm-", dir="/tmp"))
    venv = Path(sys.executable).parent
    env = {
        **os.environ,
        "SLURM_LOCAL_DIR": str(folder),
        "SLURM_LOCAL_PORT": str(20000 + os.getpid() % 10000),
        "OMP_NUM_THREADS": "1",
        "PATH": f"{venv}{os.pathsep}{os.environ['PATH']}{os.pathsep}/usr/sbin",
    }
    up = subprocess.run([program, "up"], env=env, text=True, capture_output=True, check=False)
    assert up.returncode == 0, up.stderr
    settings = dict(re.findall(r"export (\w+)=(\S+)", up.stdout))
    env["SLURM_CONF"] = settings["SLURM_CONF"]
    env["PATH"] = settings["PATH"].replace("$PATH", env["PATH"])
    env["MKTN_LOCAL_CLUSTER"] = program
    try:
        yield env
    finally:
        for process in STARTED:
            process.kill()
        subprocess.run([program, "down"], env=env, check=False, capture_output=True)
        kill_all_of(env["SLURM_CONF"])
        shutil.rmtree(folder, ignore_errors=True)


def kill_all_of(slurm_conf: str) -> None:
    """What jobs left running: without cgroups SLURM loses sight of some."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"SLURM_CONF={slurm_conf}\0" in (process / "environ").read_text(errors="replace"):
                os.kill(int(process.name), signal.SIGKILL)
