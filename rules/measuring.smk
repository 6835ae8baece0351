# What `mktn efficiency` is told, and the files that the efficiency table is made of.
import os
from types import SimpleNamespace

from mktn.models.variants import VARIANTS_OF

# Whole models, alone and plugged in: ablations are for those who ask for their files.
WHOLE = ("full", "origin", "plus_mktn")


def efficiency_settings(wildcards):
    """What `mktn efficiency` is told: the protocol, what is measured and how long."""
    evaluation = of(wildcards.dataset, "evaluation")
    own = of_model(wildcards.dataset, wildcards.model, "efficiency")
    return {
        "source": SOURCE,
        "dataset": wildcards.dataset,
        "partition": PARTITION,
        "device": config["device"],
        **seeded(),
        **threaded(),
        # Of the loader what says where features are held: batches are cut anew.
        "loader": {
            key: value
            for key, value in of(wildcards.dataset, "loader").items()
            if key == "memory_gb"
        },
        "nms": evaluation["nms"],
        "table_iou": evaluation["table_iou"],
        "n": max(evaluation["ns"]),
        **{key: value for key, value in own.items() if value is not None},
    }


def profile_settings(wildcards):
    """What `mktn profile` is told: the training's own settings."""
    first = {**wildcards, "seed": config["seeds"][0]}
    given = training_settings(wildcards.model, wildcards.variant)
    return given(SimpleNamespace(**first)) | {"processes": 1}


def plugged_into(wildcards):
    """The run of the model alone, that one with knowledge transfer is timed in turn with."""
    run = RUN.format(**{**wildcards, "variant": "origin"})
    files = {
        "origin": f"{run}/model.safetensors",
        "origin_config": f"{run}/config.json",
    }
    return files if wildcards.variant == "plus_mktn" else {}


def beside(wildcards, input):
    """The option that names it."""
    return (
        f"--beside {os.path.dirname(input.origin)}" if "origin" in input.keys() else ""
    )


def efficiency_of_all(wildcards):
    """efficiency.json of every system; speed does not depend on the seed, so of the first."""
    refuse_other_partitions("the efficiency table")
    models = [
        model
        for model in config.get("systems", VARIANTS_OF)
        if model in VARIANTS_OF and (model == "mktn" or model in config["models"])
    ]
    return [
        f"{RUN}/efficiency.json".format(
            dataset=dataset, model=model, variant=variant, seed=config["seeds"][0]
        )
        for dataset in DATASETS
        for model in models
        for variant in VARIANTS_OF[model]
        if variant in WHOLE
    ]
