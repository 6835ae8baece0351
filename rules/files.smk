# Files of the mirror and files that the user names, which nothing here makes.
import functools
import os
import shlex
from pathlib import Path

from mktn.datasets.by_hand import in_mirror, made_by, missing
from mktn.datasets.registry import read_registry, rows_sha256, select
from mktn.errors import UserError

GIVEN_PATHS = {
    "table": "a csv or JSON table of videos, sentences and spans",
    "file": "a file of features, or a folder with one a video",
    "fps_table": "a table of video_id and fps",
    "videos": "a folder of the videos, named by their ids",
    "weights": "weights of the backbone, published ones or our own",
}


# Roles of the archives that the folders of `published` are unpacked from.
ARCHIVE_ROLES = {"file": "features", "videos": "videos"}
# Where a person puts a file, never among the outputs of rules: those Snakemake takes for made, or
# removes.
BY_HAND = shlex.quote(in_mirror(config["mirror"]))


@functools.cache
def registry():
    """The rows of the registry, read once."""
    try:
        return tuple(read_registry(Path(REGISTRY)))
    except UserError as error:
        stop(error)


def source_rows(dataset=None, roles=None, only=None):
    """Hash of the rows that a download brings, so that other edits do not run it again."""
    try:
        return rows_sha256(select(registry(), dataset, roles, only))
    except UserError as error:
        stop(error)


def mirrored(given, where, what, dataset="", role="", listed=True):
    """A file of the mirror, plain or .gz; without a mirror, where its download puts it.

    Absolute paths are nobody's but the user's. `where` in the configuration it is named, and
    `what` it should be, are for the user who named one that is not there; an archive of this
    dataset and role may hold it. listed: whether the registry may have it, which nobody's own
    table or videos are in.
    """
    path = os.path.join(config["mirror"] or "", given)
    row = None
    if not os.path.isabs(given):
        row = next((file for file in registry() if file.path == given), None)
    if row is not None and row.addresses and config["mirror"] is None:
        return f"data/{SOURCE}/files/{row.name}/{given}"
    if row is None or config["mirror"] is not None:
        for form in (path, f"{path}.gz"):
            if os.path.exists(form):
                return form
    do = ""
    if not os.path.isabs(given):
        do = missing(registry(), given, in_mirror(config["mirror"]), dataset, role)
    origins = "; `mktn download --list` says where files come from" if listed else ""
    stop(
        UserError(
            "file is missing",
            where=path,
            expected=f"{what}, as {where} names it",
            do=do or made_by(path) or f"put it there or name another{origins}",
        )
    )


def given_path(dataset, key):
    """What the section `published` or `own` names, a file or folder of the mirror."""
    where = f"per_dataset.{dataset}.{GIVEN}.{key}"
    given = of(dataset, GIVEN, key)
    if given is None:
        stop(
            UserError(
                "path is missing",
                where=f"configuration, {where}",
                expected=GIVEN_PATHS[key],
                do=f"name it there; docs/{'own_' if SOURCE == 'own' else ''}data.md says what there is",
            )
        )
    role = ARCHIVE_ROLES.get(key, "")
    listed = SOURCE != "own" or key == "weights"
    return mirrored(given, where, GIVEN_PATHS[key], dataset, role, listed)


def extraction_inputs(wildcards):
    """The videos and the weights; weights of ours have their recipe beside them."""
    if SOURCE == "synthetic":
        weights = f"{DATA}/backbones/{wildcards.backbone}.safetensors"
        return {
            "videos": f"{DATA}/videos/{wildcards.dataset}",
            "weights": weights,
            "recipe": weights.replace(".safetensors", ".json"),
        }
    inputs = {key: given_path(wildcards.dataset, key) for key in ("videos", "weights")}
    recipe = Path(inputs["weights"]).with_suffix(".json")
    if recipe.is_file():  # it overrides the published preprocessing
        inputs["recipe"] = str(recipe)
    return inputs


def table_inputs(wildcards):
    """A user's table, and the folder of the videos where one is named."""
    inputs = {"table": given_path(wildcards.dataset, "table")}
    if of(wildcards.dataset, "own", "videos") is not None:
        inputs["videos"] = given_path(wildcards.dataset, "videos")
    return inputs


def import_inputs(wildcards):
    """The feature file, and the table of frame rates where one is named."""
    dataset = wildcards.dataset
    inputs = {"file": given_path(dataset, "file")}
    if of(dataset, GIVEN, "fps_table") is not None:
        inputs["fps_table"] = given_path(dataset, "fps_table")
    return inputs


def fps_table(wildcards):
    """The option that names the table of frame rates, or nothing."""
    return "".join(
        f"--fps-table {shlex.quote(path)}"
        for key, path in import_inputs(wildcards).items()
        if key == "fps_table"
    )


def word_vectors(wildcards):
    """The file of published vectors, in the mirror unless the path is absolute, or nothing."""
    given = of(wildcards.dataset, "word_vectors")
    if given == "trained":
        return []
    return mirrored(given, "word_vectors", "a file of word vectors")


def published_skipthought(wildcards):
    """The folder of the published encoders, where they are asked for."""
    if of(wildcards.dataset, "text", "sentence") != "published":
        return []
    what = "the folder of the published encoders"
    return mirrored(
        of(wildcards.dataset, "published_skipthought"), "published_skipthought", what
    )


def resampled(wildcards):
    """The T store that training on this dataset reads."""
    features = of(wildcards.dataset, "features")
    store = f"{features['backbone']}-T{features['frames']}.zarr"
    return f"{DATA}/features/{wildcards.dataset}/{store}"
