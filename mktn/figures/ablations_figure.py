"""What each ablation costs: its difference to Full with its interval, as a forest plot."""

import dataclasses
import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mktn.errors import UserError
from mktn.figures.figure import Inputs
from mktn.figures.rows import Rows, read_rows
from mktn.figures.style import SERIES, plain, sourced
from mktn.report.layouts import ABLATIONS, titles
from mktn.report.rows import COLUMNS

INPUTS = ("data",)
NUMBERS = ("n", "iou", "seeds", "difference", "difference_low", "difference_high")
COLOR = SERIES[0].color


@dataclasses.dataclass(frozen=True)
class Settings:
    """By dataset the IoU of its table."""

    table_iou: dict[str, float]


def draw(inputs: Inputs) -> Figure:
    """A row of panels a dataset, a column R@n at the IoU of its table, a line a variant.

    Filled where the interval excludes 0, hollow where it does not. Raises UserError where a csv is
    of another table, and where no variant has a difference.
    """
    table_iou = inputs.filled(Settings).table_iou
    rows = read_rows(inputs.data, COLUMNS, (), NUMBERS)
    rows = [row for row in rows if math.isfinite(row["difference"])]
    for row in rows:
        if row["dataset"] not in table_iou:
            raise UserError(
                "no IoU of a dataset's table",
                where=f"--settings.table_iou.{row['dataset']}",
                found="none",
                expected="a number, as 0.5",
            )
    rows = [r for r in rows if r["metric"] == "R" and r["iou"] == table_iou[r["dataset"]]]
    if not rows:
        raise UserError(
            "no difference to Full",
            where=", ".join(map(str, inputs.data)),
            found="no row with one, at the IoU of its table",
            expected="full and another variant",
            do="add both to variants",
        )
    shown = titles(row["dataset"] for row in rows)
    ns = sorted({row["n"] for row in rows})
    named = _names(rows)
    lines = {d: [v for v in named if any(_is(r, d, v) for r in rows)] for d in shown}
    heights = [len(variants) + 2.0 for variants in lines.values()]
    longest = max(map(len, named.values()))
    figure = Figure(figsize=(0.4 + 0.06 * longest + 2.6 * len(ns), 0.9 + 0.19 * sum(heights)))
    grid = figure.subplots(len(shown), len(ns), squeeze=False, sharex="row", height_ratios=heights)
    for panels, (dataset, variants) in zip(grid, lines.items(), strict=True):
        for axes, n in zip(panels, ns, strict=True):
            _panel(axes, [r for r in rows if r["dataset"] == dataset and r["n"] == n], variants)
            metric = f"R@{n:.0f}, IoU={table_iou[dataset]:g}"
            title = f"{plain(shown[dataset])}: {metric}" if n == ns[0] else metric
            axes.set_title(title, loc="left")
        panels[0].set_yticks(range(len(variants)), [plain(named[v]) for v in variants])
    for axes in grid[-1]:
        axes.set_xlabel("difference to Full, points")
    figure.legend(handles=_legend(), loc="outside upper right", ncols=2)
    seeds = sorted({row["seeds"] for row in rows})
    said = " or ".join(f"{count:g}" for count in seeds) + f" seed{'s' * (seeds[-1] > 1)} a variant"
    sourced(
        figure,
        rows[0]["source"],
        f"95 % intervals of a paired bootstrap over videos{' and of seeds' * (seeds[-1] > 1)},"
        f" {said}; of variants that change nothing, about one in twenty would exclude 0",
    )
    return figure


def _is(row: dict[str, object], dataset: str, variant: str) -> bool:
    return (row["dataset"], row["variant"]) == (dataset, variant)


def _names(rows: Rows) -> dict[str, str]:
    """variant -> its printed name, in the order of the tables."""
    found = {row["variant"] for row in rows}
    names = {
        line.variant: line.name
        for layout in ABLATIONS.values()
        for line in layout.lines
        if line.variant in found
    }
    for variant in found - set(names):
        raise UserError(
            "variant is in no table of ablations", where="--data", found=variant,
            expected=f"tables {', '.join(ABLATIONS)}",
        )  # fmt: skip
    return names


def _table(variant: str) -> str:
    """The first table that it stands in."""
    return next(name for name, of in ABLATIONS.items() if ("mktn", variant) in of.systems)


def _panel(axes: Axes, rows: Rows, variants: list[str]) -> None:
    axes.axvline(0, color="#555555", linewidth=0.8, zorder=1)
    for row in rows:
        low, high = row["difference_low"], row["difference_high"]
        axes.errorbar(
            [row["difference"]],
            [variants.index(row["variant"])],
            xerr=[[row["difference"] - low], [high - row["difference"]]],
            marker="o",
            markersize=5,
            elinewidth=1.0,
            capsize=2,
            zorder=3,
            color=COLOR,
            markerfacecolor=COLOR if low > 0 or high < 0 else "white",
        )
    # A line between the variants of two tables.
    for at in range(1, len(variants)):
        if _table(variants[at]) != _table(variants[at - 1]):
            axes.axhline(at - 0.5, color="#bbbbbb", linewidth=0.6, linestyle=":")
    axes.set_yticks(range(len(variants)), [""] * len(variants))
    axes.set_ylim(len(variants) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    # Zero is within, and no interval touches the frame.
    axes.margins(x=0.08)


def _legend() -> list[Line2D]:
    return [
        Line2D(
            *([], []), color=COLOR, marker="o", markersize=5, linewidth=1.0, label=label,
            markerfacecolor=face,
        )
        for face, label in ((COLOR, "interval excludes 0"), ("white", "interval holds 0"))
    ]  # fmt: skip
