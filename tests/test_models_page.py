"""docs/models.md names models, variants, files and targets that exist."""

import re
from pathlib import Path

from mktn.cli import COMMANDS
from mktn.engine.bench import BENCHES
from mktn.models.variants import VARIANTS_OF
from mktn.report.layouts import TABLES

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")


def test_every_model_has_its_row_with_its_variants() -> None:
    rows = {m[1]: m[0] for m in re.finditer(r"^\| .*?\| `(\w+)` \|.*$", TEXT, flags=re.M)}
    assert rows.keys() == VARIANTS_OF.keys() - {"mktn"}
    for model, row in rows.items():
        named = re.findall(r"`(\w+)`", row.split("|")[3])
        assert set(named) <= set(VARIANTS_OF[model]), model
        more = re.search(r"(\d+) ablations", row)
        assert len(VARIANTS_OF[model]) == len(named) + (int(more[1]) if more else 0), model


def test_every_table_asked_for_is_one() -> None:
    asked = set(re.findall(r"results/(ianet_)?table(\d)\.csv", TEXT))
    assert asked
    for paper, number in asked:
        assert f"{paper.replace('_', '')}{number}" in {str(name) for name in TABLES}


def test_every_command_file_and_link_is_there() -> None:
    for command, name in re.findall(r"^    mktn ([\w-]+) (\w*)", TEXT, flags=re.M):
        assert command in COMMANDS, command
        if command == "bench":
            assert name in BENCHES
    for path in re.findall(r"`((?:mktn|tests)/[\w/.]+)`", TEXT):
        assert (ROOT / path).exists(), path
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / "docs" / target).exists(), target
