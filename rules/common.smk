# The configuration, checked before any rule is read, and the names that rules share.
import json
import os
import re
import shlex
import sys
from pathlib import Path

from snakemake.common.configfile import load_configfile

from mktn.config import check, check_file, for_dataset, overlay, with_numbers
from mktn.datasets import DATASETS as BENCHMARKS
from mktn.datasets import TEST_SETS
from mktn.engine.rescore import ANNOTATORS, LEAVE_ONE_OUT
from mktn.errors import UserError
from mktn.models.variants import BLIND, VARIANTS, VARIANTS_OF
from mktn.overruled import COMMAND_LINE, overruled
from mktn.process import ENDS_WITH
from mktn.report.layouts import FIGURES, TABLES, tables_of
from mktn.step_code import code

# Jobs end when this process does, also where it is killed: `mktn` reads it. Snakemake in a job on
# a cluster reads this file again, so that it is the process that started the command.
os.environ[ENDS_WITH] = str(os.getpid())

# Where the workflow is, for runs with --directory elsewhere; from here, as the report shows paths
# of rules to others.
WORKFLOW = os.path.relpath(f"{workflow.basedir}/workflow")

try:
    for file in workflow.configfiles:
        check_file(file)
    config.update(with_numbers(config))
    check(config, f"{WORKFLOW}/schemas/config.schema.yaml")
except UserError as error:
    print(f"mktn: {error}", file=sys.stderr)
    sys.exit(2)

# What a person gave over the default, the workflow's own files being part of that. Jobs on a
# cluster read this file again, and say nothing.
HERE = Path(workflow.basedir).resolve()
DEFAULTS = (f"{HERE}/config.yaml", f"{HERE}/workflow/configs/")
if workflow.is_main_process:
    laid_over = [
        (os.path.relpath(file), with_numbers(load_configfile(file)))
        for file in workflow.overwrite_configfiles
        if not str(Path(file).resolve()).startswith(DEFAULTS)
    ]
    laid_over.append((COMMAND_LINE, with_numbers(workflow.config_settings.config)))
    for line in overruled(config, laid_over):
        print(f"mktn: {line}", file=sys.stderr)

SOURCE = config["source"]
# The section that says where a dataset's features come from.
GIVEN = "own" if SOURCE == "own" else "published"
REGISTRY = config["registry"] or f"{WORKFLOW}/sources.tsv"
MIRROR = f"--mirror {shlex.quote(config['mirror'])}" if config["mirror"] else ""
PARTITION = config["pairs"].get("partition", "standard")
STANDARD = PARTITION == "standard"
# Another partition has folders of its own: none of its files stands for another's.
# So has a label, for other settings of the data beside these.
PLACE = "-".join(
    [SOURCE, *([] if STANDARD else [PARTITION]), *filter(None, [config["label"]])]
)
RESULTS = config["results"] if STANDARD else f"{config['results']}/{PARTITION}"
DATASETS = config["datasets"]
DATA = f"data/{PLACE}"
# The tables by the names of their files, and those of the page.
LAYOUTS = {layout.stem: (name, layout) for name, layout in TABLES.items()}
# Figures of runs by the names of their files: those with data of their own, and of tables.
DRAWN = {figure.stem: (name, figure) for name, figure in FIGURES.items()}
ABLATIONS_FIGURE = "figure_ablations"
SHOWN = [TABLES[name].stem for name in tables_of(config)]
RUN = f"runs/{PLACE}/{{dataset}}/{{model}}/{{variant}}/seed{{seed}}"
# Of each training: model, variant, and the name of its rule behind `train_`.
TRAININGS = [
    (model, variant, variant if model == "mktn" else f"{model}_{variant}")
    for model, known in VARIANTS_OF.items()
    for variant in (*known, *(BLIND if model == "mktn" else ()))
]
# Of results/sensitivity.csv: the folder of a changed `full` -> setting and value.
CHANGES = {
    f"full-{setting}-{value:g}": (setting, value)
    for setting, values in config["sensitivity"].items()
    for value in values or ()
}
BASELINE = f"runs/{PLACE}/{{dataset}}/{{baseline}}/baseline/seed{{seed}}"
# Where video features come from: a backbone run here, or files of somebody else's.
IMPORTED = [
    dataset
    for dataset in DATASETS
    if SOURCE in ("published", "own")
    and for_dataset(config, dataset)[GIVEN]["features"] == "imported"
]
EXTRACTED = [dataset for dataset in DATASETS if dataset not in IMPORTED]

# The datasets with test queries that more annotators gave moments, their runs and annotators.
HUMAN_DATASETS = [
    dataset
    for dataset in DATASETS
    if STANDARD and SOURCE not in ("synthetic", "own") and dataset != "tacos"
]
SCORED = f"runs/{PLACE}/{{dataset}}/{{system}}/{{scored}}/seed{{seed}}"
CEILING = f"runs/{PLACE}/{{dataset}}/{ANNOTATORS}/{LEAVE_ONE_OUT}/seed{{seed}}"


wildcard_constraints:
    dataset="|".join(DATASETS if SOURCE == "own" else BENCHMARKS),
    backbone="[a-z0-9_]+",
    table="|".join(LAYOUTS),
    figure="|".join(DRAWN),
    model="|".join(VARIANTS_OF),
    variant="|".join(
        dict.fromkeys(
            (
                *BLIND,
                *map(re.escape, CHANGES),
                *(name for known in VARIANTS_OF.values() for name in known),
            )
        )
    ),
    baseline="|".join(config["baselines"]),
    frames="[0-9]+",
    part="[0-9]+",
    seed="[0-9]+",


def of(dataset, *keys):
    """A section of the configuration as this dataset has it."""
    section = for_dataset(config, dataset)
    for key in keys:
        section = section[key]
    return section


def of_model(dataset, model, key):
    """A section of the configuration as this dataset and model have it.

    The sizes of a model beside mktn are its own; other sections of it lie over those of mktn.
    """
    section = of(dataset).get(key, {})
    if model == "mktn":
        return section
    own = of(dataset)["models"].get(model, {}).get(key, {})
    return own if key in ("sizes", "grounding") else overlay(section, own)


def either(names):
    """A wildcard's constraint: one of the names; where there is none, nothing matches."""
    return "|".join(names) or "(?!)"


def stop(error):
    """End Snakemake with one line about the user's mistake."""
    print(f"mktn: {error}", file=sys.stderr)
    sys.exit(2)


def settings(make):
    """`--settings` of a rule: JSON of what `make(wildcards)` gives, nulls left out."""

    def given(wildcards):
        values = make(wildcards)
        return json.dumps(
            {k: v for k, v in values.items() if v is not None}, sort_keys=True
        )

    return given


def seeded():
    return {"seed": config["seed"]}


def threaded():
    return {"threads": config["threads"]}
