"""Runs of the tiny pipeline, on the cluster and here, and the trainings that run in them."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).parents[2]
PROFILE = ROOT / "workflow" / "profiles" / "slurm"
# What a user changes of the profile, for a cluster as this one: no slurmdbd, and short jobs.
HERE = (
    *("--workflow-profile", str(PROFILE), "--slurm-status-command", "squeue"),
    *("--slurm-init-seconds-before-status-checks", "8", "--latency-wait", "15"),
    *("--max-status-checks-per-second", "1"),
)
T = TypeVar("T")
STARTED: list[subprocess.Popen[str]] = []  # ended with the tests, whatever happens


def snakemake(folder: Path, env: Mapping[str, str], *options: str) -> subprocess.Popen[str]:
    """Start Snakemake on the tiny configuration in `folder`; its output goes to run.out there."""
    tiny, long = (ROOT / "tests" / "workflow" / name for name in ("tiny.yaml", "long.yaml"))
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile"]
    command += ["--directory", folder, "--configfile", ROOT / "config.yaml", tiny, long, *options]
    folder.mkdir(exist_ok=True)
    with (folder / "run.out").open("w") as out:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env=dict(env),
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
        )
    STARTED.append(process)
    return process


def until(found: Callable[[], T | None], seconds: float, what: str) -> T:
    """Wait until `found` gives something; AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (value := found()) is not None:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


@dataclass(frozen=True)
class Job:
    """What SLURM says of one job."""

    fields: Mapping[str, str]

    @property
    def id(self) -> str:
        return self.fields["JobId"]

    @property
    def rule(self) -> str:
        """The comment that the executor gives it: the rule and its wildcards."""
        return self.fields["Comment"]

    @property
    def state(self) -> str:
        return self.fields["JobState"]

    @property
    def seconds(self) -> int:
        """It has run for."""
        hours, minutes, seconds = map(int, self.fields["RunTime"].split(":"))
        return (hours * 60 + minutes) * 60 + seconds

    @property
    def minutes(self) -> int:
        """Its time limit."""
        hours, minutes, _ = self.fields["TimeLimit"].split(":")
        return int(hours) * 60 + int(minutes)

    @property
    def mem_mb(self) -> int:
        match = re.search(r"mem=(\d+)([MG])", self.fields["TRES"])
        assert match
        return int(match[1]) * {"M": 1, "G": 1024}[match[2]]

    @property
    def gpus(self) -> int:
        match = re.search(r"gpu:(\d+)", self.fields.get("TresPerJob", ""))
        return int(match[1]) if match else 0


def records(env: Mapping[str, str], folder: Path, rule: str = "") -> list[Job]:
    """SLURM's records of the jobs submitted from `folder`, oldest first."""
    text = subprocess.check_output(["scontrol", "show", "jobs", "--oneliner"], env=env, text=True)
    jobs = [Job(dict(re.findall(r"(\S+?)=(\S*)", line))) for line in text.splitlines()]
    ours = [job for job in jobs if job.fields.get("WorkDir") == str(folder)]
    return sorted((job for job in ours if rule in job.rule), key=lambda job: int(job.id))


@dataclass(frozen=True)
class Training:
    """A training that runs in a job of the cluster."""

    run: Path
    pid: int
    job: str

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def stopped(self) -> "Training":
        """The training, held: it still runs, and gets no further."""
        self.send(signal.SIGSTOP)
        return self


def trainings(folder: Path) -> Iterator[Training]:
    """The `mktn train` that run in `folder` now, within jobs."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (process / "cmdline").read_text().split("\0")
            variables = (process / "environ").read_text().split("\0")
            if "train" not in arguments or (process / "cwd").readlink() != folder:
                continue
        except (OSError, UnicodeDecodeError):
            continue  # it has ended, or is somebody else's
        job = [v.removeprefix("SLURM_JOB_ID=") for v in variables if v.startswith("SLURM_JOB_ID")]
        if job and "--run" in arguments:
            run = folder / arguments[arguments.index("--run") + 1]
            yield Training(run, int(process.name), job[0])


def caught(
    folder: Path, run: str, snakemake: subprocess.Popen[str], seconds: float = 600
) -> Training:
    """A training that has just written a checkpoint, held in the middle of its work.

    AssertionError where there is none after `seconds`, or `snakemake` has ended before.
    """

    def found() -> Training | None:
        assert snakemake.poll() is None, f"Snakemake has ended before a checkpoint of {run}"
        for training in trainings(folder):
            if training.run == folder / run and (training.run / "resume.safetensors").exists():
                return training.stopped()
        return None

    return until(found, seconds, f"a checkpoint of {run}")
