"""A failed step of the DAG: the user sees what went wrong and where its log is, once."""

import os
import subprocess
import sys
from pathlib import Path

from tests.workflow.test_pipeline import ROOT, TINY

PAIRS = "data/synthetic/pairs/charades/pairs.parquet"
LOG = "logs/synthetic/synthesize/charades.log"


def tiny_dag(folder: Path, commands: Path) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in `folder`; its rules find `mktn` in `commands`."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--cores=1"]
    command += ["--directory", folder, "--configfile", ROOT / "config.yaml", TINY, "--", PAIRS]
    return subprocess.run(
        [str(part) for part in command],
        env={**os.environ, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_a_users_mistake_in_a_step_is_one_line_and_the_path_of_its_log(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    shim = tmp_path / "bin" / "mktn"  # what the step itself refuses
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} -m mktn "$@" --nonsense 1\n')
    shim.chmod(0o755)
    run = tiny_dag(tmp_path, shim.parent)
    assert run.returncode == 1
    said = [line for line in run.stdout.splitlines() if line.startswith("mktn")]
    said = [line for line in said if " is overruled by " not in line]
    assert len(said) == 2, run.stdout
    assert said[0].startswith("mktn: unrecognized arguments: --nonsense 1")
    assert said[1] == f"mktn synthesize: the log is {LOG}"
    assert "Traceback" not in run.stdout
    assert said[0] in (tmp_path / LOG).read_text()


def test_a_killed_step_shows_the_end_of_its_log_once(tmp_path: Path) -> None:
    commands = tmp_path / "bin"
    commands.mkdir()
    shim = commands / "mktn"  # as the kernel does where memory is short
    shim.write_text('#!/bin/sh\necho "rendering 3 of 21" > "$2"\nkill -9 $$\n')
    shim.chmod(0o755)
    run = tiny_dag(tmp_path, commands)
    assert run.returncode == 1
    assert run.stdout.count(f"{LOG}: its job was killed") == 1, run.stdout
    assert run.stdout.count("    rendering 3 of 21") == 1
