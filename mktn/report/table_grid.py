"""A table as it is shown: its lines, columns, cells and notes, in no format yet.

`markdown` and `latex` write it out; neither decides what a cell holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mktn.report.layouts import titles
from mktn.report.lines import Layout, System, name_of
from mktn.report.reported import Reported
from mktn.report.results import Run
from mktn.report.rows import Row
from mktn.report.speeds import Speed
from mktn.report.table_cells import Cell, Column, column_cells, columns_of, is_baseline
from mktn.report.table_notes import (
    dataset_notes,
    deviations,
    protocol,
    seeds_of,
    seeds_sentence,
    speed_note,
)
from mktn.report.table_rows import Printed, printed_lines


@dataclass(frozen=True)
class GridLine:
    """A line; `code` is our system's name, empty of a method of the paper alone."""

    name: str
    code: str
    type: str
    group: str  # lines of one group stand together
    baseline: bool
    cells: tuple[Cell, ...]  # one a column


@dataclass(frozen=True)
class Section:
    """What is shown of one dataset."""

    dataset: str
    title: str
    protocol: str  # how it was scored; empty of speed alone
    seeds: tuple[int, ...]
    notes: tuple[str, ...]
    columns: tuple[Column, ...]
    lines: tuple[GridLine, ...]


@dataclass(frozen=True)
class Table:
    """One table of a paper. Notes are marked up as `table_notes` says."""

    layout: Layout
    source: str
    seeds: str  # a sentence; empty of speed alone
    bootstraps: int  # 0 of speed alone
    sections: tuple[Section, ...]
    legend: str
    at_prior: bool  # whether a cell is marked so
    speed_note: str
    deviations: tuple[str, list[str]]

    @property
    def heading(self) -> str:
        """`Table 3: Main ablation study`, of a dataset of one's own without the paper's claims."""
        return self.layout.heading_of(self.source)


def table_of(
    rows: Sequence[Row],
    runs: Sequence[Run],
    speeds: Sequence[Speed],
    layout: Layout,
    systems: Sequence[System],
    reported: Reported,
) -> Table:
    """The table as the paper prints it: a section a dataset, systems down, metrics across."""
    source = (runs[0] if runs else speeds[0]).source
    shown = (*(run.dataset for run in runs), *(speed.dataset for speed in speeds))
    sections = []
    for dataset, title in titles(shown).items():
        of_runs = [run for run in runs if run.dataset == dataset]
        of_speeds = [speed for speed in speeds if speed.dataset == dataset]
        columns = columns_of(layout, reported.keys.get(dataset, ()), of_runs)
        printed = printed_lines(layout, dataset, systems, reported)
        of_rows = [row for row in rows if row.dataset == dataset]
        lines = _lines(of_rows, layout, printed, columns)
        notes = dataset_notes(of_runs, of_speeds, layout)
        sections.append(
            Section(
                dataset, title, protocol(of_runs), tuple(seeds_of(of_runs)), tuple(notes),
                tuple(columns), tuple(lines),
            )
        )  # fmt: skip
    marked = (c for s in sections for line in s.lines for c in line.cells)
    return Table(
        layout=layout,
        source=source,
        seeds=seeds_sentence(runs) if runs else "",
        bootstraps=runs[0].bootstraps if runs else 0,
        sections=tuple(sections),
        legend=layout.legend_of(source),
        at_prior=any(cell.at_prior for cell in marked),
        speed_note=speed_note(layout, source),
        deviations=deviations(layout, source),
    )


def _lines(
    rows: Sequence[Row], layout: Layout, lines: Sequence[Printed], columns: Sequence[Column]
) -> list[GridLine]:
    """Those that have a number; a system that the paper prints twice stands there twice."""
    rows_of = {((row.model, row.variant), row.method, row.key): row for row in rows}
    there = {(row.model, row.variant) for row in rows}
    printed = [line for line in lines if (line.system or ("", "")) in there]
    cells = [column_cells(column, printed, rows_of) for column in columns]
    return [
        GridLine(
            line.name,
            name_of(line.system, layout.systems) if line.system else "",
            line.type,
            line.group,
            is_baseline(line),
            tuple(of_column[at] for of_column in cells),
        )
        for at, line in enumerate(printed)
    ]
