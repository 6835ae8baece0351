"""The same configurations through Snakemake: one line, status 2, and no job."""

import re
from pathlib import Path

import pytest

from tests.workflow.test_pipeline import ROOT, TINY, snakemake

OWN = b"seed: 0\nseeds: [1]\nseed: 2\n"
# what is wrong -> options of Snakemake, the bytes of own.yaml, what mktn's line says
CASES: dict[str, tuple[tuple[str, ...], bytes | None, str]] = {
    "out of range": (("--config", "train={epochs: 0}"), None, r"train\.epochs: value refused"),
    "an unknown key": (("--config", "sede=1"), None, r"sede: unknown key.*'seed'\?"),
    "contradictory": (("--config", "sizes={heads: 3}"), None, r"sizes\.width of charades: keys"),
    "a key twice": ((), OWN, r"own\.yaml: configuration cannot be read, found line 3"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_one_line_before_the_first_job(case: str, tmp_path: Path) -> None:
    options, own, says = CASES[case]
    files = [str(ROOT / "config.yaml"), str(TINY)]
    if own is not None:
        (tmp_path / "own.yaml").write_bytes(own)
        files.append(str(tmp_path / "own.yaml"))
    run = snakemake(tmp_path, "-n", *options, "--configfile", *files)
    lines = [line for line in run.stdout.splitlines() if line.startswith("mktn")]
    assert run.returncode == 2, run.stdout
    assert len(lines) == 1
    assert re.search(says, lines[0]), lines
    assert "Traceback" not in run.stdout
    assert "Job stats" not in run.stdout
    assert {path.name for path in tmp_path.iterdir()} <= {"own.yaml", ".snakemake"}


def test_a_target_that_leaves_the_folder_matches_no_rule(tmp_path: Path) -> None:
    """Wildcards are datasets, variants and numbers, and never parts of paths."""
    target = "runs/synthetic/../../../etc/mktn/full/seed0/config.json"
    run = snakemake(tmp_path, "-n", target)
    assert run.returncode != 0
    assert "MissingRuleException" in run.stdout
