"""Figure 3b: videos answered a second, of models alone and with knowledge transfer plugged in."""

from matplotlib.figure import Figure

from mktn.datasets.annotations import read_csv
from mktn.figures.figure import Inputs
from mktn.figures.style import SERIES, plain, sourced
from mktn.report.figure_data import COLUMNS
from mktn.report.layouts import titles

INPUTS = ("data",)
MODES = {
    "origin": "alone, one pair at a time",
    "cached": "alone, each video encoded once",
    "multi_pair": "+MKTN, all pairs of a video together",
}


def draw(inputs: Inputs) -> Figure:
    """Bars of the median with its quartiles, a panel a dataset, from figure3b.csv.

    Raises UserError where the csv is another's.
    """
    rows = [row for path in inputs.data for _, row in read_csv(path, COLUMNS["3b"])]
    shown = titles(row["dataset"] for row in rows)
    figure = Figure(figsize=(1.2 + 2.8 * len(shown), 2.8))
    for axes, dataset in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        of_dataset = [row for row in rows if row["dataset"] == dataset]
        methods = list(dict.fromkeys(row["method"] for row in of_dataset))
        for number, (mode, label) in enumerate(MODES.items()):
            found = [
                (methods.index(row["method"]), row) for row in of_dataset if row["mode"] == mode
            ]
            value, low, high = ([float(r[k]) for _, r in found] for k in ("value", "low", "high"))
            axes.bar(
                [at + 0.27 * (number - 1) for at, _ in found],
                value,
                0.25,
                yerr=(
                    [v - b for v, b in zip(value, low, strict=True)],
                    [t - v for v, t in zip(value, high, strict=True)],
                ),
                color=SERIES[number].color,
                hatch=SERIES[number].hatch,
                edgecolor="white",
                error_kw={"linewidth": 0.8, "capsize": 2},
                label=label,
            )
        axes.set_xticks(range(len(methods)), [plain(name) for name in methods])
        axes.set_title(plain(shown[dataset]))
        axes.set_ylabel("videos a second")
        axes.grid(axis="x", visible=False)
        axes.legend(fontsize=6)
    one = rows[0]
    sourced(figure, one["source"], one["measured_on"])
    return figure
