# Results: the paper's tables, ours beside the reported numbers.
rule table:
    input:
        runs=table_runs,
        baselines=expand(
            f"{BASELINE}/metrics.json",
            dataset=DATASETS,
            baseline=config["baselines"],
            seed=config["seeds"][0],
        ),
        reported=f"{REPOSITORY}/workflow/reported.csv",
    output:
        csv=f"{RESULTS}/table{{table}}.csv",
        markdown=f"{RESULTS}/table{{table}}.md",
    log:
        f"logs/{SOURCE}/table{{table}}.log",
    benchmark:
        f"benchmarks/{SOURCE}/table{{table}}.tsv"
    wildcard_constraints:
        table="3",
    conda:
        "../envs/mktn.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        variants=table_variants,
        code=code("table"),
    shell:
        "mktn tables --metrics {input.runs} {input.baselines} --reported {input.reported}"
        " --table {wildcards.table} --variants {params.variants} --csv {output.csv}"
        " --markdown {output.markdown} > {log} 2>&1"
