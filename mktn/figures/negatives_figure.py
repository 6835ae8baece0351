"""The threshold of Eq. 2 over training, and the negative set that it leaves."""

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mktn.figures.axes import whole_epochs
from mktn.figures.figure import Inputs, NoSettings
from mktn.figures.rows import read_rows, values
from mktn.figures.style import SERIES, plain, sourced
from mktn.figures.training_figure import NUMBERS, of_runs
from mktn.report.layouts import titles
from mktn.report.training_curves import CURVES, MEAN

INPUTS = ("data",)
# Row of the panel -> quantity -> its series and name.
PANELS = (
    {
        "threshold": (SERIES[0], "threshold φ"),
        "negative_share": (SERIES[1], "share of unrelated pairs below φ"),
    },
    {"negatives": (SERIES[2], "size of a query's negative set, videos")},
)


def draw(inputs: Inputs) -> Figure:
    """A column a dataset: above phi and the share of pairs below it, below the set's size.

    Several seeds are thin lines with their mean. Raises UserError where the csv is another's.
    """
    inputs.filled(NoSettings)
    rows = read_rows(inputs.data, CURVES, NUMBERS)
    shown = titles(row["dataset"] for row in rows)
    figure = Figure(figsize=(max(4.2, 1.0 + 2.4 * len(shown)), 3.7))
    grid = figure.subplots(2, len(shown), squeeze=False, sharex="col")
    for at, dataset in enumerate(shown):
        for axes, quantities in zip(grid[:, at], PANELS, strict=True):
            for quantity, (look, _) in quantities.items():
                found = [r for r in rows if (r["dataset"], r["quantity"]) == (dataset, quantity)]
                seeds = list(dict.fromkeys(row["seed"] for row in found))
                for seed in seeds:
                    of_seed = [row for row in found if row["seed"] == seed]
                    main = seed == MEAN or len(seeds) == 1
                    axes.plot(
                        *values(of_seed, "epoch", "value"),
                        color=look.color,
                        linestyle=look.line,
                        linewidth=1.4 if main else 0.6,
                        alpha=1 if main else 0.5,
                        marker="." if len(of_seed) == 1 else "",
                    )
        grid[0, at].sharey(grid[0, 0])
        grid[1, at].set_ylim(bottom=0)
        grid[0, at].set_title(plain(shown[dataset]))
        whole_epochs(grid[1, at])
    grid[0, 0].set_ylabel("φ, share")
    grid[1, 0].set_ylabel("videos")
    handles = [
        Line2D([], [], color=look.color, linestyle=look.line, label=label)
        for quantities in PANELS
        for look, label in quantities.values()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=3 if len(shown) > 2 else 1)
    several = "; thin: one seed, thick: their mean while all train" * any(
        row["seed"] == MEAN for row in rows
    )
    sourced(figure, rows[0]["source"], f"{of_runs(rows)}{several}")
    return figure
