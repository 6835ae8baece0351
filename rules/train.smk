# Training: one named rule a variant, so that one ablation can be forced alone, and one for each
# way of training `full` blind. Those of models beside mktn have the model in their names.
for model, variant, name in TRAININGS:

    rule:
        name:
            f"train_{name}"
        input:
            pairs=f"{DATA}/pairs/{{dataset}}/pairs.parquet",
            groups=f"{DATA}/groups/{{dataset}}/groups.parquet",
            relations=f"{DATA}/groups/{{dataset}}/relations.parquet",
            features=resampled,
            text=f"{DATA}/text/{{dataset}}.zarr",
        output:
            model=f"{RUN.format(dataset='{dataset}', model=model, variant=variant, seed='{seed}')}/model.safetensors",
            config=f"{RUN.format(dataset='{dataset}', model=model, variant=variant, seed='{seed}')}/config.json",
            log=f"{RUN.format(dataset='{dataset}', model=model, variant=variant, seed='{seed}')}/log.parquet",
        log:
            f"logs/{PLACE}/train/{{dataset}}-{name}-seed{{seed}}.log",
        benchmark:
            f"benchmarks/{PLACE}/train/{{dataset}}-{name}-seed{{seed}}.tsv"
        conda:
            "../envs/mktn.yaml"
        threads: cpus("train", model)
        resources:
            **needs("train", model),
        params:
            run=subpath(output.model, parent=True),
            settings=settings(training_settings(model, variant)),
            code=code("train"),
            # It changes no result: Snakemake does not compare params made from input.
            checkpoint_minutes=lambda w, input: config["checkpoint_minutes"],
            tensorboard=lambda w, input, output: event_files(output.model),
        # exec: a shell in between would die of SLURM's SIGTERM at once, and the job with it, while
        # training writes its checkpoint.
        shell:
            "exec mktn --log {log} train --pairs {input.pairs} --groups {input.groups}"
            " --relations {input.relations} --features {input.features} --text {input.text}"
            " --run {params.run} --checkpoint-minutes {params.checkpoint_minutes}"
            " {params.tensorboard}"
            " --settings {params.settings:q}"
