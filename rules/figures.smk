# Figures, drawn from what tables are made of; the report holds each of them as SVG.
rule figure_of_data:
    input:
        data=drawn_data,
    output:
        svg=report(f"{RESULTS}/{{drawn}}.svg", **SHOWN_FIGURE),
        png=f"{RESULTS}/{{drawn}}.png",
    log:
        f"logs/{SOURCE}/draw_{{drawn}}.log",
    benchmark:
        f"benchmarks/{SOURCE}/draw_{{drawn}}.tsv"
    wildcard_constraints:
        drawn="|".join((*DRAWN, ABLATIONS_FIGURE)),
    localrule: True
    conda:
        "../envs/mktn.yaml"
    threads: cpus("figure")
    resources:
        **needs("figure"),
    params:
        figure=lambda w: DRAWN[w.drawn][0] if w.drawn in DRAWN else "ablations",
        settings=settings(drawn_settings),
        code=code("figure"),
    shell:
        "mktn --log {log} figure --figure {params.figure} --data {input.data}"
        " --settings {params.settings:q} --svg {output.svg} --png {output.png}"
