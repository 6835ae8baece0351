"""A table as Markdown, and how to read it.

The text before the first dataset is the same for all tables of the same runs: `mktn page`
writes it once. What is best in a column is not marked: bold has one meaning here, a difference
whose interval excludes 0, and the best of values with overlapping intervals says less than that.
"""

from mktn.report.sources import SOURCE_SENTENCES
from mktn.report.table_cells import AT_PRIOR, Cell, Column
from mktn.report.table_grid import GridLine, Section, Table

DAGGER = "†"


def as_markdown(table: Table) -> str:
    """Heading, how to read it, a section a dataset, the legend."""
    parts = [f"# {table.heading}", preface(table)]
    for section in table.sections:
        parts += [f"## {section.title}", section.protocol, *section.notes]
        parts.append(grid(section, table.layout.typed))
    said, listed = table.deviations
    parts += [
        *([f"{DAGGER}: {AT_PRIOR}"] if table.at_prior else []),
        table.legend,
        table.speed_note,
        said,
        "\n".join(f"- {one}" for one in listed),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def preface(table: Table) -> str:
    """Source and, where there are scores, the number of seeds and how to read the columns."""
    said = [f"**Source: {table.source}.** {SOURCE_SENTENCES[table.source]}"]
    if table.seeds:
        paper = "" if table.source == "own" else " *paper*: what the table's authors report."
        said += [
            table.seeds,
            "Columns of a metric, in per cent. *ours*: measured, with its 95 % interval"
            f" (bootstrap over videos, {table.bootstraps} resamples). *ours - Full*, or another"
            " of ours: the difference to that on the same queries, in points, with the 95 %"
            " interval of a paired bootstrap over videos; **bold** where the interval excludes 0"
            f" (of variants that change nothing, about one in twenty would).{paper}"
            " Every IoU threshold and mIoU are in the csv.",
        ]
    return "\n\n".join(said)


def grid(section: Section, typed: bool) -> str:
    """The numbers of one dataset."""
    lines = [
        ["Model", *(["Type"] if typed else []), *map(_head, section.columns)],
        ["---", *(["---"] if typed else []), *["---:"] * len(section.columns)],
        *(
            [_name(line), *([line.type or "-"] if typed else []), *map(_cell, line.cells)]
            for line in section.lines
        ),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _head(column: Column) -> str:
    what = f"ours - {column.against}" if column.kind == "difference" else column.kind
    return f"{column.title}<br>{what}"


def _name(line: GridLine) -> str:
    if line.baseline:
        return f"{line.name} (baseline)"
    return f"{line.name} (`{line.code}`)" if line.code else line.name


def _cell(cell: Cell) -> str:
    text = f"{cell.value} [{cell.low}, {cell.high}]" if cell.low else cell.value or "-"
    text = f"**{text}**" if cell.significant else text
    return f"{text} {DAGGER}" if cell.at_prior else text
