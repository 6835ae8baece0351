# Features: clips to vectors, vectors to T frames a video, sentences to vectors.
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
        threads: 1
        resources:
            mem_mb=2000,
            runtime=60,
        params:
            settings=settings(
                lambda w: {
                    **seeded(),
                    **of(w.dataset, "simulated"),
                    "frames": int(w.frames),
                    "compressor": of(w.dataset, "features", "compressor"),
                }
            ),
            code=code("simulate"),
        shell:
            "mktn simulate --dataset {wildcards.dataset} --annotations {input.annotations}"
            " --pairs {input.pairs} --out {output.store}"
            " --settings {params.settings:q} > {log} 2>&1"

else:

    rule pretrain:
        input:
            actions=expand(
                f"{DATA}/actions/{{dataset}}.parquet",
                dataset=config["pretrain"]["datasets"],
            ),
            videos=expand(
                f"{DATA}/videos/{{dataset}}", dataset=config["pretrain"]["datasets"]
            ),
        output:
            weights=f"{DATA}/backbones/{{backbone}}.safetensors",
            recipe=f"{DATA}/backbones/{{backbone}}.json",
        log:
            f"logs/{SOURCE}/pretrain/{{backbone}}.log",
        benchmark:
            f"benchmarks/{SOURCE}/pretrain/{{backbone}}.tsv"
        # The longest step before training: it goes first.
        priority: 10
        conda:
            "../envs/mktn.yaml"
        threads: config["threads"]
        resources:
            mem_mb=4000,
            runtime=60,
        params:
            settings=settings(
                lambda w: {**seeded(), **threaded(), **config["pretrain"][w.backbone]}
            ),
            code=code("pretrain"),
        shell:
            "mktn pretrain --actions {input.actions} --videos {input.videos}"
            " --backbone {wildcards.backbone} --weights {output.weights}"
            " --settings {params.settings:q} > {log} 2>&1"

    rule extract_video:
        input:
            videos=f"{DATA}/videos/{{dataset}}",
            pairs=f"{DATA}/pairs/{{dataset}}/pairs.parquet",
            weights=f"{DATA}/backbones/{{backbone}}.safetensors",
            recipe=f"{DATA}/backbones/{{backbone}}.json",
        output:
            part=directory(
                f"{DATA}/features/{{dataset}}/{{backbone}}/part-{{part}}.zarr"
            ),
        log:
            f"logs/{SOURCE}/extract_video/{{dataset}}-{{backbone}}-{{part}}.log",
        benchmark:
            f"benchmarks/{SOURCE}/extract_video/{{dataset}}-{{backbone}}-{{part}}.tsv"
        conda:
            "../envs/mktn.yaml"
        threads: lambda w: config["threads"] + of(w.dataset, "extract", "decode_workers")
        resources:
            mem_mb=4000,
            runtime=120,
        params:
            parts=lambda w: of(w.dataset, "features", "parts"),
            settings=settings(
                lambda w: {
                    "device": config["device"],
                    **threaded(),
                    **of(w.dataset, "extract"),
                }
            ),
            code=code("extract_video"),
        shell:
            "mktn extract-video --videos {input.videos} --pairs {input.pairs}"
            " --backbone {wildcards.backbone} --weights {input.weights} --out {output.part}"
            " --part {wildcards.part} --parts {params.parts}"
            " --settings {params.settings:q} > {log} 2>&1"

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
        threads: 1
        resources:
            mem_mb=2000,
            runtime=60,
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
            "mktn resample --features {params.folder} --pairs {input.pairs}"
            " --frames {wildcards.frames} --out {output.store}"
            " --settings {params.settings:q} > {log} 2>&1"


rule extract_text:
    input:
        pairs=f"{DATA}/pairs/{{dataset}}/pairs.parquet",
    output:
        store=directory(f"{DATA}/text/{{dataset}}.zarr"),
        models=directory(f"{DATA}/text_models/{{dataset}}"),
    log:
        f"logs/{SOURCE}/extract_text/{{dataset}}.log",
    benchmark:
        f"benchmarks/{SOURCE}/extract_text/{{dataset}}.tsv"
    conda:
        "../envs/mktn.yaml"
    threads: config["threads"]
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        word_vectors=word_vectors,
        settings=settings(lambda w: {**seeded(), **threaded(), **of(w.dataset, "text")}),
        code=code("extract_text"),
    shell:
        "mktn extract-text --pairs {input.pairs} --word-vectors {params.word_vectors:q}"
        " --models {output.models} --out {output.store}"
        " --settings {params.settings:q} > {log} 2>&1"
