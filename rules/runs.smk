# What training and evaluation are told, and the files of runs that a table shows.
import os

from mktn.datasets import TEST_SETS
from mktn.engine.rescore import HUMAN_SETS
from mktn.errors import UserError
from mktn.models.variants import BLIND
from mktn.report.layouts import TABLES


def training_settings(model, variant):
    """What `mktn train` of a model's variant is told."""

    def given(wildcards):
        sections = {
            key: of_model(wildcards.dataset, model, key)
            for key in ("sizes", "losses", "grounding", "loader", "train")
        }
        return {
            "source": SOURCE,
            "dataset": wildcards.dataset,
            "partition": PARTITION,
            "model": model,
            "variant": "full" if variant in BLIND else variant,
            "seed": int(wildcards.seed),
            "device": config["device"],
            "threads": config["threads"],
            "processes": config["processes"],
            **sections,
            "loader": {**sections["loader"], "hidden": BLIND.get(variant)},
        }

    return given


def event_files(model):
    """The option for TensorBoard's event files beside the model, where they are asked for."""
    folder = f"{os.path.dirname(model)}/tensorboard"
    return f"--tensorboard {folder}" if config["tensorboard"] else ""


def evaluation_settings(wildcards):
    """What `mktn evaluate` is told: the protocol."""
    return {
        "source": SOURCE,
        "dataset": wildcards.dataset,
        "partition": PARTITION,
        "device": config["device"],
        **seeded(),
        **threaded(),
        "loader": of_model(wildcards.dataset, wildcards.get("model", "mktn"), "loader"),
        "validation": validation(wildcards.dataset),
        **of(wildcards.dataset, "evaluation"),
    }


def validation(dataset):
    """Which videos the epoch was selected on: Charades-STA and CG have no validation split."""
    if not STANDARD:
        return {"cd": "official", "cg": "held_out"}[PARTITION]
    if SOURCE == "own":
        return "own"
    fixed = {"charades": "held_out", "tacos": "official"}
    return fixed.get(dataset) or of(dataset, "pairs", "validation")


def table_datasets(wildcards):
    """The datasets of a table that the configuration has."""
    theirs = TABLES[int(wildcards.table)].datasets
    return asked(wildcards, "datasets", DATASETS if SOURCE == "own" else theirs)


def table_variants(wildcards):
    """The variants of a table that the configuration asks for."""
    return asked(wildcards, "variants", TABLES[int(wildcards.table)].variants)


def asked(wildcards, key, theirs):
    """What the configuration asks for of a table's own; where that is nothing, one line says so."""
    refuse_other_partitions(f"table {wildcards.table}")
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


def refuse_other_partitions(what):
    """One line where `what` is asked of a partition that it is not made of."""
    if not STANDARD:
        stop(
            UserError(
                f"{what} is of the standard partition",
                where="configuration, pairs.partition",
                found=PARTITION,
                expected="standard",
                do=f"ask for {RESULTS}/test_sets.md",
            )
        )


def table_files(name):
    """The file `name` of every run that a table shows, the baselines' last."""

    def given(wildcards):
        return run_files(name, table_datasets(wildcards), table_variants(wildcards))

    return given


def diagnosed_files(name):
    """The file `name` of full, its blind twins and the baselines."""

    def given(wildcards):
        refuse_other_partitions("the diagnostics page")
        return run_files(name, DATASETS, ["full", *BLIND])

    return given


def run_files(name, datasets, variants):
    """The file `name` of runs with every seed, and of the baselines behind them."""
    seeds, baselines = config["seeds"], config["baselines"]
    return [
        *expand(
            f"{RUN}/{name}",
            dataset=datasets,
            model=config["model"],
            variant=variants,
            seed=seeds,
        ),
        *expand(
            f"{BASELINE}/{name}", dataset=datasets, baseline=baselines, seed=seeds[0]
        ),
    ]


def scored_files():
    """metrics.json of every test set of the partition: systems, then annotators."""
    variants = config["variants"]
    if not STANDARD:
        names = [f"metrics-{test_set}.json" for test_set in TEST_SETS[PARTITION]]
        return [path for name in names for path in run_files(name, DATASETS, variants)]
    humans = [f"metrics-{name}.json" for name in HUMAN_SETS]
    return [
        *run_files("metrics.json", DATASETS, variants),
        *(
            path
            for name in humans
            for path in (
                *run_files(name, HUMAN_DATASETS, variants),
                *expand(
                    f"{CEILING}/{name}",
                    dataset=HUMAN_DATASETS,
                    seed=config["seeds"][0],
                ),
            )
        ),
    ]


def print_rejected():
    """How many pairs were left out, and where they are listed."""
    for dataset in DATASETS:
        path = f"{DATA}/groups/{dataset}/rejected.parquet"
        if os.path.exists(path):
            from mktn.parquet import read_parquet

            try:
                count = read_parquet(path, ["pair_id"]).height
            except UserError as error:
                print(f"mktn: {error}")  # the jobs are done
                continue
            if count:
                print(
                    f"{dataset}: {count} pairs rejected, listed with reasons in {path}"
                )
