"""Snakemake on the tiny DAG, started, watched and killed from outside."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mktn.process import is_alive

ROOT = Path(__file__).parents[2]
TABLE = "results/table3.csv"
CONFIGURATION = ("config.yaml", "tests/workflow/tiny.yaml", "tests/workflow/long.yaml")
# Training is to be hit in its middle.
SETTINGS = ("checkpoint_minutes=0",)
# They have times, so that two uninterrupted runs differ in them.
DIFFERS = ("log.parquet", "state.json")
MADE = ("data", "runs", "results")


@dataclass(frozen=True)
class Reference:
    """An uninterrupted run: what it said, file -> SHA-256, rule -> seconds of its slowest job."""

    directory: Path
    said: str
    outputs: dict[str, str]
    rule_s: dict[str, float]

    def command(self, rule: str, about: str) -> str:
        """The shell command of the rule's job that names `about`, as Snakemake has run it."""
        jobs = re.findall(
            rf"^(?:local)?rule {rule}:$.*?^(?:Shell command: )?(?:exec )?(mktn .*?)$",
            self.said,
            re.M | re.S,
        )
        command = next(command for command in jobs if about in command)
        # Told from the reference's folder; the command runs in copies of it elsewhere.
        workflow = ROOT / "workflow"
        return command.replace(os.path.relpath(workflow, self.directory), str(workflow))


class Run:
    """One Snakemake in a session of its own; what it says goes to a file."""

    started_by_tests: ClassVar[list["Run"]] = []

    def __init__(self, directory: Path, arguments: list[str]) -> None:
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile")]
        command += ["--directory", str(directory), "--cores", "2", "-p", *arguments]
        command += ["--config", *SETTINGS]
        command += [
            "--configfile",
            *(str(ROOT / file) for file in CONFIGURATION),
        ]
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        # Not in `directory`, whose disk may be full.
        self.log = directory.parent / f"{directory.name}-{time.monotonic_ns()}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=directory,
                env={**os.environ, "PATH": path},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started_by_tests.append(self)

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def wait(self) -> int:
        return self.process.wait()

    def wait_until(self, sign: Callable[[], bool]) -> bool:
        """Whether the sign came before the run ended."""
        while self.process.poll() is None:
            if sign():
                return True
            time.sleep(0.05)
        return False

    def started(self, rule: str) -> bool:
        return re.search(rf"^(?:local)?rule {rule}:", self.said(), re.M) is not None

    def running(self) -> list[str]:
        """The rules whose jobs have started and not ended, as Snakemake has said."""
        said = self.said()
        jobs = dict(
            (number, rule)
            for rule, number in re.findall(
                r"^(?:local)?rule (\w+):$.*?^ +jobid: (\d+)$", said, re.M | re.S
            )
        )
        ended = set(re.findall(r"^Finished jobid: (\d+)", said, re.M))
        return sorted(rule for number, rule in jobs.items() if number not in ended)

    def kill_all(self) -> None:
        """As a machine that dies: Snakemake and all its children at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.wait()

    def kill_snakemake(self) -> None:
        """Snakemake alone; its children are nobody's."""
        self.process.kill()
        self.wait()

    def signal_all(self, number: signal.Signals) -> None:
        """As a terminal's Ctrl-C, or a cluster's end of a job: to the whole group."""
        os.killpg(self.process.pid, number)

    def left(self) -> list[int]:
        """The processes of its session that live."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == self.process.pid and is_alive(int(stat.parent.name)):
                found.append(int(stat.parent.name))
        return found


class Dag:
    """A folder in which the tiny DAG is made, by any number of runs."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def start(self, *arguments: str) -> Run:
        return Run(self.directory, ["--rerun-incomplete", *(arguments or (TABLE,))])

    def locked(self) -> bool:
        return any((self.directory / ".snakemake" / "locks").glob("*"))

    def go_on(self) -> Run:
        """Start a run; where it refuses, do what its message says and start it again."""
        if self.locked():
            refused = self.start()
            assert refused.wait() == 1
            said = refused.said()
            assert "Directory cannot be locked" in said, said[-3000:]
            option = re.search(r"the (--[a-z-]+) argument", said)
            assert option is not None, said[-3000:]
            unlocking = self.start(option[1])
            assert unlocking.wait() == 0, unlocking.said()[-3000:]
        return self.start()


def outputs(directory: Path) -> dict[str, str]:
    """File -> SHA-256 of all that the rules have made."""
    files = (path for name in MADE for path in (directory / name).rglob("*") if path.is_file())
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(files)
        if path.name not in (*DIFFERS, ".snakemake_timestamp")
    }


def leftovers(directory: Path) -> list[str]:
    """What is beside the outputs and none: half files, locks, states of what is finished."""
    found = [path for name in MADE for path in (directory / name).rglob("*")]
    names = (
        r"\..*(?<!\.snakemake_timestamp)|.*\.(lock|part|old|partial|__lock)|resume\.safetensors"
    )
    return [str(p.relative_to(directory)) for p in found if re.fullmatch(names, p.name)]


def seconds_of_rules(directory: Path) -> dict[str, float]:
    """Rule -> seconds of its slowest job, by Snakemake's own benchmarks."""
    seconds: dict[str, float] = {}
    for path in (directory / "benchmarks").rglob("*.tsv"):
        rule = path.parent.name
        if rule == "train":
            rule = f"train_{path.stem.split('-')[1]}"
        elif rule == "evaluate" and path.stem.split("-")[1] != "mktn":
            rule = "evaluate_baseline"
        elif path.name == "table3.tsv":
            rule = "table"
        value = float(path.read_text().splitlines()[1].split("\t")[0])
        seconds[rule] = max(value, seconds.get(rule, 0.0))
    return seconds
