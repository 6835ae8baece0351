# Features: T frames a video, from clip features or simulated, and sentences to vectors.
if SOURCE == "simulated":

    rule simulate:
        input:
            annotations=f"{DATA}/annotations/{{dataset}}",
            pairs=f"{DATA}/pairs/{{dataset}}/pairs.parquet",
        output:
            store=directory(
                f"{DATA}/features/{{dataset}}/{{backbone}}-T{{frames}}.zarr"
            ),
        log:
            f"logs/{SOURCE}/simulate/{{dataset}}-{{backbone}}-T{{frames}}.log",
        benchmark:
            f"benchmarks/{SOURCE}/simulate/{{dataset}}-{{backbone}}-T{{frames}}.tsv"
        conda:
            "../envs/mktn.yaml"
        threads: cpus("simulate")
        resources:
            **needs("simulate"),
        params:
            settings=settings(
                lambda w: {
                    **seeded(),
                    **of(w.dataset, "simulated"),
                    "frames": int(w.frames),
                    "compressor": of(w.dataset, "features", "compressor"),
                    "tacos_version": (
                        of(w.dataset, "pairs", "tacos_version")
                        if w.dataset == "tacos"
                        else None
                    ),
                }
            ),
            code=code("simulate"),
        shell:
            "mktn --log {log} simulate --dataset {wildcards.dataset} --annotations {input.annotations}"
            " --pairs {input.pairs} --out {output.store}"
            " --settings {params.settings:q}"

else:

    rule resample:
        input:
            parts=lambda w: expand(
                f"{DATA}/features/{w.dataset}/{w.backbone}/part-{{part}}.zarr",
                part=range(of(w.dataset, "features", "parts")),
            ),
            pairs=f"{DATA}/pairs/{{dataset}}/pairs.parquet",
        output:
            store=directory(
                f"{DATA}/features/{{dataset}}/{{backbone}}-T{{frames}}.zarr"
            ),
        log:
            f"logs/{SOURCE}/resample/{{dataset}}-{{backbone}}-T{{frames}}.log",
        benchmark:
            f"benchmarks/{SOURCE}/resample/{{dataset}}-{{backbone}}-T{{frames}}.tsv"
        conda:
            "../envs/mktn.yaml"
        threads: cpus("resample")
        resources:
            **needs("resample"),
        params:
            folder=lambda w, input: os.path.dirname(input.parts[0]),
            settings=settings(
                lambda w: {
                    "source": SOURCE,
                    "compressor": of(w.dataset, "features", "compressor"),
                }
            ),
            code=code("resample"),
        shell:
            "mktn --log {log} resample --features {params.folder} --pairs {input.pairs}"
            " --frames {wildcards.frames} --out {output.store}"
            " --settings {params.settings:q}"


rule extract_text:
    input:
        pairs=f"{DATA}/pairs/{{dataset}}/pairs.parquet",
        word_vectors=word_vectors,
        skipthought=published_skipthought,
    output:
        store=directory(f"{DATA}/text/{{dataset}}.zarr"),
        models=directory(f"{DATA}/text_models/{{dataset}}"),
    log:
        f"logs/{SOURCE}/extract_text/{{dataset}}.log",
    benchmark:
        f"benchmarks/{SOURCE}/extract_text/{{dataset}}.tsv"
    conda:
        "../envs/mktn.yaml"
    threads: cpus("extract_text")
    resources:
        **needs("extract_text"),
    params:
        word_vectors=lambda w, input: input.get("word_vectors") or "trained",
        published=lambda w, input: (
            f"--published {shlex.quote(input.skipthought)}"
            if input.get("skipthought")
            else ""
        ),
        # Not in the models, which are emptied before the rule runs; data sets share it.
        cache=f"{DATA}/text_models/word_vectors",
        settings=settings(lambda w: {**seeded(), **threaded(), **of(w.dataset, "text")}),
        code=code("extract_text"),
    shell:
        "mktn --log {log} extract-text --pairs {input.pairs} --word-vectors {params.word_vectors:q}"
        " {params.published} --cache {params.cache}"
        " --models {output.models} --out {output.store}"
        " --settings {params.settings:q}"
