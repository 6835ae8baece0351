"""What Snakemake takes to build the DAG: time and memory of dry runs, by shards and seeds.

Each is a `snakemake -n` of its own, in a folder of its own, of the repository's Snakefile. States:

- `absent`: nothing has been made, every job is listed;
- `whole`: everything is there, with its records: what a user waits for "Nothing to be done";
- `one part`: one extraction is asked for: about what a job on a cluster spends before it starts,
  for it builds a DAG again.

The files of `whole` are empty: no rule runs. Ratios are of processor seconds: a loaded machine
stretches the elapsed ones.
"""

import dataclasses
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mktn.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
DATASETS = ("activitynet", "charades", "tacos")
STATES = ("absent", "whole", "one part")
# Snakemake sleeps 50 ms before it touches the files of a job; here nothing is that recent.
TOUCH = "import time; time.sleep = lambda s: None; from snakemake.cli import main; main()"
POLL_S = 0.005


@dataclasses.dataclass(frozen=True)
class DagSettings:
    """parts: extraction jobs a data set; seeds: how many, those after the first at parts[0] alone.

    configs: files laid over config.yaml, relative to the repository. The first of parts and of
    seeds is the base of the ratios.
    """

    parts: tuple[int, ...] = (1, 10, 100, 1000)
    seeds: tuple[int, ...] = (1, 3, 10)
    repeats: int = 3
    configs: tuple[str, ...] = ()
    folder: str | None = None

    def __post_init__(self) -> None:
        for name in ("parts", "seeds"):
            if min(getattr(self, name), default=0) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected 1 or more")
        if self.repeats < 1:
            raise ValueError(f"repeats {self.repeats}: expected 1 or more")


@dataclasses.dataclass(frozen=True)
class DryRun:
    """One dry run: elapsed and processor seconds, peak resident bytes, jobs by rule."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    jobs: dict[str, int]


def run(settings: DagSettings) -> Iterator[dict[str, Any]]:
    """A row for each number of parts or seeds and each state; medians of the repeats.

    Raises UserError without the workflow beside the package, or where Snakemake fails.
    """
    if not (ROOT / "Snakefile").is_file():
        raise UserError(
            "no workflow", where=ROOT, expected="Snakefile",
            do="run it from a checkout of the repository",
        )  # fmt: skip
    cases = [(parts, settings.seeds[0]) for parts in settings.parts]
    cases += [(settings.parts[0], seeds) for seeds in settings.seeds[1:]]
    states = {case: STATES if case[1] == settings.seeds[0] else STATES[:1] for case in cases}
    with tempfile.TemporaryDirectory(dir=settings.folder) as name:
        made = {case: Workplace(Path(name), *case, settings.configs) for case in cases}
        for case in cases:
            if "whole" in states[case]:
                made[case].make_whole()
        found: dict[tuple[tuple[int, int], str], list[DryRun]] = {}
        for _ in range(settings.repeats):
            for case in cases:
                for state in states[case]:
                    found.setdefault((case, state), []).append(made[case].dry_run(state))
    for (case, state), runs in found.items():
        base = found[cases[0], state]
        cpu_s = statistics.median(each.cpu_s for each in runs)
        jobs = runs[0].jobs
        yield {
            "parts": case[0],
            "seeds": case[1],
            "state": state,
            "jobs": sum(jobs.values()),
            "trainings": sum(n for rule, n in jobs.items() if rule.startswith("train_")),
            "wall_s": round(statistics.median(each.wall_s for each in runs), 2),
            "cpu_s": round(cpu_s, 2),
            "peak_mb": round(statistics.median(each.peak_bytes for each in runs) / 1e6, 1),
            "ratio_to_base": round(cpu_s / statistics.median(each.cpu_s for each in base), 2),
            "repeats": settings.repeats,
        }


def summary(row: dict[str, Any]) -> str:
    """A row for a person."""
    return (
        f"{row['parts']} parts, {row['seeds']} seeds, {row['state']}: {row['jobs']} jobs "
        f"({row['trainings']} trainings), {row['cpu_s']} s of a core, {row['peak_mb']} MB, "
        f"{row['ratio_to_base']} x the base"
    )


class Workplace:
    """A configuration, and two folders: one with nothing in it, one where everything is made."""

    def __init__(self, folder: Path, parts: int, seeds: int, configs: Sequence[str]) -> None:
        self.folder = folder / f"{parts}-{seeds}"
        for state in ("absent", "whole"):
            (self.folder / state).mkdir(parents=True)
        own = self.folder / "own.json"
        features = {"features": {"parts": parts}}
        over = {**features, "seeds": list(range(seeds)), "source": "synthetic"}
        per_dataset = {"per_dataset": dict.fromkeys(DATASETS, features)}
        own.write_text(json.dumps({**over, **per_dataset}), encoding="utf-8")
        self.part = ""
        self.configs = [ROOT / "config.yaml", *(ROOT / name for name in configs), own]

    def command(self, state: str, *options: str, start: Sequence[str] = ()) -> list[str]:
        """Snakemake with these options, in the folder of the state."""
        place = self.folder / ("whole" if state == "whole" else "absent")
        return [
            *(sys.executable, *(start or ("-m", "snakemake"))),
            *("--snakefile", str(ROOT / "Snakefile"), "--directory", str(place)),
            *("--configfile", *map(str, self.configs)),
            *options,
        ]

    def make_whole(self) -> None:
        """Every output, empty, with Snakemake's records of what made it."""
        import polars as pl

        from mktn.parquet import write_parquet

        empty = pl.DataFrame(schema={"pair_id": pl.String})
        listed = _output_of(self.command("whole", "--summary"))
        paths = [line.split("\t")[0] for line in listed.splitlines()[1:]]
        self.part = next(path for path in paths if path.endswith("part-0.zarr"))
        for path in (self.folder / "whole" / name for name in paths):
            if path.suffix in ("", ".zarr"):
                path.mkdir(parents=True, exist_ok=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                # What is done at the end reads how many rows were rejected.
                write_parquet(empty, path) if path.suffix == ".parquet" else path.touch()
        touch = ("--touch", "--forceall", "--cores", "10000")
        _output_of(self.command("whole", *touch, start=("-c", TOUCH)))

    def dry_run(self, state: str) -> DryRun:
        """Measure one dry run of the default target, or of one part."""
        target = ["--", self.part] if state == "one part" else []
        wall_s, cpu_s, peak, text = measured(self.command(state, "--dry-run", *target))
        return DryRun(wall_s, cpu_s, peak, _jobs(text))


def measured(command: Sequence[str]) -> tuple[float, float, int, str]:
    """Run a command: elapsed and processor seconds, peak resident bytes, and what it said.

    Raises UserError with the end of that when it fails.
    """
    with tempfile.TemporaryFile("w+") as out:
        began = time.perf_counter()
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        # `ru_maxrss` begins at the parent's: the peak is read while the child lives.
        peak, finished = 0, 0
        while not finished:
            peak = max(peak, _peak_bytes(child.pid))
            time.sleep(POLL_S)
            finished, status, used = os.wait4(child.pid, os.WNOHANG)
        wall_s = time.perf_counter() - began
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read()
    if child.returncode:
        said = text.strip()[-400:]
        raise UserError("a measured command failed", where=" ".join(command[:6]), found=said)
    return wall_s, used.ru_utime + used.ru_stime, peak, text


def _jobs(text: str) -> dict[str, int]:
    """rule -> jobs, as Snakemake lists them; nothing where nothing is to be done."""
    table = text.partition("Job stats:")[2].partition("\ntotal")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.M)}


def _peak_bytes(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError("peak memory cannot be measured", found=error, expected="Linux") from error
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.M)  # absent once the child has ended
    return int(found[1]) * 1024 if found else 0


def _output_of(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stdout + done.stderr).strip()[-400:]
        raise UserError("snakemake failed", where=" ".join(command[-5:]), found=said)
    return done.stdout
