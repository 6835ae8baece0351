"""Training of Full: each term of its loss and the validation mIoU, epoch by epoch."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mktn.engine.log_columns import COLUMNS
from mktn.figures.axes import whole_epochs
from mktn.figures.figure import Inputs, NoSettings
from mktn.figures.rows import Rows, read_rows, values
from mktn.figures.style import SERIES, plain, sourced
from mktn.report.layouts import titles
from mktn.report.training_curves import CURVES, MEAN, VALIDATION

INPUTS = ("data",)
NUMBERS = ("epoch", "value", "selected")
# A seed among several, and the mean or a seed alone.
SEED, ONE = "#8a8a8a", SERIES[0].color
SELECTED = "selected epoch"


def draw(inputs: Inputs) -> Figure:
    """A row a dataset, a column a term; the selected epoch is marked on each seed's curve.

    Several seeds are thin lines with their mean. Raises UserError where the csv is another's.
    """
    inputs.filled(NoSettings)
    rows = read_rows(inputs.data, CURVES, NUMBERS)
    shown = titles(row["dataset"] for row in rows)
    quantities = [name for name in COLUMNS if any(row["quantity"] == name for row in rows)]
    figure = Figure(figsize=(0.4 + 1.4 * len(quantities), 0.7 + 1.45 * len(shown)))
    grid = figure.subplots(len(shown), len(quantities), squeeze=False, sharex="row")
    titled = set()
    for place, (line, dataset) in enumerate(zip(grid, shown, strict=True)):
        for axes, quantity in zip(line, quantities, strict=True):
            of_panel = [r for r in rows if (r["dataset"], r["quantity"]) == (dataset, quantity)]
            curves(axes, of_panel)
            if of_panel and quantity not in titled:
                titled.add(quantity)
                axes.set_title(_name(quantity), fontsize=8)
            whole_epochs(axes, named=place == len(grid) - 1)
            if not of_panel:
                axes.set_visible(False)
        line[0].set_ylabel(plain(shown[dataset]))
    figure.legend(handles=legend(rows), loc="outside upper right", ncols=3)
    said = f"loss terms are unweighted; {of_runs(rows)}; {_chosen(rows)}"
    sourced(figure, rows[0]["source"], said)
    return figure


def curves(axes: Axes, rows: Rows) -> None:
    """The curves of one quantity: each seed's thin where there are several, and their mean."""
    seeds = list(dict.fromkeys(row["seed"] for row in rows))
    for seed in seeds:
        of_seed = [row for row in rows if row["seed"] == seed]
        color = ONE if seed == MEAN or len(seeds) == 1 else SEED
        epochs, found = values(of_seed, "epoch", "value")
        axes.plot(
            epochs,
            found,
            color=color,
            linewidth=1.3 if color == ONE else 0.7,
            marker="." if len(epochs) == 1 else "",
            zorder=3 if color == ONE else 2,
        )
        selected = [row for row in of_seed if row["selected"]]
        if selected:
            axes.plot(
                *values(selected, "epoch", "value"),
                linewidth=0,
                marker="o",
                markersize=4.5,
                zorder=4,
                markerfacecolor="white",
                markeredgecolor=ONE,
            )
    axes.tick_params(labelsize=7)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]))


def legend(rows: Rows) -> list[Line2D]:
    """What lines and marks mean."""
    several = any(row["seed"] == MEAN for row in rows)
    handles = [
        Line2D([], [], color=ONE, label="mean, while all seeds train" if several else "Full")
    ]
    if several:
        handles.append(Line2D([], [], color=SEED, linewidth=0.7, label="one seed"))
    mark = Line2D(
        *([], []), linewidth=0, marker="o", markersize=4.5, markerfacecolor="white",
        markeredgecolor=ONE, label=SELECTED,
    )  # fmt: skip
    return [*handles, mark]


def of_runs(rows: Rows) -> str:
    """Which runs these are: model, variant and seeds."""
    seeds = [seed for seed in dict.fromkeys(row["seed"] for row in rows) if seed != MEAN]
    one = rows[0]
    return f"{one['model']}/{one['variant']}, seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}"


def _chosen(rows: Rows) -> str:
    """On which videos the epoch was selected."""
    by_dataset = {row["dataset"]: row["validation"].replace("_", "-") for row in rows}
    videos = ", ".join(f"{title} {by_dataset[d]}" for d, title in titles(by_dataset).items())
    return f"validation videos: {videos}"


def _name(quantity: str) -> str:
    return "validation mIoU, %" if quantity == VALIDATION else rf"$L_\mathrm{{{quantity}}}$"
