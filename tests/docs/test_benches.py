"""`make bench` and the benchmarks that no other test runs at a small size."""

import csv
import importlib
import json
import re
import shlex
from pathlib import Path

import pytest

from mktn.cli import main
from mktn.config import fill
from mktn.engine.bench import BENCHES
from tests.docs.pages import PAGES, commands
from tests.docs.test_make import planned

SHOWN = sorted({c.text for page in PAGES for c in commands(page) if "mktn bench " in c.text})


def test_make_bench_names_benchmarks() -> None:
    """That each runs, at a small size, are tests that tests/docs/rows.py names."""
    found = re.findall(r"mktn bench (\w+) --out results/bench/(\w+)\.csv$", planned("bench"), re.M)
    assert len(found) == len(planned("bench").splitlines())
    assert all(name == file and name in BENCHES for name, file in found)


@pytest.mark.parametrize("command", SHOWN)
def test_a_benchmark_shown_takes_these_settings(command: str) -> None:
    words = shlex.split(command)
    module, settings = BENCHES[words[2]]
    given = words[words.index("--settings") + 1] if "--settings" in words else "{}"
    fill(getattr(importlib.import_module(module), settings), json.loads(given))
    assert "--out" in words


@pytest.mark.docs
def test_one_or_two_processes(tmp_path: Path) -> None:
    out = tmp_path / "p.csv"
    small = {"cases": ["synthetic"], "repeats": 1}
    assert main(["bench", "processes", f"--out={out}", f"--settings={json.dumps(small)}"]) == 0
    (row,) = csv.DictReader(out.open())
    assert row["case"] == "synthetic"
