"""Figure 3b: videos answered a second, of models alone and with knowledge transfer plugged in."""

import math
from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mktn.figures.axes import log_speeds
from mktn.figures.figure import Inputs, NoSettings
from mktn.figures.rows import Rows, around, read_rows, values
from mktn.figures.style import SERIES, SMALL, disturbed, plain, sourced
from mktn.report.layouts import titles
from mktn.report.speed_points import BARS

INPUTS = ("data",)
NEEDED = ("value", "busy")
OPTIONAL = ("low", "high", "reported")
MODES = {
    (True, "origin"): "alone, one pair at a time",
    (True, "cached"): "alone, each video encoded once",
    (True, "multi_pair"): "alone, all pairs of a video together",
    (False, "multi_pair"): "+MKTN, all pairs of a video together",
}
GROUP = 0.82  # bars of a method take up, between methods that are 1 apart
LOGARITHMIC = 50.0  # largest over smallest speed of a panel


def draw(inputs: Inputs) -> Figure:
    """Bars of the median with its quartiles, a panel a dataset; reported speeds in their own.

    A model alone stands in each mode, so that what answering together gains is not taken for the
    gain of +MKTN.

    Raises UserError where the csv is another's.
    """
    inputs.filled(NoSettings)
    rows = read_rows(inputs.data, BARS, NEEDED, OPTIONAL)
    shown = titles(row["dataset"] for row in rows)
    printed = [row for row in rows if math.isfinite(row["reported"])]
    reported = titles(row["dataset"] for row in printed)
    widths = [
        0.7 + 1.0 * len({r["method"] for r in some if r["dataset"] == dataset})
        for some, names in ((rows, shown), (printed, reported))
        for dataset in names
    ]
    figure = Figure(figsize=(max(4.5, sum(widths)), 3.2))
    panels = figure.subplots(1, len(widths), squeeze=False, width_ratios=widths)[0]
    for axes, dataset in zip(panels, shown, strict=False):
        _panel(axes, [row for row in rows if row["dataset"] == dataset], "value")
        axes.set_title(f"{plain(shown[dataset])}, measured")
        axes.set_ylabel("videos a second")
    for axes, dataset in zip(panels[len(shown) :], reported, strict=True):
        _panel(axes, [row for row in printed if row["dataset"] == dataset], "reported")
        axes.set_title(f"{plain(reported[dataset])}, reported")
        axes.set_facecolor("#f4f4f4")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2)
    said = dict.fromkeys(row["measured_on"] for row in rows)
    if reported:
        said["reported: by the MKTN paper, on its own machine and videos"] = None
    if busy := disturbed(rows):
        said[busy] = None
    sourced(figure, rows[0]["source"], "; ".join(said))
    return figure


def _mode(row: Mapping[str, Any]) -> tuple[bool, str]:
    """Of MODES: whether the model is as it is, and how it was asked."""
    return row["variant"] == "origin", row["mode"]


def _panel(axes: Axes, rows: Rows, column: str) -> None:
    methods = list(dict.fromkeys(row["method"] for row in rows))
    there = {_mode(row) for row in rows}
    modes = {mode: place for place, mode in enumerate(mode for mode in MODES if mode in there)}
    wide = min(0.27, GROUP / len(modes))
    for mode, place in modes.items():
        of_mode = [row for row in rows if _mode(row) == mode]
        look = SERIES[list(MODES).index(mode)]
        (heights,) = values(of_mode, column)
        offset = wide * (place - (len(modes) - 1) / 2)
        bars = axes.bar(
            [methods.index(row["method"]) + offset for row in of_mode],
            heights,
            wide - 0.02,
            yerr=around(of_mode, "value", "low", "high") if column == "value" else None,
            color=look.color,
            hatch=look.hatch,
            edgecolor="white",
            error_kw={"linewidth": 0.8, "capsize": 2},
            label=MODES[mode],
        )
        texts = [f"{height:,.{0 if height >= 100 else 1}f}" for height in heights]
        axes.bar_label(bars, texts, fontsize=SMALL, padding=2)
    axes.set_xticks(range(len(methods)), [plain(name) for name in methods])
    axes.set_xlim(-0.6, len(methods) - 0.4)
    axes.grid(axis="x", visible=False)
    axes.set_axisbelow(True)
    axes.margins(y=0.12)
    axes.yaxis.set_major_formatter("{x:,.10g}")
    drawn = [row[column] for row in rows if row[column] > 0]
    if drawn and max(drawn) > LOGARITHMIC * min(drawn):
        log_speeds(axes, "y")
