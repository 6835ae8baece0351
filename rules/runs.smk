# What training and evaluation are told, and the files of runs.
import json
import os

from mktn.datasets import TEST_SETS
from mktn.engine.rescore import HUMAN_SETS
from mktn.errors import UserError
from mktn.models.variants import BLIND
from mktn.report.robustness import AS_SCORED, WAYS


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
            "processes": processes_of("train", model),
            **sections,
            "loader": {**sections["loader"], "hidden": BLIND.get(variant)},
        }

    return given


def changed_settings(wildcards):
    """What `mktn train` of `full` with one setting changed is told."""
    given = training_settings("mktn", "full")(wildcards)
    setting, value = CHANGES[wildcards.variant]
    section, key = setting.split(".")
    return {**given, section: {**given[section], key: value}}


def changed_runs(dataset):
    """Change -> folder's variant, `full` first; without those that a dataset's `full` has.

    One line where a setting is not there.
    """
    for setting, _ in CHANGES.values():
        section, name = setting.split(".")
        if name not in of(dataset, section):
            error = UserError(
                "no such setting",
                where="configuration, sensitivity",
                found=setting,
                expected=f"{section}: {', '.join(of(dataset, section))}",
            )
            stop(error)
    own = {
        f"{setting}={value:g}": variant
        for variant, (setting, value) in CHANGES.items()
        if of(dataset, *setting.split(".")) != value
    }
    return {"full": "full", **own}


def sensitivity_files(name):
    """The file `name` of full and of every change of it, with every seed."""

    def given(wildcards):
        refuse_other_partitions("sensitivity")
        return [
            run_file(name, dataset, ("mktn", variant), seed)
            for dataset in DATASETS
            for variant in changed_runs(dataset).values()
            for seed in config["seeds"]
        ]

    return given


def sensitivity_changes():
    """What is changed in each of those runs, in their order."""
    return [
        change
        for dataset in DATASETS
        for change in changed_runs(dataset)
        for _ in config["seeds"]
    ]


def sensitivity_defaults():
    """JSON of each dataset's values of `full`."""
    settings_of = {setting for setting, _ in CHANGES.values()}
    values = {
        dataset: {setting: of(dataset, *setting.split(".")) for setting in settings_of}
        for dataset in DATASETS
    }
    return json.dumps(values, sort_keys=True)


def asked_settings(wildcards):
    """What `mktn evaluate` is told: the protocol, and how the run is asked."""
    return {**evaluation_settings(wildcards), **WAYS[wildcards.way]}


def robustness_runs():
    """Each configured variant's run and how it is asked: `(dataset, system, seed, way)`."""
    return [
        (dataset, system, seed, way)
        for dataset in DATASETS
        for system in systems_of(config["variants"])
        for way in WAYS
        for seed in config["seeds"]
    ]


def robustness_files(name):
    """The file `name` of each of those."""

    def given(wildcards):
        refuse_other_partitions("the page of other ways of asking")
        return [
            run_file(
                name if way == AS_SCORED else f"asked-{way}/{name}",
                dataset,
                system,
                seed,
            )
            for dataset, system, seed, way in robustness_runs()
        ]

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


def diagnosed_files(name):
    """The file `name` of full, its blind twins and the baselines."""

    def given(wildcards):
        refuse_other_partitions("the diagnostics page")
        return run_files(name, DATASETS, systems_of(["full", *BLIND]))

    return given


def run_files(name, datasets, systems):
    """The file `name` of systems' runs with every seed, and of the baselines behind them."""
    seeds, baselines = config["seeds"], config["baselines"]
    return [
        *trained_files(name, datasets, systems),
        *expand(
            f"{BASELINE}/{name}", dataset=datasets, baseline=baselines, seed=seeds[0]
        ),
    ]


def trained_files(name, datasets, systems):
    """The file `name` of systems' runs with every seed."""
    return [
        run_file(name, dataset, system, seed)
        for dataset in datasets
        for system in systems
        for seed in config["seeds"]
    ]


def run_file(name, dataset, system, seed):
    model, variant = system
    folder = RUN.format(dataset=dataset, model=model, variant=variant, seed=seed)
    return f"{folder}/{name}"


def efficiency_files(datasets, systems):
    """efficiency.json of systems: speed does not depend on the seed, so of the first."""
    return [
        run_file("efficiency.json", dataset, system, config["seeds"][0])
        for dataset in datasets
        for system in systems
    ]


def systems_of(variants):
    return [(config["model"], variant) for variant in variants]


def scored_files():
    """metrics.json of every test set of the partition: systems, then annotators."""
    systems = systems_of(config["variants"])
    if not STANDARD:
        names = [f"metrics-{test_set}.json" for test_set in TEST_SETS[PARTITION]]
        return [path for name in names for path in run_files(name, DATASETS, systems)]
    humans = [f"metrics-{name}.json" for name in HUMAN_SETS]
    return [
        *run_files("metrics.json", DATASETS, systems),
        *(
            path
            for name in humans
            for path in (
                *run_files(name, HUMAN_DATASETS, systems),
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
