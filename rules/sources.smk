# Sources: annotation files, and for `synthetic` the videos and what really happens in them.
if SOURCE == "synthetic":

    rule synthesize:
        output:
            annotations=directory(f"{DATA}/annotations/{{dataset}}"),
            videos=directory(f"{DATA}/videos/{{dataset}}"),
            actions=f"{DATA}/actions/{{dataset}}.parquet",
        log:
            f"logs/{SOURCE}/synthesize/{{dataset}}.log",
        benchmark:
            f"benchmarks/{SOURCE}/synthesize/{{dataset}}.tsv"
        conda:
            "../envs/mktn.yaml"
        threads: cpus("synthesize")
        resources:
            **needs("synthesize"),
        params:
            settings=settings(lambda w: {**seeded(), **of(w.dataset, "synthetic")}),
            code=code("synthesize"),
        shell:
            "mktn --log {log} synthesize --dataset {wildcards.dataset} --annotations {output.annotations}"
            " --videos {output.videos} --actions {output.actions}"
            " --settings {params.settings:q}"

elif SOURCE == "own":

    rule own_pairs:
        input:
            unpack(table_inputs),
        output:
            pairs=f"{DATA}/pairs/{{dataset}}/pairs.parquet",
            rejected=f"{DATA}/pairs/{{dataset}}/rejected.parquet",
        log:
            f"logs/{SOURCE}/pairs/{{dataset}}.log",
        benchmark:
            f"benchmarks/{SOURCE}/pairs/{{dataset}}.tsv"
        conda:
            "../envs/mktn.yaml"
        threads: cpus("own_pairs")
        resources:
            **needs("own_pairs"),
        params:
            videos=lambda w, input: (
                f"--videos {shlex.quote(input.videos)}" if input.get("videos") else ""
            ),
            settings=settings(
                lambda w: {
                    "fractions": of(w.dataset, "own", "fractions"),
                    "decode_workers": of(w.dataset, "extract", "decode_workers"),
                    "timeout_s": of(w.dataset, "extract", "timeout_s"),
                }
            ),
            code=code("own_pairs"),
        shell:
            "mktn --log {log} pairs --format table --dataset {wildcards.dataset}"
            " --annotations {input.table:q} {params.videos}"
            " --pairs {output.pairs} --rejected {output.rejected}"
            " --settings {params.settings:q}"

else:

    # Simulated features are made from the labels of actions, where a dataset has them.
    ROLES = [
        "annotations",
        *(["labels"] if SOURCE == "simulated" else []),
        *([] if STANDARD else ["splits"]),
    ]

    rule download:
        input:
            registry=ancient(REGISTRY),
        output:
            annotations=directory(f"{DATA}/annotations/{{dataset}}"),
        log:
            f"logs/{SOURCE}/download/{{dataset}}.log",
        benchmark:
            f"benchmarks/{SOURCE}/download/{{dataset}}.tsv"
        localrule: True
        conda:
            "../envs/mktn.yaml"
        threads: cpus("download")
        resources:
            **needs("download"),
        params:
            roles=",".join(ROLES),
            rows=lambda w: source_rows(w.dataset, ROLES),
            # Not the downloader's code: it does not change verified bytes. Nor where they
            # come from: Snakemake does not compare params made from input.
            mirror=lambda w, input: MIRROR,
            place=lambda w, input: BY_HAND,
        shell:
            "mktn --log {log} download --dataset {wildcards.dataset} --registry {input.registry}"
            " --roles {params.roles} {params.mirror} --place {params.place} --out {output.annotations}"

    rule download_file:
        input:
            registry=ancient(REGISTRY),
        output:
            f"data/{SOURCE}/files/{{name}}/{{path}}",
        log:
            f"logs/{SOURCE}/download_file/{{name}}-{{path}}.log",
        wildcard_constraints:
            name="[a-z0-9_.-]+",
            path=".+",
        localrule: True
        conda:
            "../envs/mktn.yaml"
        threads: cpus("download_file")
        resources:
            **needs("download_file"),
        params:
            out=f"data/{SOURCE}/files/{{name}}",
            lock=f"data/{SOURCE}/files/sources.lock",
            rows=lambda w: source_rows(only=[w.name]),
            # Not the downloader's code: it does not change verified bytes. Nor where they
            # come from: Snakemake does not compare params made from input.
            place=lambda w, input: BY_HAND,
        shell:
            "mktn --log {log} download --only {wildcards.name} --registry {input.registry}"
            " --place {params.place} --out {params.out} --lock {params.lock}"


if SOURCE != "own":

    rule pairs:
        input:
            annotations=f"{DATA}/annotations/{{dataset}}",
        output:
            pairs=f"{DATA}/pairs/{{dataset}}/pairs.parquet",
            rejected=f"{DATA}/pairs/{{dataset}}/rejected.parquet",
        log:
            f"logs/{SOURCE}/pairs/{{dataset}}.log",
        benchmark:
            f"benchmarks/{SOURCE}/pairs/{{dataset}}.tsv"
        localrule: True
        conda:
            "../envs/mktn.yaml"
        threads: cpus("pairs")
        resources:
            **needs("pairs"),
        params:
            settings=settings(lambda w: of(w.dataset, "pairs")),
            code=code("pairs"),
        shell:
            "mktn --log {log} pairs --dataset {wildcards.dataset} --annotations {input.annotations}"
            " --pairs {output.pairs} --rejected {output.rejected}"
            " --settings {params.settings:q}"
