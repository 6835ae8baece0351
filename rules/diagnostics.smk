# Diagnostics: what a reviewer asks of `full`. Its blind twins are trained in train.smk.
rule diagnose:
    input:
        model=f"{RUN}/model.safetensors",
        config=f"{RUN}/config.json",
        pairs=f"{DATA}/pairs/{{dataset}}/pairs.parquet",
        groups=f"{DATA}/groups/{{dataset}}/groups.parquet",
        features=resampled,
        text=f"{DATA}/text/{{dataset}}.zarr",
    output:
        diagnoses=f"{RUN}/diagnoses.json",
    log:
        f"logs/{SOURCE}/diagnose/{{dataset}}-{{model}}-{{variant}}-seed{{seed}}.log",
    benchmark:
        f"benchmarks/{SOURCE}/diagnose/{{dataset}}-{{model}}-{{variant}}-seed{{seed}}.tsv"
    conda:
        "../envs/mktn.yaml"
    threads: cpus("diagnose")
    resources:
        **needs("diagnose"),
    params:
        run=subpath(output.diagnoses, parent=True),
        settings=settings(
            lambda w: {**evaluation_settings(w), **of(w.dataset, "diagnostics")}
        ),
        code=code("diagnose"),
    shell:
        "mktn --log {log} diagnose --run {params.run} --pairs {input.pairs} --groups {input.groups}"
        " --features {input.features} --text {input.text} --out {output.diagnoses}"
        " --settings {params.settings:q}"


rule diagnostics:
    input:
        metrics=diagnosed_files("metrics.json"),
        predictions=diagnosed_files("predictions.parquet"),
        pairs=expand(f"{DATA}/pairs/{{dataset}}/pairs.parquet", dataset=DATASETS),
        diagnoses=expand(
            f"{RUN}/diagnoses.json",
            dataset=DATASETS,
            model=config["model"],
            variant="full",
            seed=config["seeds"],
        ),
    output:
        csv=report(f"{RESULTS}/diagnostics.csv", **SHOWN_DATA),
        markdown=f"{RESULTS}/diagnostics.md",
    log:
        f"logs/{SOURCE}/diagnostics.log",
    benchmark:
        f"benchmarks/{SOURCE}/diagnostics.tsv"
    localrule: True
    conda:
        "../envs/mktn.yaml"
    threads: cpus("diagnostics")
    resources:
        **needs("diagnostics"),
    params:
        seed=config["seed"],
        code=code("diagnostics"),
    shell:
        "mktn --log {log} diagnostics --metrics {input.metrics} --predictions {input.predictions}"
        " --pairs {input.pairs} --diagnoses {input.diagnoses} --seed {params.seed}"
        " --csv {output.csv} --markdown {output.markdown}"
