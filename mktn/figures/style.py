"""How figures look: readable in grey, text as text in the SVG, the same bytes each time."""

import textwrap
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from mktn.files import written_beside

SETTINGS: Any = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    "svg.fonttype": "none",  # text that can be searched, copied and set in another font
    "svg.hashsalt": "mktn",  # the same ids each time
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
}
PNG_DPI = 200
SMALL = 6  # points: of what is not read first
SOURCE_CHARACTERS = 20  # an inch, in that size


@dataclass(frozen=True)
class Series:
    """How one of several is told from the others: in grey by its marker, dashes and hatch."""

    color: str
    line: Any  # dashes as matplotlib takes them
    marker: str
    hatch: str


# Colours that keep apart for the colour-blind, darker ones first; their greys differ.
SERIES = (
    Series("#1b1b3a", "-", "o", ""),
    Series("#a83808", "--", "s", "///"),
    Series("#3a90b0", "-.", "^", "\\\\\\"),
    Series("#e8ac3c", ":", "D", "..."),
    Series("#74a562", (0, (5, 1, 1, 1, 1, 1)), "v", "xxx"),
    Series("#a996c8", (0, (1, 1)), "P", "+++"),
    Series("#c4c4c4", (0, (8, 2)), "X", "ooo"),
)


def styled() -> AbstractContextManager[None]:
    """The context in which a figure is made and written."""
    return rc_context(SETTINGS)


def sourced(figure: Figure, source: str, note: str = "") -> None:
    """Say on the figure itself where its numbers come from, in lines as wide as it is."""
    said = f"source: {source}" + (f"; {note}" if note else "")
    lines = textwrap.wrap(said, int(SOURCE_CHARACTERS * figure.get_figwidth()))
    text = plain("\n".join(lines))
    figure.supxlabel(text, fontsize=SMALL, color="#555555", ha="left", x=0.01)


def disturbed(rows: Iterable[Mapping[str, Any]]) -> str:
    """Whose speeds were measured while something else ran, by `busy`; empty of none."""
    named = (
        row["method"] + " +MKTN" * (row["variant"] == "plus_mktn") for row in rows if row["busy"]
    )
    busy = ", ".join(dict.fromkeys(named))
    return f"something else took the processor while these were measured: {busy}" if busy else ""


def write(figure: Figure, svg: Path, png: Path) -> None:
    """Both files, beside and renamed; no date in either."""
    with styled(), written_beside(svg) as one, written_beside(png) as other:
        figure.savefig(one, format="svg", metadata={"Date": None})
        figure.savefig(other, format="png", dpi=PNG_DPI, metadata={"Software": None})


def plain(text: str) -> str:
    """Text as it is: between two dollar signs matplotlib would read a formula."""
    return text.replace("$", r"\$")
