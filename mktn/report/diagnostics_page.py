"""The diagnostics as Markdown: one short table a diagnostic and dataset."""

from collections.abc import Sequence

from mktn.report.diagnoses import EXPLAINED, Row
from mktn.report.layouts import titles
from mktn.report.sources import SOURCE_SENTENCES

WHOLE = "share of queries"  # of the split, not of a recall


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
        for dataset, title in titles(row.of.dataset for row in rows).items():
            mine = [
                row
                for row in rows
                if (row.of.dataset, row.of.diagnostic) == (dataset, diagnostic)
                and (diagnostic == "retrieval" or row.of.n == 1 or row.of.metric == WHOLE)
            ]
            if mine:
                grid = [row for row in mine if not row.of.metric.startswith("share")]
                lines += ["", f"**{title}**{_shares(mine)}", "", *_grid(grid)]
    return "\n".join(lines) + "\n"


def _shares(rows: Sequence[Row]) -> str:
    """How many queries were seen, and how many of the hits they are."""
    text = ""
    for row in rows:
        value, count = row.value, row.of.queries
        share = f"{value.value:.1f} % [{value.ci_low:.1f}, {value.ci_high:.1f}]"
        if row.of.metric == WHOLE:
            text += f" {share} of {count} queries have a sentence seen in training"
        elif row.of.metric == "share of hits":
            text += f"; {share} of the hits at R@1, IoU={row.of.iou:g}"
    return text + "." if text else ""


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
