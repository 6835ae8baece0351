"""A failed step of the DAG: the user sees what went wrong and where its log is, once."""

import os
import subprocess
import sys
from pathlib import Path

from tests.workflow.test_pipeline import ROOT, TINY, snakemake

PAIRS = "data/synthetic/pairs/charades/pairs.parquet"
LOG = "logs/synthetic/synthesize/charades.log"


def test_a_users_mistake_in_a_step_is_one_line_and_the_path_of_its_log(tmp_path: Path) -> None:
    refused = "per_dataset={charades: {synthetic: {fps: 1}}}"  # found by the step itself
    run = snakemake(tmp_path, PAIRS, "--config", refused)
    assert run.returncode == 1
    said = [line for line in run.stdout.splitlines() if line.startswith("mktn ")]
    assert len(said) == 2, run.stdout
    assert said[0].startswith("mktn synthesize: settings: value refused, found fps 1")
    assert said[1] == f"mktn synthesize: the log is {LOG}"
    assert "Traceback" not in run.stdout
    assert said[0] in (tmp_path / LOG).read_text()


def test_a_killed_step_shows_the_end_of_its_log_once(tmp_path: Path) -> None:
    commands = tmp_path / "bin"
    commands.mkdir()
    shim = commands / "mktn"  # as the kernel does where memory is short
    shim.write_text('#!/bin/sh\necho "rendering 3 of 21" > "$2"\nkill -9 $$\n')
    shim.chmod(0o755)
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "--cores=1"]
    command += ["--directory", tmp_path, "--configfile", ROOT / "config.yaml", TINY, "--", PAIRS]
    run = subprocess.run(
        [str(part) for part in command],
        env={**os.environ, "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert run.stdout.count(f"{LOG}: its job was killed") == 1, run.stdout
    assert run.stdout.count("    rendering 3 of 21") == 1
