# Figures that look into single test pairs: rules/pictured.smk says which, of whom, and where the
# videos are.
rule figure_timelines:
    input:
        metrics=timeline_files("metrics.json"),
        predictions=timeline_files("predictions.parquet"),
        pairs=expand(f"{DATA}/pairs/{{dataset}}/pairs.parquet", dataset=DATASETS),
        videos=video_folders,
    output:
        svg=report(f"{RESULTS}/figure3c.svg", **SHOWN_FIGURE),
        png=f"{RESULTS}/figure3c.png",
        csv=report(f"{RESULTS}/figure3c.csv", **SHOWN_DATA),
    log:
        f"logs/{SOURCE}/draw_figure3c.log",
    benchmark:
        f"benchmarks/{SOURCE}/draw_figure3c.tsv"
    localrule: True
    conda:
        "../envs/mktn.yaml"
    threads: cpus("figure")
    resources:
        **needs("figure"),
    params:
        settings=settings(
            lambda w: {k: config["figures"][k] for k in ("pairs", "seed", "named")}
        ),
        code=code("figure"),
        videos=lambda w, input: options(
            videos=[f"{d}={path}" for d, path in zip(filmed(), input.videos)]
        ),
    shell:
        "mktn --log {log} figure --figure 3c --metrics {input.metrics}"
        " --predictions {input.predictions} --pairs {input.pairs} {params.videos}"
        " --svg {output.svg} --png {output.png} --csv {output.csv}"
        " --settings {params.settings:q}"


rule attention:
    input:
        model=f"{RUN}/model.safetensors",
        config=f"{RUN}/config.json",
        pairs=f"{DATA}/pairs/{{dataset}}/pairs.parquet",
        groups=f"{DATA}/groups/{{dataset}}/groups.parquet",
        features=resampled,
        text=f"{DATA}/text/{{dataset}}.zarr",
    output:
        attention=f"{RUN}/attention.parquet",
    log:
        f"logs/{SOURCE}/attention/{{dataset}}-{{model}}-{{variant}}-seed{{seed}}.log",
    benchmark:
        f"benchmarks/{SOURCE}/attention/{{dataset}}-{{model}}-{{variant}}-seed{{seed}}.tsv"
    wildcard_constraints:
        model="ianet",
    conda:
        "../envs/mktn.yaml"
    threads: cpus("attention")
    resources:
        **needs("attention"),
    params:
        run=subpath(output.attention, parent=True),
        settings=settings(attention_settings),
        code=code("attention"),
    shell:
        "mktn --log {log} attention --run {params.run} --pairs {input.pairs} --groups {input.groups}"
        " --features {input.features} --text {input.text} --out {output.attention}"
        " --settings {params.settings:q}"


rule figure_attention:
    input:
        attention=attention_files,
    output:
        svg=report(f"{RESULTS}/ianet_figure5.svg", **SHOWN_FIGURE),
        png=f"{RESULTS}/ianet_figure5.png",
        csv=f"{RESULTS}/ianet_figure5.csv",  # megabytes: not in the report
    log:
        f"logs/{SOURCE}/draw_ianet_figure5.log",
    benchmark:
        f"benchmarks/{SOURCE}/draw_ianet_figure5.tsv"
    localrule: True
    conda:
        "../envs/mktn.yaml"
    threads: cpus("figure")
    resources:
        **needs("figure"),
    params:
        code=code("figure"),
    shell:
        "mktn --log {log} figure --figure ianet5 --attention {input.attention}"
        " --svg {output.svg} --png {output.png} --csv {output.csv}"
