# Test sets beyond `test`: those of another partition, and test queries that more annotators gave
# moments. The configured partition's, with the standard one's `test`, make one table.
wildcard_constraints:
    test_set="|".join(TEST_SETS[PARTITION]),
    system="|".join((config["model"], *config["baselines"])),
    scored="|".join((*VARIANTS, "baseline")),


use rule evaluate as evaluate_test_set with:
    output:
        predictions=f"{RUN}/predictions-{{test_set}}.parquet",
        metrics=f"{RUN}/metrics-{{test_set}}.json",
    log:
        f"logs/{PLACE}/evaluate/{{dataset}}-{{model}}-{{variant}}-seed{{seed}}-{{test_set}}.log",
    benchmark:
        f"benchmarks/{PLACE}/evaluate/{{dataset}}-{{model}}-{{variant}}-seed{{seed}}-{{test_set}}.tsv"
    params:
        run=subpath(output.metrics, parent=True),
        split="{test_set}",
        settings=settings(evaluation_settings),
        code=code("evaluate"),


use rule evaluate_baseline as evaluate_baseline_test_set with:
    output:
        predictions=f"{BASELINE}/predictions-{{test_set}}.parquet",
        metrics=f"{BASELINE}/metrics-{{test_set}}.json",
    log:
        f"logs/{PLACE}/evaluate/{{dataset}}-{{baseline}}-seed{{seed}}-{{test_set}}.log",
    benchmark:
        f"benchmarks/{PLACE}/evaluate/{{dataset}}-{{baseline}}-seed{{seed}}-{{test_set}}.tsv"
    params:
        split="{test_set}",
        settings=settings(evaluation_settings),
        code=code("evaluate_baseline"),


rule download_reannotations:
    input:
        registry=ancient(REGISTRY),
    output:
        reannotations=directory(f"{DATA}/reannotations/{{dataset}}/files"),
    log:
        f"logs/{PLACE}/download_reannotations/{{dataset}}.log",
    benchmark:
        f"benchmarks/{PLACE}/download_reannotations/{{dataset}}.tsv"
    localrule: True
    conda:
        "../envs/mktn.yaml"
    threads: cpus("download")
    resources:
        **needs("download"),
    params:
        rows=lambda w: source_rows(w.dataset, ["annotators"]),
        # Not the downloader's code: it does not change verified bytes. Nor where they
        # come from: Snakemake does not compare params made from input.
        mirror=lambda w, input: MIRROR,
        place=lambda w, input: BY_HAND,
    shell:
        "mktn --log {log} download --dataset {wildcards.dataset} --registry {input.registry}"
        " --roles annotators {params.mirror} --place {params.place} --out {output.reannotations}"


rule reannotations:
    input:
        annotations=f"{DATA}/annotations/{{dataset}}",
        reannotations=f"{DATA}/reannotations/{{dataset}}/files",
    output:
        spans=f"{DATA}/reannotations/{{dataset}}/spans.parquet",
        rejected=f"{DATA}/reannotations/{{dataset}}/rejected.parquet",
    log:
        f"logs/{PLACE}/reannotations/{{dataset}}.log",
    benchmark:
        f"benchmarks/{PLACE}/reannotations/{{dataset}}.tsv"
    localrule: True
    conda:
        "../envs/mktn.yaml"
    threads: cpus("reannotations")
    resources:
        **needs("reannotations"),
    params:
        code=code("reannotations"),
    shell:
        "mktn --log {log} reannotations --dataset {wildcards.dataset} --annotations {input.annotations}"
        " --reannotations {input.reannotations} --out {output.spans}"
        " --rejected {output.rejected}"


rule rescore:
    input:
        metrics=f"{SCORED}/metrics.json",
        predictions=f"{SCORED}/predictions.parquet",
        pairs=f"{DATA}/pairs/{{dataset}}/pairs.parquet",
        groups=f"{DATA}/groups/{{dataset}}/groups.parquet",
        spans=f"{DATA}/reannotations/{{dataset}}/spans.parquet",
    output:
        **{name: f"{SCORED}/metrics-{name}.json" for name in HUMAN_SETS},
    log:
        f"logs/{PLACE}/rescore/{{dataset}}-{{system}}-{{scored}}-seed{{seed}}.log",
    benchmark:
        f"benchmarks/{PLACE}/rescore/{{dataset}}-{{system}}-{{scored}}-seed{{seed}}.tsv"
    localrule: True
    conda:
        "../envs/mktn.yaml"
    threads: cpus("rescore")
    resources:
        **needs("rescore"),
    params:
        what="--predictions",
        settings=settings(lambda w: seeded()),
        code=code("rescore"),
    shell:
        "mktn --log {log} rescore {params.what} {input.predictions} --metrics {input.metrics}"
        " --pairs {input.pairs} --groups {input.groups} --reannotations {input.spans}"
        " --human {output.human} --human-with-original {output.human_with_original}"
        " --human-original-only {output.human_original_only}"
        " --settings {params.settings:q}"


# The protocol is that of a baseline; an annotator's predictions are the moments themselves.
use rule rescore as rescore_annotators with:
    input:
        metrics=f"{BASELINE.replace('{baseline}', config['baselines'][0])}/metrics.json",
        predictions=[],
        pairs=f"{DATA}/pairs/{{dataset}}/pairs.parquet",
        groups=f"{DATA}/groups/{{dataset}}/groups.parquet",
        spans=f"{DATA}/reannotations/{{dataset}}/spans.parquet",
    output:
        **{name: f"{CEILING}/metrics-{name}.json" for name in HUMAN_SETS},
    log:
        f"logs/{PLACE}/rescore/{{dataset}}-annotators-seed{{seed}}.log",
    benchmark:
        f"benchmarks/{PLACE}/rescore/{{dataset}}-annotators-seed{{seed}}.tsv"
    params:
        what="--annotators",
        settings=settings(lambda w: seeded()),
        code=code("rescore"),


rule test_sets:
    input:
        metrics=scored_files(),
    output:
        csv=f"{RESULTS}/test_sets.csv",
        markdown=f"{RESULTS}/test_sets.md",
    log:
        f"logs/{PLACE}/test_sets.log",
    benchmark:
        f"benchmarks/{PLACE}/test_sets.tsv"
    localrule: True
    conda:
        "../envs/mktn.yaml"
    threads: cpus("test_sets")
    resources:
        **needs("test_sets"),
    params:
        code=code("test_sets"),
    shell:
        "mktn --log {log} test-sets --metrics {input.metrics} --csv {output.csv}"
        " --markdown {output.markdown}"
