"""All tables by the names of `mktn tables --table`, and what ours deviate in."""

from collections.abc import Iterable, Mapping
from typing import Any

from mktn.report.ianet_layouts import IANET_TABLES
from mktn.report.lines import Layout, Shown, System
from mktn.report.mktn_layouts import FIGURES, MKTN_TABLES

__all__ = ["ABLATIONS", "DATASET_TITLES", "FIGURES", "TABLES", "asked_of", "tables_of", "titles"]

TABLES: dict[str, Layout] = {**MKTN_TABLES, **IANET_TABLES}
# Those of ablations: every line is a variant of mktn, compared with its full.
ABLATIONS = {
    name: layout
    for name, layout in TABLES.items()
    if {model for model, _ in layout.systems} == {"mktn"}
}
DATASET_TITLES = {
    "activitynet": "ActivityNet Captions",
    "charades": "Charades-STA",
    "tacos": "TACoS",
}
REFERENCE = "full"  # of mktn: what every other variant of it is compared with
# What stands in the way of comparing a model's measured numbers with the reported ones, with
# published features too.
DEVIATIONS = {
    "mktn": "the paper leaves open what docs/equations.md says; comparable with its own paper's.",
    "ianet": "after its paper, not its released code; comparable with its own paper's, on TACoS"
    " only with `tacos_version: tall`.",
    "tan2d": "architecture and loss as published; comparable on ActivityNet Captions and TACoS,"
    " on Charades-STA only with VGG features, which its reported numbers are of.",
    "mmn": "GloVe words and a GRU in place of DistilBERT; not comparable.",
    "lcnet": "no code is public, a reimplementation from its paper; not comparable.",
}


def titles(datasets: Iterable[str]) -> dict[str, str]:
    """dataset -> its title, in printed order: the benchmarks, then a user's own by their names."""
    given = set(datasets)
    own = {name: name for name in sorted(given - set(DATASET_TITLES))}
    return {d: title for d, title in DATASET_TITLES.items() if d in given} | own


def asked_of(shown: Shown, config: Mapping[str, Any]) -> tuple[list[str], list[System]]:
    """What a table or figure can show of a configuration: its datasets, and its systems.

    Models are those of `systems`, of mktn the `variants`.
    """
    source = config["source"]
    datasets = [dataset for dataset in config["datasets"] if shown.holds(dataset, source)]
    systems = [
        (model, variant)
        for model, variant in shown.systems
        if model in config["systems"] and (model != "mktn" or variant in config["variants"])
    ]
    return datasets, systems


def tables_of(config: Mapping[str, Any]) -> list[str]:
    """The configured tables that have something to show, in the order of TABLES."""
    wanted = {str(name) for name in config["tables"]}
    return [
        name for name, layout in TABLES.items() if name in wanted and all(asked_of(layout, config))
    ]
