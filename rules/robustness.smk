# Robustness: trained runs asked in other ways, with the order of a video's sentences shuffled or
# not told, and one sentence at a time. None is trained anew.
use rule evaluate as evaluate_asked with:
    output:
        predictions=f"{RUN}/asked-{{way}}/predictions.parquet",
        metrics=f"{RUN}/asked-{{way}}/metrics.json",
    log:
        f"logs/{PLACE}/evaluate/{{dataset}}-{{model}}-{{variant}}-seed{{seed}}-{{way}}.log",
    benchmark:
        f"benchmarks/{PLACE}/evaluate/{{dataset}}-{{model}}-{{variant}}-seed{{seed}}-{{way}}.tsv"
    wildcard_constraints:
        way=either(way for way in WAYS if way != AS_SCORED),
    params:
        run=subpath(input.model, parent=True),
        split="test",
        settings=settings(asked_settings),
        code=code("evaluate"),


rule robustness:
    input:
        metrics=robustness_files("metrics.json"),
        predictions=robustness_files("predictions.parquet"),
        pairs=expand(f"{DATA}/pairs/{{dataset}}/pairs.parquet", dataset=DATASETS),
    output:
        csv=report(f"{RESULTS}/robustness.csv", **SHOWN_DATA),
        markdown=f"{RESULTS}/robustness.md",
    log:
        f"logs/{SOURCE}/robustness.log",
    benchmark:
        f"benchmarks/{SOURCE}/robustness.tsv"
    localrule: True
    conda:
        "../envs/mktn.yaml"
    threads: cpus("robustness")
    resources:
        **needs("robustness"),
    params:
        asked=[way for *_, way in robustness_runs()],
        seed=config["seed"],
        code=code("robustness"),
    shell:
        "mktn --log {log} robustness --metrics {input.metrics} --predictions {input.predictions}"
        " --pairs {input.pairs} --asked {params.asked} --seed {params.seed}"
        " --csv {output.csv} --markdown {output.markdown}"
