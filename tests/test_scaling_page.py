"""docs/scaling.md: the plans that it shows are what is printed, and its commands are right."""

import importlib
import json
import re
import shlex
from pathlib import Path

import pytest

from mktn.cli import main
from mktn.config import fill
from mktn.engine.bench import BENCHES
from tests.docs.pages import text_of, typed_commands

ROOT = Path(__file__).resolve().parents[1]
PAGE = "docs/scaling.md"
TEXT = text_of(PAGE)
COMMANDS = [shlex.join(words[1:]) for words in typed_commands(PAGE)]
PLANS = re.findall(r"^ {4}\$ mktn (plan .+)\n((?: {4}.*\n)+)", TEXT, re.M)
MEASURED = [command for command in COMMANDS if command.startswith("bench ")]


@pytest.mark.parametrize(("command", "shown"), PLANS, ids=lambda text: text[:20])
def test_a_plan_shown_is_what_is_printed(
    command: str, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(shlex.split(command)) == 0
    assert [line.strip() for line in capsys.readouterr().out.splitlines()] == [
        line.strip() for line in shown.splitlines()
    ]


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("plan ")])
def test_every_plan_named_can_be_made(command: str) -> None:
    assert main(shlex.split(command)) == 0


def test_the_pairs_are_made_by_the_command_named(tmp_path: Path, shared_data: Path) -> None:
    (command,) = (command for command in COMMANDS if command.startswith("pairs "))
    words = shlex.split(command.replace("MIRROR", str(shared_data)))
    moved = [str(tmp_path / word) if word.endswith(".parquet") else word for word in words]
    assert main(moved) == 0
    assert (tmp_path / "pairs.parquet").is_file()


@pytest.mark.parametrize("command", MEASURED, ids=lambda text: text.split()[1])
def test_a_benchmark_named_takes_these_settings(command: str) -> None:
    """That each runs is in tests/engine/test_scaling_benches.py, at a small size."""
    words = shlex.split(command)
    module, settings = BENCHES[words[1]]
    given = words[words.index("--settings") + 1] if "--settings" in words else "{}"
    fill(getattr(importlib.import_module(module), settings), json.loads(given))
    assert words[words.index("--out") + 1].startswith("results/bench/")


def test_the_page_shows_plans_and_measurements() -> None:
    assert len(PLANS) == 4
    assert {command.split()[1] for command in MEASURED} == {"dag", "cost", "relations", "parts"}
    assert set(COMMANDS) >= {plan for plan, _ in PLANS}


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / "docs" / target).exists(), target
