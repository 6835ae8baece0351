# Training: one named rule a variant, so that one ablation can be forced alone, and one for each
# way of training `full` blind.
for variant in (*VARIANTS, *BLIND):

    rule:
        name:
            f"train_{variant}"
        input:
            pairs=f"{DATA}/pairs/{{dataset}}/pairs.parquet",
            groups=f"{DATA}/groups/{{dataset}}/groups.parquet",
            relations=f"{DATA}/groups/{{dataset}}/relations.parquet",
            features=resampled,
            text=f"{DATA}/text/{{dataset}}.zarr",
        output:
            model=f"{RUN.format(dataset='{dataset}', variant=variant, seed='{seed}')}/model.safetensors",
            config=f"{RUN.format(dataset='{dataset}', variant=variant, seed='{seed}')}/config.json",
            log=f"{RUN.format(dataset='{dataset}', variant=variant, seed='{seed}')}/log.parquet",
        log:
            f"logs/{SOURCE}/train/{{dataset}}-{variant}-seed{{seed}}.log",
        benchmark:
            f"benchmarks/{SOURCE}/train/{{dataset}}-{variant}-seed{{seed}}.tsv"
        conda:
            "../envs/mktn.yaml"
        threads: config["threads"]
        resources:
            mem_mb=10000 if SOURCE != "synthetic" else 3000,
            runtime=240,
        params:
            run=subpath(output.model, parent=True),
            settings=settings(training_settings(variant)),
            code=code("train"),
            # It changes no result: Snakemake does not compare params made from input.
            checkpoint_minutes=lambda w, input: config["checkpoint_minutes"],
            tensorboard=lambda w, input, output: event_files(output.model),
        shell:
            "mktn --log {log} train --pairs {input.pairs} --groups {input.groups}"
            " --relations {input.relations} --features {input.features} --text {input.text}"
            " --run {params.run} --checkpoint-minutes {params.checkpoint_minutes}"
            " {params.tensorboard}"
            " --settings {params.settings:q}"
