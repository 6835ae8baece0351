# The test pairs that figures look into, and the runs and videos that these are drawn from.
from mktn.errors import UserError
from mktn.models.variants import VARIANTS_OF

OURS = ("mktn", "full")
SOLE_IANET = ("ianet", "full")


def timeline_systems(what="figure 3c"):
    """MKTN and the configured peers, those of models that are not among `systems` left out."""
    check_pictured(what, OURS)
    systems = [OURS]
    for peer in config["figures"]["peers"]:
        model, _, variant = peer.partition("/")
        if variant not in VARIANTS_OF.get(model, ()) or (model, variant) == OURS:
            stop(
                UserError(
                    "no such peer",
                    where="configuration, figures.peers",
                    found=peer,
                    expected="a model and its variant, as mmn/origin",
                )
            )
        if model in config["systems"]:
            systems.append((model, variant))
    return systems


def check_pictured(what, system):
    """One line where a figure's own system is not configured, or pairs are named of a dataset
    that is not."""
    refuse_other_partitions(what)
    model, variant = system
    for dataset in config["figures"]["named"]:
        if dataset not in DATASETS:
            stop(
                UserError(
                    "pairs are named of a dataset that is not configured",
                    where="configuration, figures.named",
                    found=dataset,
                    expected=f"one of {', '.join(DATASETS)}",
                )
            )
    for key, name, of_key in (
        ("systems", model, config["systems"]),
        ("variants", variant, config["variants"] if model == "mktn" else [variant]),
    ):
        if name not in of_key:
            stop(
                UserError(
                    f"{what} is of {model}/{variant}",
                    where=f"configuration, {key}",
                    found=", ".join(of_key),
                    expected=name,
                    do=f"add it to {key}, or ask for another",
                )
            )


def timeline_files(name):
    """The file `name` of one run of each system on each dataset, that of the first seed."""

    def given(wildcards):
        systems = timeline_systems()
        return [
            run_file(name, dataset, system, config["seeds"][0])
            for dataset in DATASETS
            for system in systems
        ]

    return given


def video_folders(wildcards):
    """The folder of the videos of each dataset that has one; simulated features have none."""
    if SOURCE == "simulated":
        return []
    if SOURCE == "synthetic":
        return expand(f"{DATA}/videos/{{dataset}}", dataset=DATASETS)
    return [given_path(dataset, "videos") for dataset in filmed()]


def filmed():
    """The datasets that have a folder of videos."""
    if SOURCE == "simulated":
        return []
    if SOURCE == "synthetic":
        return DATASETS
    return [
        dataset
        for dataset in DATASETS
        if dataset in EXTRACTED or of(dataset, GIVEN, "videos") is not None
    ]


def draw_of(dataset, count):
    """How `mktn attention` is told which pairs: `count` names the key of how many."""
    given = config["figures"]
    named = given["named"].get(dataset, [])[: given[count]]
    return {"pairs": given[count], "seed": given["seed"], "named": named}


def attention_settings(wildcards):
    """What `mktn attention` is told: the data, not how answers to it are scored."""
    given = evaluation_settings(wildcards)
    data = ("source", "dataset", "partition", "device", "threads", "loader")
    required = ("ious", "table_iou")
    return {
        **{key: given[key] for key in (*data, *required)},
        "draw": draw_of(wildcards.dataset, "maps"),
    }


def attention_files(wildcards):
    """The attention maps of IA-Net on each dataset, of its first seed."""
    check_pictured("figure ianet5", SOLE_IANET)
    return [
        run_file("attention.parquet", dataset, SOLE_IANET, config["seeds"][0])
        for dataset in DATASETS
    ]
