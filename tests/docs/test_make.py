"""The targets of the Makefile that the pages name, as far as they do not run this suite."""

import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.docs.folders import checkout, shell
from tests.docs.pages import ROOT, commands, text_of
from tests.docs.rows import ELSEWHERE

SAYS = {
    "test": [r"python -m pytest -n \d+ --dist loadgroup$"],
    "test-faults": [r"pytest -m faults -s tests/faults tests/workflow/test_damage\.py$"],
    "test-docs": [r"pytest -m docs .*tests/docs$"],
    "test-browser": [r"^tests/browser/run "],
    "test-slurm": [r"^tests/slurm/run "],
    "lint": [r"ruff check \.$", r"ruff format --check", r"snakefmt --check", r"mypy$", r"--lint$"],
}
CI = ["lint", "test", "test-browser", "test-faults", "test-docs", "test-slurm"]


def planned(target: str) -> str:
    """What make would do, the environment taken as it is."""
    given = ["make", "--dry-run", "--no-print-directory", "-o", ".venv/ready", target, "CORES=2"]
    return subprocess.run(given, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("target", SAYS)
def test_the_target_runs_what_is_said(target: str) -> None:
    said = planned(target)
    for expression in SAYS[target]:
        assert re.search(expression, said, re.M), said
    for path in re.findall(r"(?<=\s)tests/[\w/.]+", said) + re.findall(r"^tests/\S+", said, re.M):
        assert (ROOT / path).exists(), path


def test_every_target_of_the_pages_that_is_no_run_is_looked_at() -> None:
    excused = {text.removeprefix("make ") for text, row in ELSEWHERE.items()
               if text.startswith("make ") and "test_the_target_runs" in row.test}  # fmt: skip
    assert excused == set(SAYS)


def test_continuous_integration_is_these() -> None:
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert [line.removeprefix("make ") for line in lines if line.startswith("make ")] == CI
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=True)
    named = {command.text for command in commands("CONTRIBUTING.md")}
    assert {f"make {target}" for target in CI} <= named


def test_the_targets_are_listed() -> None:
    said = planned("help")
    assert said  # it is printed by grep and sed, which a dry run shows
    listed = shell("make help", ROOT).stdout
    for target in (*CI, "table3", "tables", "peers", "bench", "format", "setup", "clean"):
        assert re.search(rf"^{target} ", listed, re.M), target


@pytest.mark.parametrize("extra", ["slurm", "tensorboard", "serve"])
def test_extras_are_there_and_installed(extra: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for given in map(Requirement, project["optional-dependencies"][extra]):
        assert given.specifier.contains(version(given.name)), given


@pytest.mark.docs
def test_format_leaves_a_formatted_copy_as_it_is(tmp_path: Path) -> None:
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True,
        capture_output=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    present = [name for name in files if (ROOT / name).is_file()]
    for name in present:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / ".venv").symlink_to(Path(sys.executable).parents[1])
    done = shell("make -o .venv/ready format", tmp_path)
    assert done.returncode == 0, done.stdout
    assert [n for n in present if (ROOT / n).read_bytes() != (tmp_path / n).read_bytes()] == []


@pytest.mark.docs
def test_the_golden_losses_are_regenerated(tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=ignored)
    file = tmp_path / "tests/engine/golden_losses.json"
    file.unlink()
    done = shell("python -m tests.engine.golden", tmp_path)
    assert done.returncode == 0, done.stdout
    assert file.read_text().count("total") == (
        (ROOT / "tests/engine/golden_losses.json").read_text().count("total")
    )


@pytest.mark.docs
def test_files_of_results_named_can_be_asked_for(tmp_path: Path) -> None:
    """Each table, page and figure of the README is a target."""
    here = checkout(tmp_path)
    named = re.findall(r"`(results/[\w.]+\.(?:csv|md|svg|tex))`", text_of("README.md"))
    done = shell(f"snakemake -n -q rules -- {' '.join(sorted(set(named)))}", here)
    assert done.returncode == 0, done.stdout[-3000:]
