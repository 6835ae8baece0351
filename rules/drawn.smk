# What figures of runs show of the configuration, and the files that they are made of.
from mktn.errors import UserError
from mktn.report.layouts import ABLATIONS, asked_of


def figure_asked(wildcards):
    """The datasets and systems of a figure that the configuration asks for."""
    name, figure = DRAWN[wildcards.figure]
    return asked(figure, f"figure {name}")


def figure_runs(option, name):
    """The file `name` of every run and baseline of a figure that is made of `option`."""

    def given(wildcards):
        figure = DRAWN[wildcards.figure][1]
        datasets, systems = figure_asked(wildcards)
        if option not in figure.made_of:
            return []
        return [
            *trained_files(name, datasets, systems),
            *expand(
                f"{BASELINE}/{name}",
                dataset=datasets,
                baseline=figure.baselines,
                seed=config["seeds"][0],
            ),
        ]

    return given


def figure_pairs(wildcards):
    """The annotations that a figure's queries are binned by."""
    shows = "pairs" in DRAWN[wildcards.figure][1].made_of
    return pairs_files(figure_asked(wildcards)[0]) if shows else []


def figure_efficiency(wildcards):
    """What was measured of the speed of a figure's systems."""
    shows = "efficiency" in DRAWN[wildcards.figure][1].made_of
    return efficiency_files(*figure_asked(wildcards)) if shows else []


def figure_reported(wildcards):
    """The published numbers, where a figure has them."""
    shows = "reported" in DRAWN[wildcards.figure][1].made_of
    return [f"{WORKFLOW}/reported.csv"] if shows else []


def figure_settings(wildcards):
    """Of queries in bins: the IoU of each dataset's table."""
    binned = "predictions" in DRAWN[wildcards.figure][1].made_of
    return table_ious(figure_asked(wildcards)[0]) if binned else {}


def drawn_settings(wildcards):
    """Of ablations: the IoU of each dataset's table."""
    if wildcards.drawn != ABLATIONS_FIGURE:
        return {}
    return table_ious(dict.fromkeys(d for _, shown in ablations() for d in shown))


def table_ious(datasets):
    return {"table_iou": {d: of(d, "evaluation", "table_iou") for d in datasets}}


def drawn_data(wildcards):
    """The csv that a figure is drawn from."""
    if wildcards.drawn == ABLATIONS_FIGURE:
        return [f"{RESULTS}/{stem}.csv" for stem, _ in ablations()]
    return [f"{RESULTS}/{wildcards.drawn}.csv"]


def ablations():
    """The tables of ablations that the configuration asks for and that have a difference to full,
    each with its datasets; one line where there is none."""
    refuse_other_partitions("figure ablations")
    wanted = {str(name) for name in config["report"]["tables"]}
    found = []
    for name, layout in ABLATIONS.items():
        datasets, systems = asked_of(layout, config)
        compared = len(systems) > 1 and ("mktn", "full") in systems
        if name in wanted and datasets and compared:
            found.append((layout.stem, datasets))
    if not found:
        error = UserError(
            "figure ablations has nothing to show",
            where="configuration, variants and report.tables",
            found=", ".join(config["variants"]),
            expected="full and a variant of one of the tables"
            f" {', '.join(ABLATIONS)}, of its datasets",
        )
        stop(error)
    return found
