# Efficiency: how fast each system answers, what it computes and what memory that takes.
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
        f"logs/{PLACE}/efficiency/{{dataset}}-{{model}}-{{variant}}-seed{{seed}}.log",
    benchmark:
        f"benchmarks/{PLACE}/efficiency/{{dataset}}-{{model}}-{{variant}}-seed{{seed}}.tsv"
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
        csv=report(f"{RESULTS}/efficiency.csv", **SHOWN_DATA),
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


rule profile:
    input:
        pairs=f"{DATA}/pairs/{{dataset}}/pairs.parquet",
        groups=f"{DATA}/groups/{{dataset}}/groups.parquet",
        relations=f"{DATA}/groups/{{dataset}}/relations.parquet",
        features=resampled,
        text=f"{DATA}/text/{{dataset}}.zarr",
    output:
        page=f"{RESULTS}/profile-{{dataset}}-{{model}}-{{variant}}.md",
    log:
        f"logs/{SOURCE}/profile/{{dataset}}-{{model}}-{{variant}}.log",
    benchmark:
        f"benchmarks/{SOURCE}/profile/{{dataset}}-{{model}}-{{variant}}.tsv"
    conda:
        "../envs/mktn.yaml"
    threads: cpus("profile")
    resources:
        **needs("profile"),
    params:
        settings=settings(profile_settings),
        code=code("profile"),
    shell:
        "mktn --log {log} profile --pairs {input.pairs} --groups {input.groups}"
        " --relations {input.relations} --features {input.features} --text {input.text}"
        " --out {output.page} --settings {params.settings:q}"
