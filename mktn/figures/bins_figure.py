"""R@1 by length or position of the moment, of Full, the other models and the train prior."""

import itertools
import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mktn.figures.figure import Inputs, NoSettings
from mktn.figures.rows import Rows, around, read_rows, values
from mktn.figures.style import SERIES, SMALL, Series, plain, sourced
from mktn.report.binned_scores import BINS, DECIMALS, LENGTHS, POSITIONS
from mktn.report.layouts import titles
from mktn.report.results import BASELINES

INPUTS = ("data",)
NEEDED = ("bin", "low", "high", "queries", "seeds", "iou")
OPTIONAL = ("value", "ci_low", "ci_high")
AXES = {
    "length_s": "length of the moment, s",
    "length_share": "length of the moment, % of the video",
    "start_share": "start of the moment, % of the video",
    "centre_share": "centre of the moment, % of the video",
    "end_share": "end of the moment, % of the video",
}
PRIOR = Series("#777777", (0, (2, 2)), "x", "")
PER_BIN = 0.38  # inches, at least, so that bounds and counts do not touch
# Shares of a bin's width: between two systems beside one another, and over all of them at most.
# Points off the centre of their bin would read as other positions on the axis.
APART, SPREAD = 0.06, 0.3


def draw(inputs: Inputs) -> Figure:
    """A row a dataset, a column a quantity; bins drawn equally wide, with their bounds as ticks.

    Where the bins are not equally wide the axis says that it is not to scale. Below each bin
    stands how many queries it has. Raises UserError where the csv is another's.
    """
    inputs.filled(NoSettings)
    rows = read_rows(inputs.data, BINS, NEEDED, OPTIONAL)
    shown = titles(row["dataset"] for row in rows)
    columns = [by for by in (*LENGTHS, *POSITIONS) if any(row["by"] == by for row in rows)]
    systems = list(dict.fromkeys((r["model"], r["variant"], r["method"]) for r in rows))
    most = 1 + max(int(row["bin"]) for row in rows)
    wide = max(4.2 + 1.9 * len(columns), 1 + PER_BIN * most * len(columns))
    figure = Figure(figsize=(wide, 0.8 + 2.0 * len(shown)))
    grid = figure.subplots(len(shown), len(columns), squeeze=False, sharey="row")
    for line, dataset in zip(grid, shown, strict=True):
        for axes, by in zip(line, columns, strict=True):
            of_panel = [row for row in rows if (row["dataset"], row["by"]) == (dataset, by)]
            _panel(axes, of_panel, systems)
            scale = "" if _to_scale(_edges(of_panel)) else " (not to scale)"
            axes.set_xlabel(AXES[by] + scale)
        # Markers at 0 are whole, and no interval leaves the panel.
        of_row = [row for row in rows if row["dataset"] == dataset]
        top = max(n for row in of_row for n in (row["value"], row["ci_high"], 10) if n == n)
        line[0].set_ylim(-0.04 * top, 1.04 * top)
        iou = next(row["iou"] for row in rows if row["dataset"] == dataset)
        line[0].set_ylabel(f"{plain(shown[dataset])}\nR@1, IoU={iou:g}, %")
    found = {
        label: handle
        for axes in grid.flat
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(found.values(), found.keys(), loc="outside upper center", ncols=6)
    seeds = max(row["seeds"] for row in rows)
    sourced(
        figure,
        rows[0]["source"],
        "bars: 95 % intervals over the videos of a bin"
        + (f" and {seeds:g} seeds" if seeds > 1 else ", one seed")
        + " (a bootstrap of hits alone, or of none, has no width)"
        + "; n: queries of a bin; a bin holds its lower bound",
    )
    return figure


def _edges(rows: Rows) -> list[float]:
    """The bounds of the bins of a panel, in order."""
    bins = {int(row["bin"]): row for row in rows}
    return [bins[at]["low"] for at in sorted(bins)] + [bins[max(bins)]["high"]]


def _to_scale(edges: list[float]) -> bool:
    """Whether all bins are equally wide, as far as their written bounds tell."""
    widths = [high - low for low, high in itertools.pairwise(edges)]
    return max(widths) - min(widths) < 2.5 * 10**-DECIMALS


def _panel(axes: Axes, rows: Rows, systems: list[tuple[str, str, str]]) -> None:
    spread = min(APART * (len(systems) - 1), SPREAD)
    for number, system in enumerate(systems):
        of_system = [
            row
            for row in rows
            if (row["model"], row["variant"], row["method"]) == system
            and math.isfinite(row["value"])
        ]
        prior = system[0] in BASELINES
        look = PRIOR if prior else SERIES[number % len(SERIES)]
        offset = spread * (number / max(1, len(systems) - 1) - 0.5)
        bins, heights = values(of_system, "bin", "value")
        axes.errorbar(
            [at + offset for at in bins],
            heights,
            yerr=around(of_system, "value", "ci_low", "ci_high"),
            color=look.color,
            linestyle=look.line,
            linewidth=0.6,
            marker=look.marker,
            markersize=4,
            elinewidth=0.8,
            capsize=1.5,
            label=plain(system[2].replace("-prior", " prior")),
        )
    unit = 1 if rows[0]["by"] == "length_s" else 100
    counts = {int(row["bin"]): row for row in rows}
    edges = _edges(rows)
    bounds = [f"{edge * unit:.3g}" for edge in edges]
    axes.set_xticks([at - 0.5 for at in range(len(edges))], bounds)
    axes.grid(axis="x", color="#aaaaaa", linewidth=0.8)  # the borders of the bins
    axes.set_xticks(
        sorted(counts),
        [f"n={counts[at]['queries']:.0f}" for at in sorted(counts)],
        minor=True,
        fontsize=SMALL,
        color="#555555",
    )
    axes.tick_params(axis="x", which="minor", length=0, pad=15)
    axes.set_xlim(-0.5, len(edges) - 1.5)
