"""Figure 3a: R@1, IoU=0.5 against queries a second."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mktn.figures.axes import log_speeds
from mktn.figures.figure import Inputs, NoSettings
from mktn.figures.rows import Rows, around, read_rows
from mktn.figures.style import SERIES, disturbed, plain, sourced
from mktn.report.layouts import titles
from mktn.report.speed_points import POINTS

INPUTS = ("data",)
NEEDED = ("value", "seeds", "qps", "busy")
OPTIONAL = ("ci_low", "ci_high", "qps_low", "qps_high")
REPORTED = "reported R@1 stands in Tables 1 and 2: no speed that could be compared is reported"
ARROW = (
    "an arrow leads to the model with MKTN, which answers together too: Figure 3b parts the two"
)
MODES = {False: "one pair\nat a time", True: "all pairs of a\nvideo together"}


def draw(inputs: Inputs) -> Figure:
    """A point a system with its intervals in both directions, a panel a dataset.

    Hollow where one pair is answered at a time, filled where all pairs of a video are answered
    together; an arrow leads from a model to the same model with knowledge transfer. Raises
    UserError where the csv is another's.
    """
    inputs.filled(NoSettings)
    rows = read_rows(inputs.data, POINTS, NEEDED, OPTIONAL)
    shown = titles(row["dataset"] for row in rows)
    methods = list(dict.fromkeys(row["method"] for row in rows))
    figure = Figure(figsize=(1.7 + 3.3 * len(shown), 3.4))
    for axes, dataset in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        of_dataset = [row for row in rows if row["dataset"] == dataset]
        _panel(axes, of_dataset, methods)
        axes.set_title(plain(shown[dataset]))
    figure.legend(handles=_legend(rows, methods), loc="outside right upper")
    said = dict.fromkeys(row["measured_on"] for row in rows)
    seeds = max(row["seeds"] for row in rows)
    joined = f" and {seeds:g} seeds" if seeds > 1 else ", one seed"
    intervals = f"vertical bars: 95 % intervals over videos{joined}"
    intervals += "; horizontal ones: quartiles over rounds"
    notes = [
        ARROW if any(row["variant"] == "plus_mktn" for row in rows) else "",
        REPORTED if any(row["reported"] for row in rows) else "",
        disturbed(rows),
    ]
    sourced(figure, rows[0]["source"], "; ".join((*said, intervals, *filter(None, notes))))
    return figure


def _panel(axes: Axes, rows: Rows, methods: list[str]) -> None:
    for row in rows:
        look = SERIES[methods.index(row["method"]) % len(SERIES)]
        together = row["mode"] == "multi_pair"
        axes.errorbar(
            [row["qps"]],
            [row["value"]],
            yerr=around([row], "value", "ci_low", "ci_high"),
            xerr=around([row], "qps", "qps_low", "qps_high"),
            color=look.color,
            marker=look.marker,
            markersize=6,
            markerfacecolor=look.color if together else "white",
            markeredgecolor=look.color,
            linewidth=0,
            elinewidth=0.8,
            capsize=2,
            zorder=3,
        )
        origin = [r for r in rows if (r["model"], r["variant"]) == (row["model"], "origin")]
        if row["variant"] == "plus_mktn" and origin:
            axes.annotate(
                "",
                xy=(row["qps"], row["value"]),
                xytext=(origin[0]["qps"], origin[0]["value"]),
                arrowprops={
                    "arrowstyle": "->",
                    "color": look.color,
                    "linewidth": 0.8,
                    "shrinkA": 5,
                    "shrinkB": 5,
                },
                zorder=2,
            )
    log_speeds(axes, "x")
    axes.set_xlabel("queries a second")
    axes.set_ylabel("R@1, IoU=0.5, %")


def _legend(rows: Rows, methods: list[str]) -> list[Line2D]:
    handles = [
        Line2D([], [], color=look.color, marker=look.marker, linewidth=0, label=plain(method))
        for number, method in enumerate(methods)
        for look in [SERIES[number % len(SERIES)]]
    ]
    modes = {row["mode"] == "multi_pair" for row in rows}
    for together, label in MODES.items():
        if together in modes:
            face = "#555555" if together else "white"
            mark = Line2D([], [], color="#555555", marker="o", linewidth=0, label=label)
            mark.set_markerfacecolor(face)
            handles.append(mark)
    return handles
