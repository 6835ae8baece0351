# Clip features: of videos by a backbone, or from published feature files.
if SOURCE == "synthetic":

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
        threads: cpus("pretrain")
        resources:
            **needs("pretrain"),
        params:
            settings=settings(
                lambda w: {**seeded(), **threaded(), **config["pretrain"][w.backbone]}
            ),
            code=code("pretrain"),
        shell:
            "mktn --log {log} pretrain --actions {input.actions} --videos {input.videos}"
            " --backbone {wildcards.backbone} --weights {output.weights}"
            " --settings {params.settings:q}"


if SOURCE in ("synthetic", "published", "own"):

    rule extract_video:
        input:
            unpack(extraction_inputs),
            pairs=f"{DATA}/pairs/{{dataset}}/pairs.parquet",
        output:
            part=directory(
                f"{DATA}/features/{{dataset}}/{{backbone}}/part-{{part}}.zarr"
            ),
        log:
            f"logs/{SOURCE}/extract_video/{{dataset}}-{{backbone}}-{{part}}.log",
        benchmark:
            f"benchmarks/{SOURCE}/extract_video/{{dataset}}-{{backbone}}-{{part}}.tsv"
        wildcard_constraints:
            dataset=either(EXTRACTED),
        conda:
            "../envs/mktn.yaml"
        threads: cpus("extract_video")
        resources:
            **needs("extract_video"),
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
            "mktn --log {log} extract-video --videos {input.videos} --pairs {input.pairs}"
            " --backbone {wildcards.backbone} --weights {input.weights} --out {output.part}"
            " --part {wildcards.part} --parts {params.parts}"
            " --settings {params.settings:q}"

    rule import_features:
        input:
            unpack(import_inputs),
            pairs=f"{DATA}/pairs/{{dataset}}/pairs.parquet",
        output:
            part=directory(
                f"{DATA}/features/{{dataset}}/{{backbone}}/part-{{part}}.zarr"
            ),
        log:
            f"logs/{SOURCE}/import_features/{{dataset}}-{{backbone}}-{{part}}.log",
        benchmark:
            f"benchmarks/{SOURCE}/import_features/{{dataset}}-{{backbone}}-{{part}}.tsv"
        wildcard_constraints:
            dataset=either(IMPORTED),
        conda:
            "../envs/mktn.yaml"
        threads: cpus("import_features")
        resources:
            **needs("import_features"),
        params:
            parts=lambda w: of(w.dataset, "features", "parts"),
            settings=settings(
                lambda w: {
                    "backbone": w.backbone,
                    "compressor": of(w.dataset, "features", "compressor"),
                    **of(w.dataset, GIVEN, "import"),
                }
            ),
            fps_table=fps_table,
            code=code("import_features"),
        shell:
            "mktn --log {log} import-features --from {input.file} {params.fps_table} --pairs {input.pairs}"
            " --out {output.part} --part {wildcards.part} --parts {params.parts}"
            " --settings {params.settings:q}"
