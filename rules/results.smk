# Results: the papers' tables, ours beside the reported numbers, and the data of figures.
rule table:
    input:
        metrics=table_files("metrics.json"),
        predictions=table_files("predictions.parquet"),
        efficiency=table_efficiency,
        pairs=table_pairs,
        reported=f"{WORKFLOW}/reported.csv",
    output:
        csv=report(f"{RESULTS}/{{table}}.csv", **SHOWN_DATA),
        markdown=f"{RESULTS}/{{table}}.md",
        latex=report(f"{RESULTS}/{{table}}.tex", **SHOWN_LATEX),
    log:
        f"logs/{SOURCE}/{{table}}.log",
    benchmark:
        f"benchmarks/{SOURCE}/{{table}}.tsv"
    localrule: True
    conda:
        "../envs/mktn.yaml"
    threads: cpus("table")
    resources:
        **needs("table"),
    params:
        table=lambda w: LAYOUTS[w.table][0],
        variants=lambda w: named(table_asked(w)[1]),
        seed=config["seed"],
        code=code("table"),
        measured=lambda w, input: options(
            metrics=input.metrics,
            predictions=input.predictions,
            pairs=input.pairs,
            efficiency=input.efficiency,
        ),
    shell:
        "mktn --log {log} tables {params.measured} --reported {input.reported}"
        " --table {params.table} --variants {params.variants} --seed {params.seed}"
        " --csv {output.csv} --markdown {output.markdown} --latex {output.latex}"


rule tables_page:
    input:
        tables=page_tables,
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


rule figure_data:
    input:
        metrics=figure_runs("metrics", "metrics.json"),
        logs=figure_runs("logs", "log.parquet"),
        predictions=figure_runs("predictions", "predictions.parquet"),
        pairs=figure_pairs,
        efficiency=figure_efficiency,
        reported=figure_reported,
    output:
        csv=report(f"{RESULTS}/{{figure}}.csv", **SHOWN_DATA),
    log:
        f"logs/{SOURCE}/{{figure}}.log",
    benchmark:
        f"benchmarks/{SOURCE}/{{figure}}.tsv"
    localrule: True
    conda:
        "../envs/mktn.yaml"
    threads: cpus("figure_data")
    resources:
        **needs("figure_data"),
    params:
        figure=lambda w: DRAWN[w.figure][0],
        variants=lambda w: named(figure_asked(w)[1]),
        seed=config["seed"],
        settings=settings(figure_settings),
        code=code("figure_data"),
        measured=lambda w, input: options(
            metrics=input.metrics,
            logs=input.logs,
            predictions=input.predictions,
            pairs=input.pairs,
            efficiency=input.efficiency,
            reported=input.reported,
        ),
    shell:
        "mktn --log {log} figure-data --figure {params.figure} {params.measured}"
        " --variants {params.variants} --seed {params.seed} --settings {params.settings:q}"
        " --csv {output.csv}"
