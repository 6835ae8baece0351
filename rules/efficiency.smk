# Efficiency: how fast each system answers, what it computes and what memory that takes.
import os

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


rule efficiency:
    input:
        unpack(plugged_into),
        model=f"{RUN}/model.safetensors",
        config=f"{RUN}/config.json",
        pairs=f"{DATA}/pairs/{{dataset}}/pairs.parquet",
        groups=f"{DATA}/groups/{{dataset}}/groups.parquet",
        features=resampled,
        text=f"{DATA}/text/{{dataset}}.zarr",
    output:
        efficiency=f"{RUN}/efficiency.json",
    log:
        f"logs/{SOURCE}/efficiency/{{dataset}}-{{model}}-{{variant}}-seed{{seed}}.log",
    benchmark:
        f"benchmarks/{SOURCE}/efficiency/{{dataset}}-{{model}}-{{variant}}-seed{{seed}}.tsv"
    conda:
        "../envs/mktn.yaml"
    threads: cpus("efficiency")
    resources:
        **needs("efficiency"),
    params:
        run=subpath(output.efficiency, parent=True),
        split="test",
        beside=beside,
        settings=settings(efficiency_settings),
        code=code("efficiency"),
    shell:
        "mktn --log {log} efficiency --run {params.run} {params.beside} --split {params.split}"
        " --pairs {input.pairs} --groups {input.groups} --features {input.features}"
        " --text {input.text} --out {output.efficiency} --settings {params.settings:q}"


rule efficiency_table:
    input:
        efficiency=efficiency_of_all,
    output:
        csv=f"{RESULTS}/efficiency.csv",
        markdown=f"{RESULTS}/efficiency.md",
    log:
        f"logs/{SOURCE}/efficiency_table.log",
    benchmark:
        f"benchmarks/{SOURCE}/efficiency_table.tsv"
    localrule: True
    conda:
        "../envs/mktn.yaml"
    threads: cpus("efficiency_table")
    resources:
        **needs("efficiency_table"),
    params:
        code=code("efficiency_table"),
    shell:
        "mktn --log {log} efficiency-table --efficiency {input.efficiency} --csv {output.csv}"
        " --markdown {output.markdown}"
