# Files of the mirror and files that the user names, which nothing here makes.
import os
import shlex
from pathlib import Path

from mktn.datasets.registry import read_registry
from mktn.errors import UserError

PUBLISHED_PATHS = {
    "file": "a file of features, or a folder with one a video",
    "fps_table": "a table of video_id and fps",
    "videos": "a folder of the videos, named by their ids",
    "weights": "weights of the backbone, as published",
}


def mirrored(given, where, what):
    """A file of the mirror, plain or .gz; without a mirror, where its download puts it.

    Absolute paths are nobody's but the user's. `where` in the configuration it is named, and
    `what` it should be, are for the user who named one that is not there.
    """
    path = os.path.join(config["mirror"] or "", given)
    if config["mirror"] is None and not os.path.isabs(given):
        name = next(
            (f.name for f in read_registry(Path(REGISTRY)) if f.path == given), None
        )
        if name is not None:
            return f"data/{SOURCE}/files/{name}/{given}"
    for form in (path, f"{path}.gz"):
        if os.path.exists(form):
            return form
    stop(
        UserError(
            "file is missing",
            where=path,
            expected=f"{what}, as {where} names it",
            do="put it there or name another; `mktn download --list` says where files come from",
        )
    )


def published_path(dataset, key):
    """What the section `published` names, a file or folder of the mirror."""
    where = f"per_dataset.{dataset}.published.{key}"
    given = of(dataset, "published", key)
    if given is None:
        stop(
            UserError(
                "path is missing",
                where=f"configuration, {where}",
                expected=PUBLISHED_PATHS[key],
                do="name it there; docs/data.md says what there is",
            )
        )
    return mirrored(given, where, PUBLISHED_PATHS[key])


def extraction_inputs(wildcards):
    """The videos and the weights; weights of ours have their recipe beside them."""
    if SOURCE == "synthetic":
        weights = f"{DATA}/backbones/{wildcards.backbone}.safetensors"
        return {
            "videos": f"{DATA}/videos/{wildcards.dataset}",
            "weights": weights,
            "recipe": weights.replace(".safetensors", ".json"),
        }
    inputs = {
        key: published_path(wildcards.dataset, key) for key in ("videos", "weights")
    }
    recipe = Path(inputs["weights"]).with_suffix(".json")
    if recipe.is_file():  # it overrides the published preprocessing
        inputs["recipe"] = str(recipe)
    return inputs


def import_inputs(wildcards):
    """The feature file, and the table of frame rates where one is named."""
    dataset = wildcards.dataset
    inputs = {"file": published_path(dataset, "file")}
    if of(dataset, "published", "fps_table") is not None:
        inputs["fps_table"] = published_path(dataset, "fps_table")
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
