# Groups: which queries help each other, and which videos are trained on together.
rule relate:
    input:
        pairs=f"{DATA}/pairs/{{dataset}}/pairs.parquet",
        text=f"{DATA}/text/{{dataset}}.zarr",
    output:
        relations=f"{DATA}/groups/{{dataset}}/relations.parquet",
    log:
        f"logs/{SOURCE}/relate/{{dataset}}.log",
    benchmark:
        f"benchmarks/{SOURCE}/relate/{{dataset}}.tsv"
    conda:
        "../envs/mktn.yaml"
    threads: cpus("relate")
    resources:
        **needs("relate"),
    params:
        settings=settings(lambda w: {**threaded(), **of(w.dataset, "relations")}),
        code=code("relate"),
    shell:
        "mktn --log {log} relate --pairs {input.pairs} --text {input.text} --out {output.relations}"
        " --settings {params.settings:q}"


rule group:
    input:
        pairs=f"{DATA}/pairs/{{dataset}}/pairs.parquet",
        rejected=f"{DATA}/pairs/{{dataset}}/rejected.parquet",
        relations=f"{DATA}/groups/{{dataset}}/relations.parquet",
        features=resampled,
    output:
        groups=f"{DATA}/groups/{{dataset}}/groups.parquet",
        rejected=f"{DATA}/groups/{{dataset}}/rejected.parquet",
    log:
        f"logs/{SOURCE}/group/{{dataset}}.log",
    benchmark:
        f"benchmarks/{SOURCE}/group/{{dataset}}.tsv"
    conda:
        "../envs/mktn.yaml"
    threads: cpus("group")
    resources:
        **needs("group"),
    params:
        settings=settings(lambda w: {**seeded(), **of(w.dataset, "groups")}),
        code=code("group"),
    shell:
        "mktn --log {log} group --pairs {input.pairs} --relations {input.relations}"
        " --rejected-pairs {input.rejected} --features {input.features}"
        " --groups {output.groups} --rejected {output.rejected}"
        " --settings {params.settings:q}"
