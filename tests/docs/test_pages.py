"""Each command of the pages is executed by a test or is excused, and what they name is there."""

import argparse
import ast
import importlib
import re
import subprocess
import sys
from collections import Counter
from functools import cache

import pytest

from mktn.cli import COMMANDS
from mktn.engine.bench import BENCHES as BENCHMARKS
from tests.docs.pages import (
    PAGES,
    ROOT,
    anchors,
    blocks,
    commands,
    is_name,
    links,
    others,
    prose,
)
from tests.docs.rows import (
    BENCHES,
    CHECKOUT,
    ELSEWHERE,
    LANGUAGES,
    MIRROR,
    QUICK,
    WHOLE_PAGES,
    Near,
    Row,
    Run,
)

TABLES = (QUICK, CHECKOUT, MIRROR, ELSEWHERE)
ROWS: dict[str, Row] = {text: row for table in TABLES for text, row in table.items()}
FOUND = [command for page in PAGES for command in commands(page)]
# Code that is neither a command nor its output.
NO_COMMANDS = {
    "sources -> pairs -> features -> groups -> runs -> results",
    "-exp(q s⁺/τ) / q  +  (λ (exp(s⁺/τ) + Σ exp(s⁻/τ)))^q / q",
    "http://127.0.0.1:8080/ (Ctrl-C ends it)",
    "exp(q s/τ) / τ · ((λ (1 + N))^q − 1)",
}
DOTTED = re.compile(r"`((?:mktn|tests|rules|workflow|envs|docs)/[\w/.-]+)`")


def executed(page: str, text: str) -> bool:
    """Whether a row, or a test that reads its whole page, says what becomes of it."""
    words = text.split()
    if text in ROWS:
        return True
    if words[:2] == ["mktn", "bench"]:
        return words[2] in BENCHES
    return page in WHOLE_PAGES and words[0] in ("mktn", "python")


@pytest.mark.parametrize("page", PAGES)
def test_each_command_has_a_row(page: str) -> None:
    of_whole_pages = {c.text for c in FOUND if executed(c.page, c.text)}
    missing = [
        f"{page}, line {command.line}: {command.text}"
        for command in commands(page)
        if command.text not in of_whole_pages and not is_name(command.text)
    ]
    assert not missing, "a command without a row in tests/docs/rows.py"


def test_each_row_has_a_command() -> None:
    texts = {command.text for command in FOUND}
    assert sorted(set(ROWS) - texts) == []
    assert sum(map(len, TABLES)) == len(ROWS)
    made = re.findall(r"mktn bench (\w+)", (ROOT / "Makefile").read_text())
    named = {text.split()[2] for text in texts if text.startswith("mktn bench ")}
    assert set(BENCHES) == {*made, *named}
    assert set(WHOLE_PAGES) <= set(PAGES)


def test_few_are_excused_and_each_says_why() -> None:
    excused = {text: row for text, row in ROWS.items() if isinstance(row, Near)}
    assert all(row.why for row in excused.values())
    assert len(excused) <= 16
    assert all(isinstance(row, Run) for table in TABLES[:3] for row in table.values())


def named_tests() -> list[str]:
    rows = (*ELSEWHERE.values(), *WHOLE_PAGES.values())
    return sorted({row.test for row in rows if not isinstance(row, Run)} | {
        *BENCHES.values(), *LANGUAGES.values()})  # fmt: skip


@cache
def functions(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("test", named_tests())
def test_the_test_of_a_row_is_there(test: str) -> None:
    path, _, name = test.partition("::")
    assert name in functions(path), test


@pytest.mark.parametrize("page", PAGES)
def test_other_blocks_are_known(page: str) -> None:
    assert set(others(page)) <= NO_COMMANDS
    languages = Counter(language for _, language, _ in blocks(page) if language)
    assert {(page, language) for language in languages} == {
        key for key in LANGUAGES if key[0] == page
    }


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for path, anchor in links(page):
        target = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        assert target.exists(), path
        if anchor:
            assert anchor in anchors(str(target.relative_to(ROOT))), f"{path}#{anchor}"


@pytest.mark.parametrize("page", PAGES)
def test_files_named_are_there(page: str) -> None:
    for path in DOTTED.findall(prose(page)):
        assert (ROOT / path).exists(), path


@cache
def options() -> frozenset[str]:
    """Of every command of mktn, and of Snakemake."""
    found: set[str] = set()
    for module, _ in COMMANDS.values():
        parser = argparse.ArgumentParser()
        importlib.import_module(module).add_arguments(parser)
        found |= {option for action in parser._actions for option in action.option_strings}
    helped = subprocess.run(
        [sys.executable, "-m", "snakemake", "--help"], capture_output=True, text=True, check=True
    ).stdout
    return frozenset(found | set(re.findall(r"--[\w-]+", helped)))


@pytest.mark.parametrize("page", PAGES)
def test_options_named_exist(page: str) -> None:
    named = set(re.findall(r"`(--[\w-]+)[^`]*`", prose(page)))
    assert named <= options()


def test_benchmarks_named_exist() -> None:
    assert set(BENCHES) <= set(BENCHMARKS)
