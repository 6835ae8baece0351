"""`mktn page`: the Markdown of several tables as one page, with what they share said once."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mktn.datasets.annotations import read_text
from mktn.errors import UserError
from mktn.files import write_text


@dataclass(frozen=True)
class Table:
    """The Markdown that `mktn tables` wrote, in parts."""

    path: Path
    title: str  # "Table 3: Main ablation study", "Table 4 of IA-Net: Ablation study"
    preface: str  # source and, of scores, seeds and how to read them
    sections: str  # a section a dataset, and the legend


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `mktn page`."""
    parser.add_argument(
        "--tables", required=True, nargs="+", type=Path, help="Markdown of mktn tables, in order"
    )
    parser.add_argument("--out", required=True, type=Path, help="output: the page")


def run(arguments: argparse.Namespace) -> None:
    """Join the tables; refuse those that differ in source, seeds or how they are to be read."""
    tables = [read_table(path) for path in arguments.tables]
    write_text(as_page(tables), arguments.out)
    print(f"{len(tables)} tables on one page")


def read_table(path: Path) -> Table:
    """The parts of one table. Raises UserError when the file is not one of `mktn tables`."""
    head, section, sections = read_text(path).partition("\n## ")
    title, _, preface = head.partition("\n")
    if section and not sections.endswith("\n"):
        raise UserError("table is cut short", where=path, do="run mktn tables again")
    if not title.startswith("# Table ") or not section:
        raise UserError(
            "not a table",
            where=path,
            found=repr(title[:60]),
            expected="the Markdown of mktn tables",
            do="give its --markdown",
        )
    return Table(path, title.removeprefix("# "), preface.strip(), section.lstrip() + sections)


def as_page(tables: Sequence[Table]) -> str:
    """One page: the preface once, then each table a level deeper."""
    # A table of speed alone has no seeds to speak of.
    first = max(tables, key=lambda table: table.preface.count("\n\n"))
    shared = first.preface.split("\n\n")
    for table in tables:
        mine = table.preface.split("\n\n")
        differing = [
            (one, other) for one, other in zip(mine, shared, strict=False) if one != other
        ]
        if differing or len(mine) > len(shared):
            found, expected = differing[0] if differing else (mine[-1], shared[-1])
            raise UserError(
                "tables differ in what they share",
                where=table.path,
                found=repr(found[:80]),
                expected=f"{expected[:80]!r}, as in {first.path}",
                do="make the tables again from runs of one source and the same seeds",
            )
    own = first.preface.startswith("**Source: own.**")  # nobody has published numbers of it
    beside = "" if own else ": ours beside the published numbers"
    parts = [f"# {_numbers(tables)}{beside}", first.preface]
    for table in tables:
        deeper = f"\n{table.sections.strip()}".replace("\n## ", "\n### ").strip()
        parts += [f"## {table.title}", deeper]
    return "\n\n".join(parts) + "\n"


def _numbers(tables: Sequence[Table]) -> str:
    numbers = [table.title.partition(":")[0].removeprefix("Table ") for table in tables]
    if len(numbers) == 1:
        return f"Table {numbers[0]}"
    return f"Tables {', '.join(numbers[:-1])} and {numbers[-1]}"
