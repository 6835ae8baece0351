# Results: the paper's tables, ours beside the reported numbers.
rule table:
    input:
        metrics=table_files("metrics.json"),
        predictions=table_files("predictions.parquet"),
        pairs=lambda w: expand(
            f"{DATA}/pairs/{{dataset}}/pairs.parquet", dataset=table_datasets(w)
        ),
        reported=f"{REPOSITORY}/workflow/reported.csv",
    output:
        csv=f"{RESULTS}/table{{table}}.csv",
        markdown=f"{RESULTS}/table{{table}}.md",
    log:
        f"logs/{SOURCE}/table{{table}}.log",
    benchmark:
        f"benchmarks/{SOURCE}/table{{table}}.tsv"
    localrule: True
    conda:
        "../envs/mktn.yaml"
    threads: cpus("table")
    resources:
        **needs("table"),
    params:
        variants=table_variants,
        seed=config["seed"],
        code=code("table"),
    shell:
        "mktn --log {log} tables --metrics {input.metrics} --predictions {input.predictions}"
        " --pairs {input.pairs} --reported {input.reported} --table {wildcards.table}"
        " --variants {params.variants} --seed {params.seed} --csv {output.csv}"
        " --markdown {output.markdown}"


rule tables_page:
    input:
        tables=expand(f"{RESULTS}/table{{table}}.md", table=SHOWN),
    output:
        page=f"{RESULTS}/tables.md",
    log:
        f"logs/{SOURCE}/tables_page.log",
    benchmark:
        f"benchmarks/{SOURCE}/tables_page.tsv"
    localrule: True
    conda:
        "../envs/mktn.yaml"
    threads: cpus("tables_page")
    resources:
        **needs("tables_page"),
    params:
        code=code("tables_page"),
    shell:
        "mktn --log {log} page --tables {input.tables} --out {output.page}"
