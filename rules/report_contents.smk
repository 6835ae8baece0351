# What the report holds: results, how each is shown, and the runs that they are made from.
from pathlib import Path

from mktn.errors import UserError
from mktn.figures.figure import DRAWN as DRAWABLE
from mktn.report.layouts import FIGURES, TABLES, asked_of, tables_of

CAPTIONS = "../workflow/report"
# The figures by their names in the configuration: the stems of their files, and their labels.
FIGURE_FILES = {
    "3a": ("figure3a", "Figure 3a: R@1 against queries a second"),
    "3b": ("figure3b", "Figure 3b: videos a second before and after"),
    "3c": ("figure3c", "Figure 3c: what the models answer"),
    "ianet5": ("ianet_figure5", "Figure 5 of IA-Net: its attention maps"),
    "training": ("figure_training", "Losses over training"),
    "negatives": ("figure_negatives", "Threshold and negatives over training"),
    "lengths": ("figure_lengths", "R@1 by length of the moment"),
    "positions": ("figure_positions", "R@1 by position of the moment"),
    "ablations": ("figure_ablations", "Ablations: differences to full"),
}
# Pages beside the tables: their categories and labels.
PAGES = {
    "efficiency": ("Efficiency", "Videos and queries a second, cost and memory"),
    "diagnostics": ("Diagnostics", "What full answers by, and what without"),
    "provenance": ("Provenance", "Programs, trainings and configuration"),
}
FIGURE_LABELS = dict(FIGURE_FILES.values())
# Rules are parsed for other partitions too, of which there is no report.
REPORTED_TABLES = tables_of({**config, "tables": config["report"]["tables"]})
# How the report shows results, as in report("results/figure3b.svg", **SHOWN_FIGURE): by the name
# of the file alone, so several figures of one rule are marked at once. One label a result, as of
# two Snakemake makes a switch where the second has two values, each of half of the results, and
# its menu breaks.
SHOWN_FIGURE = {
    "caption": f"{CAPTIONS}/figures.rst",
    "category": "Figures",
    "labels": lambda w, output: {"Figure": FIGURE_LABELS[Path(output.svg).stem]},
}
SHOWN_TABLE = {
    "caption": f"{CAPTIONS}/tables.rst",
    "category": lambda w, output: f"Tables of {LAYOUTS[Path(output.html).stem][1].paper}",
    "labels": lambda w, input: {"Table": heading_of(input.markdown)},
}
SHOWN_PAGE = {
    "caption": f"{CAPTIONS}/pages.rst",
    "category": lambda w, output: PAGES[Path(output.html).stem][0],
    "labels": lambda w, output: {"Page": PAGES[Path(output.html).stem][1]},
}
SHOWN_DATA = {
    "caption": f"{CAPTIONS}/data.rst",
    "category": "Data",
    "labels": lambda w, output: {"File": Path(output.csv).name},
}
SHOWN_LATEX = {
    **SHOWN_DATA,
    "labels": lambda w, output: {"File": Path(output.latex).name},
}


def heading_of(markdown):
    """The first line of a table, which the report calls it by."""
    with open(markdown, encoding="utf-8") as file:
        return file.readline().removeprefix("#").strip()


def shows_figure(name):
    """Whether a figure has something to show of the configuration."""
    if name not in DRAWABLE:
        return False
    if name in FIGURES:
        return all(asked_of(FIGURES[name], config))
    if name == "ablations":
        return bool(ablation_tables())
    if name == "ianet5":
        return "ianet" in config["systems"]
    return "mktn" in config["systems"] and "full" in config["variants"]


def ablation_tables():
    """The tables whose variants can be set against full."""
    layouts = [TABLES[str(number)] for number in range(3, 8)]
    found = [(layout, *asked_of(layout, config)) for layout in layouts]
    return [
        layout
        for layout, datasets, systems in found
        if datasets and len(systems) > 1 and ("mktn", "full") in systems
    ]


def report_figures():
    return [name for name in config["report"]["figures"] if shows_figure(str(name))]


def report_files(wildcards):
    """Everything that the report shows; one line where the configuration leaves nothing."""
    refuse_other_partitions("the report")
    pages = [TABLES[name].stem for name in REPORTED_TABLES]
    figures = [FIGURE_FILES[name][0] for name in report_figures()]
    pages += config["report"]["pages"]
    if not pages + figures:
        named = config["report"]["tables"] + config["report"]["figures"]
        error = UserError(
            "no table or figure has one of these datasets, systems and variants",
            where="configuration, report",
            found=", ".join(map(str, named)) or "nothing",
            expected="at least one",
            do="add to datasets, systems or variants, or name others",
        )
        stop(error)
    return [
        *(f"{RESULTS}/{stem}.html" for stem in [*pages, "provenance"]),
        *(f"{RESULTS}/{stem}.svg" for stem in figures),
    ]


def report_runs(wildcards):
    """config.json of the trainings that the report's tables and figures are made from."""
    figures = report_figures()
    shown = [TABLES[name] for name in REPORTED_TABLES]
    shown += [FIGURES[name] for name in figures if name in FIGURES]
    shown += ablation_tables() if "ablations" in figures else []
    found = [trained_files("config.json", *asked_of(one, config)) for one in shown]
    others = [("mktn", "full")] if "3c" in figures or config["report"]["pages"] else []
    others += [("ianet", "full")] if "ianet5" in figures else []
    found.append(trained_files("config.json", DATASETS, others))
    return list(dict.fromkeys(path for paths in found for path in paths))
