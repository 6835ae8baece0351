# Figures, drawn from what tables are made of; the report holds each of them as SVG.
rule figure_of_data:
    input:
        data=f"{RESULTS}/figure{{figure}}.csv",
    output:
        svg=report(f"{RESULTS}/figure{{figure,3[ab]}}.svg", **SHOWN_FIGURE),
        png=f"{RESULTS}/figure{{figure}}.png",
    log:
        f"logs/{SOURCE}/draw_figure{{figure}}.log",
    benchmark:
        f"benchmarks/{SOURCE}/draw_figure{{figure}}.tsv"
    localrule: True
    conda:
        "../envs/mktn.yaml"
    threads: cpus("figure")
    resources:
        **needs("figure"),
    params:
        code=code("figure"),
    shell:
        "mktn --log {log} figure --figure {wildcards.figure} --data {input.data}"
        " --svg {output.svg} --png {output.png}"
