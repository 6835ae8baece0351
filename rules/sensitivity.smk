# Sensitivity: `full` with one setting changed at a time, each trained anew.
use rule train_full as train_changed with:
    output:
        model=f"{RUN.format(dataset='{dataset}', model='mktn', variant='{variant}', seed='{seed}')}/model.safetensors",
        config=f"{RUN.format(dataset='{dataset}', model='mktn', variant='{variant}', seed='{seed}')}/config.json",
        log=f"{RUN.format(dataset='{dataset}', model='mktn', variant='{variant}', seed='{seed}')}/log.parquet",
    log:
        f"logs/{PLACE}/train/{{dataset}}-{{variant}}-seed{{seed}}.log",
    benchmark:
        f"benchmarks/{PLACE}/train/{{dataset}}-{{variant}}-seed{{seed}}.tsv"
    wildcard_constraints:
        variant=either(map(re.escape, CHANGES)),
    params:
        run=subpath(output.model, parent=True),
        settings=settings(changed_settings),
        code=code("train"),
        checkpoint_minutes=lambda w, input: config["checkpoint_minutes"],
        tensorboard=lambda w, input, output: event_files(output.model),


rule sensitivity:
    input:
        metrics=sensitivity_files("metrics.json"),
        predictions=sensitivity_files("predictions.parquet"),
        pairs=expand(f"{DATA}/pairs/{{dataset}}/pairs.parquet", dataset=DATASETS),
    output:
        csv=report(f"{RESULTS}/sensitivity.csv", **SHOWN_DATA),
        markdown=f"{RESULTS}/sensitivity.md",
    log:
        f"logs/{SOURCE}/sensitivity.log",
    benchmark:
        f"benchmarks/{SOURCE}/sensitivity.tsv"
    localrule: True
    conda:
        "../envs/mktn.yaml"
    threads: cpus("sensitivity")
    resources:
        **needs("sensitivity"),
    params:
        changes=sensitivity_changes(),
        defaults=sensitivity_defaults(),
        seed=config["seed"],
        code=code("sensitivity"),
    shell:
        "mktn --log {log} sensitivity --metrics {input.metrics} --predictions {input.predictions}"
        " --pairs {input.pairs} --changes {params.changes} --defaults {params.defaults:q}"
        " --seed {params.seed} --csv {output.csv} --markdown {output.markdown}"
