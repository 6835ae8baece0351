"""docs/equations.md names files, functions and options that exist, and every equation."""

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mktn.config import fill
from mktn.engine.criterion import LossConfig

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "equations.md"
TEXT = PAGE.read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("|") and not line.startswith(("|---", "| Equation |"))
]
CODE = r"`([^`]+)`"
PLACE = re.compile(r"`(mktn/[\w/]+\.py)`((?:,? `[\w.]+`)+)")
PLACES = [(path, name) for path, names in PLACE.findall(TEXT) for name in re.findall(CODE, names)]


def config() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("path", "name"), sorted(set(PLACES)))
def test_every_function_named_is_there(path: str, name: str) -> None:
    assert (ROOT / path).is_file()
    found: Any = importlib.import_module(path.removesuffix(".py").replace("/", "."))
    for part in name.split("."):
        found = getattr(found, part)
    assert callable(found)
    assert found.__module__ == path.removesuffix(".py").replace("/", ".")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_every_row_says_where_and_how_to_have_the_printed_form(row: list[str]) -> None:
    assert len(row) == 6
    assert all(row)
    # Where: nothing but files with their functions.
    assert re.sub(r"[;\s]", "", PLACE.sub("", row[4])) == ""
    if row[5] in ("none", "none: cannot run", "runs as printed"):
        assert row[2].startswith("runs") != (row[5] == "none: cannot run")
    else:
        assert re.sub(rf"{CODE}|[,\s]", "", row[5]) == ""


def test_every_equation_of_the_paper_has_a_row() -> None:
    titles = [row[0] for row in ROWS]
    numbered = {int(n) for t in titles if t.startswith("Eq") for n in re.findall(r"\d+", t)}
    assert numbered == set(range(1, 12))
    unnumbered = {t for t in titles if not t.startswith("Eq")}
    assert {
        "Timestamps", "Transferred features", "P_a", "P_p", "s_a", "P_f", "P_e", "s_es",
        "A", "B", "F", "Span argmax", "Refined boundaries",
    } <= unnumbered  # fmt: skip


def test_every_option_named_is_in_the_configuration() -> None:
    known = config()
    named = {
        code.partition(":")[0]
        for code in re.findall(CODE, TEXT)
        if code.partition(".")[0] in known
    }
    assert {"losses.schedule", "losses.learnable"} <= named
    for option in sorted(named):
        section, _, key = option.partition(".")
        assert key in known[section], option


def test_every_option_takes_the_value_named() -> None:
    options = [code.split(": ") for row in ROWS for code in re.findall(CODE, row[5])]
    assert options
    for option, value in options:
        section, _, key = option.partition(".")
        assert section == "losses"
        fill(LossConfig, {key: yaml.safe_load(value)})


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (PAGE.parent / target).exists(), target
