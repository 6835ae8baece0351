"""The diagnostics as Markdown: one short table a diagnostic and dataset."""

from collections.abc import Sequence

from mktn.report.diagnoses import EXPLAINED, Row
from mktn.report.layouts import DATASET_TITLES
from mktn.report.markdown import SOURCE_SENTENCES


def as_markdown(rows: Sequence[Row]) -> str:
    """A table a diagnostic and dataset, of R@1 at each IoU, or of recall at each rank."""
    source = rows[0].of.source
    lines = [
        "# Diagnostics of `full`",
        "",
        f"**Source: {source}.** {SOURCE_SENTENCES[source]}",
        "",
    ]
    lines += ["Per cent, with 95 % intervals over videos, and over seeds where there are several."]
    for diagnostic, explained in EXPLAINED.items():
        lines += ["", f"## {diagnostic.capitalize()}", "", explained]
        for dataset, title in DATASET_TITLES.items():
            mine = [
                row
                for row in rows
                if (row.of.dataset, row.of.diagnostic) == (dataset, diagnostic)
                and (diagnostic == "retrieval" or row.of.n == 1)
            ]
            if mine:
                lines += ["", f"**{title}**", "", *_grid(mine)]
    return "\n".join(lines) + "\n"


def _grid(rows: Sequence[Row]) -> list[str]:
    def column(row: Row) -> str:
        return f"R@{row.of.n}" + ("" if row.of.iou is None else f", IoU={row.of.iou:g}")

    def cell(row: Row) -> str:
        text = f"{row.value.value:.1f} [{row.value.ci_low:.1f}, {row.value.ci_high:.1f}]"
        if row.ratio is not None:
            text += f"; chance {row.of.chance:.1f} ({row.ratio:.1f}x)"
        if row.difference is not None:
            difference = row.difference
            text += (
                f"; {difference.value:+.1f} [{difference.ci_low:+.1f}, {difference.ci_high:+.1f}]"
            )
        return text

    columns = list(dict.fromkeys(column(row) for row in rows))
    lines = [["", "queries", "seeds", *columns], ["---", *["---:"] * (2 + len(columns))]]
    for setting in dict.fromkeys(row.of.setting for row in rows):
        mine = {column(row): row for row in rows if row.of.setting == setting}
        first = next(iter(mine.values()))
        cells = [cell(mine[name]) if name in mine else "-" for name in columns]
        lines.append([setting, str(first.of.queries), str(first.seeds), *cells])
    return [f"| {' | '.join(line)} |" for line in lines]
