# The configuration, checked before any rule is read, and the names that rules share.
import json
import os
import shlex
import sys
from pathlib import Path

from mktn.config import check, for_dataset, with_numbers
from mktn.datasets.registry import read_registry
from mktn.errors import UserError
from mktn.models.variants import BLIND, VARIANTS
from mktn.report.layouts import TABLES

# Where the workflow is, for runs with --directory elsewhere.
REPOSITORY = workflow.basedir

config.update(with_numbers(config))

try:
    check(config, f"{REPOSITORY}/workflow/schemas/config.schema.yaml")
except UserError as error:
    print(f"mktn: {error}", file=sys.stderr)
    sys.exit(2)

PUBLISHED_PATHS = {
    "file": "a file of features, or a folder with one a video",
    "fps_table": "a table of video_id and fps",
    "videos": "a folder of the videos, named by their ids",
    "weights": "weights of the backbone, as published",
}
SOURCE = config["source"]
REGISTRY = config["registry"] or f"{REPOSITORY}/workflow/sources.tsv"
MIRROR = f"--mirror {shlex.quote(config['mirror'])}" if config["mirror"] else ""
RESULTS = config["results"]
DATASETS = config["datasets"]
DATA = f"data/{SOURCE}"
# The tables that have something to show of these datasets and variants.
SHOWN = [
    number
    for number, layout in TABLES.items()
    if {*layout.datasets} & {*DATASETS} and {*layout.variants} & {*config["variants"]}
]
RUN = f"runs/{SOURCE}/{{dataset}}/{config['model']}/{{variant}}/seed{{seed}}"
BASELINE = f"runs/{SOURCE}/{{dataset}}/{{baseline}}/baseline/seed{{seed}}"
# Where video features come from: a backbone run here, or files of somebody else's.
IMPORTED = [
    dataset
    for dataset in DATASETS
    if SOURCE == "published"
    and for_dataset(config, dataset)["published"]["features"] == "imported"
]
EXTRACTED = [dataset for dataset in DATASETS if dataset not in IMPORTED]


wildcard_constraints:
    dataset="activitynet|charades|tacos",
    backbone="[a-z0-9_]+",
    table="|".join(map(str, TABLES)),
    variant="|".join((*VARIANTS, *BLIND)),
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


def either(names):
    """A wildcard's constraint: one of the names; where there is none, nothing matches."""
    return "|".join(names) or "(?!)"


def stop(error):
    """End Snakemake with one line about the user's mistake."""
    print(f"mktn: {error}", file=sys.stderr)
    sys.exit(2)


def mirrored(given, where, what):
    """A file of the mirror, plain or .gz; without a mirror, where its download puts it.

    Absolute paths are nobody's but the user's. `where` in the configuration it is named, and
    `what` it should be, are for the user who named one that is not there.
    """
    path = os.path.join(config["mirror"] or "", given)
    if config["mirror"] is None and not os.path.isabs(given):
        name = next(
            (f.name for f in read_registry(Path(REGISTRY)) if f.path == given), None
        )
        if name is not None:
            return f"{DATA}/files/{name}/{given}"
    for form in (path, f"{path}.gz"):
        if os.path.exists(form):
            return form
    stop(
        UserError(
            "file is missing",
            where=path,
            expected=f"{what}, as {where} names it",
            do="put it there or name another; `mktn download --list` says where files come from",
        )
    )


def published_path(dataset, key):
    """What the section `published` names, a file or folder of the mirror."""
    where = f"per_dataset.{dataset}.published.{key}"
    given = of(dataset, "published", key)
    if given is None:
        stop(
            UserError(
                "path is missing",
                where=f"configuration, {where}",
                expected=PUBLISHED_PATHS[key],
                do="name it there; docs/data.md says what there is",
            )
        )
    return mirrored(given, where, PUBLISHED_PATHS[key])


def extraction_inputs(wildcards):
    """The videos and the weights; weights of ours have their recipe beside them."""
    if SOURCE == "synthetic":
        weights = f"{DATA}/backbones/{wildcards.backbone}.safetensors"
        return {
            "videos": f"{DATA}/videos/{wildcards.dataset}",
            "weights": weights,
            "recipe": weights.replace(".safetensors", ".json"),
        }
    return {
        key: published_path(wildcards.dataset, key) for key in ("videos", "weights")
    }


def import_inputs(wildcards):
    """The feature file, and the table of frame rates where one is named."""
    dataset = wildcards.dataset
    inputs = {"file": published_path(dataset, "file")}
    if of(dataset, "published", "fps_table") is not None:
        inputs["fps_table"] = published_path(dataset, "fps_table")
    return inputs


def fps_table(wildcards):
    """The option that names the table of frame rates, or nothing."""
    return "".join(
        f"--fps-table {shlex.quote(path)}"
        for key, path in import_inputs(wildcards).items()
        if key == "fps_table"
    )


def settings(make):
    """`--settings` of a rule: JSON of what `make(wildcards)` gives, nulls left out."""

    def given(wildcards):
        values = make(wildcards)
        return json.dumps(
            {k: v for k, v in values.items() if v is not None}, sort_keys=True
        )

    return given


def resampled(wildcards):
    """The T store that training on this dataset reads."""
    features = of(wildcards.dataset, "features")
    store = f"{features['backbone']}-T{features['frames']}.zarr"
    return f"{DATA}/features/{wildcards.dataset}/{store}"


def seeded():
    return {"seed": config["seed"]}


def threaded():
    return {"threads": config["threads"]}


def word_vectors(wildcards):
    """The file of published vectors, in the mirror unless the path is absolute, or nothing."""
    given = of(wildcards.dataset, "word_vectors")
    if given == "trained":
        return []
    return mirrored(given, "word_vectors", "a file of word vectors")


def published_skipthought(wildcards):
    """The folder of the published encoders, where they are asked for."""
    if of(wildcards.dataset, "text", "sentence") != "published":
        return []
    what = "the folder of the published encoders"
    return mirrored(
        of(wildcards.dataset, "published_skipthought"), "published_skipthought", what
    )


def training_settings(variant):
    """What `mktn train` of a variant is told."""

    def given(wildcards):
        sections = {
            key: of(wildcards.dataset, key)
            for key in ("sizes", "losses", "loader", "train")
        }
        return {
            "source": SOURCE,
            "dataset": wildcards.dataset,
            "model": config["model"],
            "variant": "full" if variant in BLIND else variant,
            "seed": int(wildcards.seed),
            "device": config["device"],
            "threads": config["threads"],
            **sections,
            "loader": {**sections["loader"], "hidden": BLIND.get(variant)},
        }

    return given


def evaluation_settings(wildcards):
    """What `mktn evaluate` is told: the protocol."""
    return {
        "source": SOURCE,
        "dataset": wildcards.dataset,
        "device": config["device"],
        **seeded(),
        **threaded(),
        "loader": of(wildcards.dataset, "loader"),
        "validation": validation(wildcards.dataset),
        **of(wildcards.dataset, "evaluation"),
    }


def validation(dataset):
    """Which videos the epoch was selected on: Charades-STA has no validation split."""
    fixed = {"charades": "held_out", "tacos": "official"}
    return fixed.get(dataset) or of(dataset, "pairs", "validation")


def table_datasets(wildcards):
    """The datasets of a table that the configuration has."""
    return asked(wildcards, "datasets", TABLES[int(wildcards.table)].datasets)


def table_variants(wildcards):
    """The variants of a table that the configuration asks for."""
    return asked(wildcards, "variants", TABLES[int(wildcards.table)].variants)


def asked(wildcards, key, theirs):
    """What the configuration asks for of a table's own; where that is nothing, one line says so."""
    found = [name for name in config[key] if name in theirs]
    if not found:
        error = UserError(
            f"table {wildcards.table} holds none of these",
            where=f"configuration, {key}",
            found=", ".join(config[key]),
            expected=f"at least one of {', '.join(theirs)}",
            do=f"add it to {key}, or ask for another table",
        )
        stop(error)
    return found


def table_files(name):
    """The file `name` of every run that a table shows, the baselines' last."""

    def given(wildcards):
        return run_files(name, table_datasets(wildcards), table_variants(wildcards))

    return given


def diagnosed_files(name):
    """The file `name` of full, its blind twins and the baselines."""
    return run_files(name, DATASETS, ["full", *BLIND])


def run_files(name, datasets, variants):
    """The file `name` of runs with every seed, and of the baselines behind them."""
    seeds, baselines = config["seeds"], config["baselines"]
    return [
        *expand(f"{RUN}/{name}", dataset=datasets, variant=variants, seed=seeds),
        *expand(
            f"{BASELINE}/{name}", dataset=datasets, baseline=baselines, seed=seeds[0]
        ),
    ]


def print_rejected():
    """How many pairs were left out, and where they are listed."""
    for dataset in DATASETS:
        path = f"{DATA}/groups/{dataset}/rejected.parquet"
        if os.path.exists(path):
            import polars

            count = polars.scan_parquet(path).select(polars.len()).collect().item()
            if count:
                print(
                    f"{dataset}: {count} pairs rejected, listed with reasons in {path}"
                )
