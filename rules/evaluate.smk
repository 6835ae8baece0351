# Evaluation: every query of a test set answered once, by a trained run or by a baseline.
rule evaluate:
    input:
        model=f"{RUN}/model.safetensors",
        config=f"{RUN}/config.json",
        pairs=f"{DATA}/pairs/{{dataset}}/pairs.parquet",
        rejected=f"{DATA}/groups/{{dataset}}/rejected.parquet",
        groups=f"{DATA}/groups/{{dataset}}/groups.parquet",
        features=resampled,
        text=f"{DATA}/text/{{dataset}}.zarr",
    output:
        predictions=f"{RUN}/predictions.parquet",
        metrics=f"{RUN}/metrics.json",
    log:
        f"logs/{PLACE}/evaluate/{{dataset}}-{{model}}-{{variant}}-seed{{seed}}.log",
    benchmark:
        f"benchmarks/{PLACE}/evaluate/{{dataset}}-{{model}}-{{variant}}-seed{{seed}}.tsv"
    conda:
        "../envs/mktn.yaml"
    threads: cpus("evaluate")
    resources:
        **needs("evaluate"),
    params:
        run=subpath(output.metrics, parent=True),
        split="test",
        settings=settings(evaluation_settings),
        code=code("evaluate"),
    shell:
        "mktn --log {log} evaluate --run {params.run} --split {params.split} --pairs {input.pairs}"
        " --rejected {input.rejected} --groups {input.groups} --features {input.features}"
        " --text {input.text} --predictions {output.predictions} --metrics {output.metrics}"
        " --settings {params.settings:q}"


rule evaluate_baseline:
    input:
        pairs=f"{DATA}/pairs/{{dataset}}/pairs.parquet",
        rejected=f"{DATA}/groups/{{dataset}}/rejected.parquet",
        groups=f"{DATA}/groups/{{dataset}}/groups.parquet",
        features=resampled,
        text=f"{DATA}/text/{{dataset}}.zarr",
    output:
        predictions=f"{BASELINE}/predictions.parquet",
        metrics=f"{BASELINE}/metrics.json",
    log:
        f"logs/{PLACE}/evaluate/{{dataset}}-{{baseline}}-seed{{seed}}.log",
    benchmark:
        f"benchmarks/{PLACE}/evaluate/{{dataset}}-{{baseline}}-seed{{seed}}.tsv"
    conda:
        "../envs/mktn.yaml"
    threads: cpus("evaluate_baseline")
    resources:
        **needs("evaluate_baseline"),
    params:
        split="test",
        settings=settings(evaluation_settings),
        code=code("evaluate_baseline"),
    shell:
        "mktn --log {log} evaluate --baseline {wildcards.baseline} --split {params.split}"
        " --pairs {input.pairs} --rejected {input.rejected} --groups {input.groups} --features {input.features}"
        " --text {input.text} --predictions {output.predictions} --metrics {output.metrics}"
        " --settings {params.settings:q}"
