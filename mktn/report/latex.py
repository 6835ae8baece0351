r"""A table as LaTeX: a float a dataset, since each is scored in its own way and says so.

`\input` it in a document that loads the packages of its first lines. A line of ours is two: its
numbers, and their intervals below in \scriptsize. Nothing is wider than the text: scores and
speeds stand in tabulars of their own, which \resizebox makes narrower where it must.
"""

from collections.abc import Sequence

from mktn.report.latex_text import comment, escaped, marked, number
from mktn.report.sources import SOURCE_CAPTIONS, SOURCE_SENTENCES
from mktn.report.table_cells import AT_PRIOR, Cell, Column, Kind
from mktn.report.table_grid import GridLine, Section, Table
from mktn.report.table_notes import ONE_SEED

COLUMN_WIDE = 8  # columns that stand in one column of a page of two
# \resizebox would widen too.
NO_WIDER = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
STAR, NO_STAR, DAGGER = "$^{*}$", r"\phantom{$^{*}$}", r"\rlap{$^{\dagger}$}"
INTERVAL = r"{\scriptsize [%s,\,%s]}"


def as_latex(table: Table) -> str:
    """The floats, below comments that say the source and the packages."""
    body = "\n".join(_float(table, section) for section in table.sections)
    packages = ["booktabs", "graphicx", *(["amssymb"] if r"\checkmark" in body else [])]
    needed = " ".join(rf"\usepackage{{{package}}}" for package in packages)
    said = [
        f"Source: {table.source}. {SOURCE_SENTENCES[table.source]}",
        f"{table.heading}. Made by mktn tables; \\input it.",
        f"Needs {needed}.",
    ]
    return "\n".join([*map(comment, said), "", body])


def _float(table: Table, section: Section) -> str:
    parts = _parts(section)
    typed = table.layout.typed
    wide = max(len(columns) for columns, _ in parts) + 1 + typed > COLUMN_WIDE
    environment = "table*" if wide else "table"
    title = _title(table, section)
    lines = [
        rf"\begin{{{environment}}}[tb]",
        r"\centering",
        rf"\caption[{{{escaped(title)}}}]{{{_caption(table, section)}}}",
        rf"\label{{tab:{table.layout.stem}-{section.dataset}}}",
        r"\setlength{\tabcolsep}{3pt}",
    ]
    for columns, shown in parts:
        lines += [r"\par\medskip", NO_WIDER, *_tabular(section, columns, shown, typed), "}"]
    if notes := _notes(table, section):
        joined = "\\par\n".join(map(marked, notes))
        lines += [r"\par\smallskip", rf"\parbox{{\linewidth}}{{\footnotesize {joined}}}"]
    return "\n".join([*lines, rf"\end{{{environment}}}", ""])


def _title(table: Table, section: Section) -> str:
    title = table.layout.title_of(table.source)
    if len(table.sections) > 1 or section.title not in title:
        title = f"{title}: {section.title}"
    return f"{title}, laid out as Table {table.layout.number} of {table.layout.paper}"


def _caption(table: Table, section: Section) -> str:
    """Title, source and protocol, and how to read the columns that are there."""
    of_kind = {column.kind: column for column in section.columns}
    cells = [cell for line in section.lines for cell in line.cells]
    scores = any(column.scores for column in section.columns)
    said = [
        f"{_title(table, section)}.",
        f"**Source: {table.source}**: {SOURCE_CAPTIONS[table.source]}.",
        section.protocol,
    ]
    if len(section.seeds) > 1:
        said.append("Means over training seeds; intervals join seeds (Student's t) and videos.")
    if scores:
        said.append(
            "Ours: measured, in per cent, with the 95 % interval"
            f" (bootstrap over videos, {table.bootstraps} resamples)."
        )
    if "difference" in of_kind:
        said.append(
            f"Δ: ours minus {of_kind['difference'].against}, in points; a star where the 95 %"
            " interval of a paired bootstrap excludes 0."
        )
    if scores and len(section.seeds) == 1:
        stars = " and stars" if "difference" in of_kind else ""
        said.append(f"**One training seed**: intervals{stars} {ONE_SEED}.")
    if not all(column.scores for column in section.columns):
        said.append("Speeds of ours: median and quartiles.")
    if "paper" in of_kind:
        said.append("Paper: as its authors report.")
    if any(cell.best for cell in cells):
        apart = ", and apart from it the best reported" if "paper" in of_kind else ""
        said.append(f"**Bold**: the best measured of a column{apart}, baselines left out.")
    if any(cell.at_prior for cell in cells):
        said.append(f"†: {AT_PRIOR}")
    return marked(" ".join(filter(None, said)))


def _notes(table: Table, section: Section) -> list[str]:
    """What stands below the numbers.

    What stands in the way of a comparison with the paper only where the caption does not already
    rule one out.
    """
    said, listed = table.deviations if table.source == "published" else ("", [])
    compared = f"{said} {' '.join(listed)}"
    return [
        note for note in (table.legend, *section.notes, table.speed_note, compared) if note.strip()
    ]


def _parts(section: Section) -> list[tuple[list[int], list[GridLine]]]:
    """Columns by number and lines of each tabular: scores, then speeds of what has any."""
    numbers = range(len(section.columns))
    scores = [at for at in numbers if section.columns[at].scores]
    speeds = [at for at in numbers if not section.columns[at].scores]
    if not (scores and speeds):
        return [([*numbers], [*section.lines])]
    fast = [line for line in section.lines if any(line.cells[at].value for at in speeds)]
    return [(scores, [*section.lines]), (speeds, fast)]


def _tabular(
    section: Section, at: Sequence[int], lines: Sequence[GridLine], typed: bool
) -> list[str]:
    columns = [section.columns[number] for number in at]
    rows = [
        rf"\begin{{tabular}}{{@{{}}l{'l' if typed else ''}{'r' * len(columns)}}}",
        r"\toprule",
        *_head(columns, typed),
    ]
    group = None
    for line in lines:
        if line.group != group:
            rows.append(r"\midrule")
            group = line.group
        rows += _line(line, columns, [line.cells[number] for number in at], typed)
    return [*rows, r"\bottomrule", r"\end{tabular}%"]


def _head(columns: Sequence[Column], typed: bool) -> list[str]:
    """Each metric over its columns, and below what each of these is."""
    before = 1 + typed
    over, rules, at = [""] * before, [], 0
    while at < len(columns):
        span = sum(column.title == columns[at].title for column in columns)
        over.append(rf"\multicolumn{{{span}}}{{c}}{{{escaped(columns[at].title)}}}")
        rules.append(rf"\cmidrule(l){{{before + at + 1}-{before + at + span}}}")
        at += span
    names = {"ours": "ours", "difference": r"$\Delta$", "paper": "paper"}
    below = ["Model", *(["Type"] if typed else []), *(names[column.kind] for column in columns)]
    return [_row(over), " ".join(rules), _row(below)]


def _line(
    line: GridLine, columns: Sequence[Column], cells: Sequence[Cell], typed: bool
) -> list[str]:
    """One row, or two where numbers have intervals."""
    name = escaped(line.name) + (" (baseline)" if line.baseline else "")
    kind = [line.type or "--"] if typed else []
    values = (_value(cell, column.kind) for column, cell in zip(columns, cells, strict=True))
    first = [name, *kind, *values]
    if not any(cell.low for cell in cells):
        return [_row(first)]
    below = ["", *([""] if typed else []), *map(_interval, cells)]
    return [_row(first).removesuffix(r"\\") + r"\\*[-2.5pt]", _row(below)]


def _row(cells: Sequence[str]) -> str:
    return rf"{' & '.join(cells)} \\".lstrip()


def _value(cell: Cell, kind: Kind) -> str:
    if not cell.value:
        return "--"
    text = number(cell.value)
    text = rf"\textbf{{{text}}}" if cell.best else text
    if kind == "difference":
        text += STAR if cell.significant else NO_STAR
    return text + DAGGER * cell.at_prior


def _interval(cell: Cell) -> str:
    return INTERVAL % (number(cell.low), number(cell.high)) if cell.low else ""
