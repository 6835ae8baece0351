# Figures, drawn from what tables are made of; the report holds each of them as SVG.
# A caption of the report cannot have wildcards, so each figure has a rule.
for figure in ("3a", "3b"):

    rule:
        name:
            f"draw_figure{figure}"
        input:
            data=f"{RESULTS}/figure{figure}.csv",
        output:
            svg=report(f"{RESULTS}/figure{figure}.svg", **marked_figure(figure)),
            png=f"{RESULTS}/figure{figure}.png",
        log:
            f"logs/{SOURCE}/draw_figure{figure}.log",
        benchmark:
            f"benchmarks/{SOURCE}/draw_figure{figure}.tsv"
        localrule: True
        conda:
            "../envs/mktn.yaml"
        threads: cpus("figure")
        resources:
            **needs("figure"),
        params:
            figure=figure,
            code=code("figure"),
        shell:
            "mktn --log {log} figure --figure {params.figure} --data {input.data}"
            " --svg {output.svg} --png {output.png}"
