"""How the published weights want their input: the recipe of each published file, and its sources.

What could not be read in public code or documentation is named `unverified`; it travels in the
description's `training` to the store's attributes.
"""

import dataclasses
import re
from typing import Any, Literal, cast

from mktn.features.preprocessing import Preprocessing

CHARADES_CLASSES = 157


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Preprocessing of published weights, where it was read, and what could not be.

    sha256: how that of the published file begins, where its publisher says so.
    """

    preprocessing: Preprocessing
    read_in: tuple[str, ...]
    unverified: tuple[str, ...] = ()
    sha256: str = ""


C3D_SPORTS1M = Recipe(
    Preprocessing(
        fps=16.0,
        resize=(128, 171),
        crop=112,
        channels="bgr",
        mean=(90.25164795, 97.65701294, 101.4083252),
        scale=1.0,
    ),
    read_in=(
        "resize 128x171, crop 112, clips of 16 every 8: Tran et al. 2015, section 3",
        "blue first, values 0..255, mean of each channel of the Sports-1M mean cube: "
        "DavideA/c3d-pytorch issue 1",
    ),
    unverified=(
        "fps: Sports-1M clips are consecutive frames at each video's own rate",
        "mean: one number a channel in place of the mean cube (3,16,128,171)",
        "pool5: padded on both sides as DavideA/c3d-pytorch does; Caffe pads after only",
    ),
)
I3D_KINETICS = Recipe(
    Preprocessing(fps=25.0, resize=(256,), crop=224),
    read_in=(
        "values -1..1, crop 224, RGB: piergiaj/pytorch-i3d charades_dataset_full.py",
        "25 frames a second, shorter side 256, bilinear: deepmind/kinetics-i3d README, as quoted "
        "by the ports that prepare input for it",
    ),
)
I3D_CHARADES = Recipe(
    Preprocessing(fps=24.0, resize=(226,), crop=224),
    read_in=(
        "shorter side 226, crop 224, values -1..1, RGB: piergiaj/pytorch-i3d "
        "charades_dataset_full.py",
        "24 frames a second: README of Charades, Charades_v1_rgb",
    ),
    unverified=("resize: frames whose shorter side exceeds 226 were cropped unresized",),
)
RESIZE_FILTER = (
    "resize filter: swscale's bilinear, torchvision's own does not smooth when it shrinks"
)


def published_recipe(name: str, classes: int, sha256: str) -> dict[str, Any]:
    """The fields of a BackboneDescription for published weights with so many classes.

    What differs from the published file (its number of classes, its sha256 where that is known)
    is named unverified: the recipe is then a guess.

    Raises ValueError where the installed torchvision no longer states its recipe.
    """
    labels: tuple[str, ...] = ()
    if name == "c3d":
        recipe = C3D_SPORTS1M
    elif name == "i3d":
        recipe = I3D_CHARADES if classes == CHARADES_CLASSES else I3D_KINETICS
    else:
        recipe, labels = torchvision_recipe(cast(Any, name))
    known = {"c3d": (487,), "i3d": (400, CHARADES_CLASSES)}.get(name, (len(labels),))
    unverified = list(recipe.unverified)
    if classes not in known:
        unverified.append(f"weights: {classes} classes, those published have {known}")
    if not sha256.startswith(recipe.sha256):
        unverified.append(f"weights: sha256 does not begin with {recipe.sha256}, as published")
    return {
        "width": 64.0 if name == "c3d" else 1.0,
        "classes": classes,
        "preprocessing": recipe.preprocessing,
        "labels": labels if len(labels) == classes else (),
        "training": {
            "weights": "published file, no description beside it",
            "read_in": list(recipe.read_in),
            "unverified": unverified,
        },
    }


def torchvision_recipe(
    name: Literal["r2plus1d_18", "s3d", "mvit_v2_s"],
) -> tuple[Recipe, tuple[str, ...]]:
    """The evaluation recipe and the labels of torchvision's weights, from its own description.

    Resize, crop, mean and deviation stand in the weights' transforms; frame rate and clip length
    only in their documentation string. The stride is half a clip, as for 16 frames.
    """
    from mktn.features.torchvision_backbones import WEIGHTS  # torchvision takes seconds to import

    weights = WEIGHTS[name]
    transforms = weights.transforms()
    rate, clip = (
        re.search(rf"`{key}=([\d.]+)`", weights.meta["_docs"])
        for key in ("frame_rate", "clip_len")
    )
    if rate is None or clip is None or transforms.crop_size[0] != transforms.crop_size[1]:
        raise ValueError(f"torchvision's {weights} states no frame rate, clip length or square")
    preprocessing = Preprocessing(
        fps=float(rate[1]),
        crop=transforms.crop_size[0],
        resize=tuple(transforms.resize_size),
        clip=int(clip[1]),
        stride=int(clip[1]) // 2,
        mean=tuple(255 * value for value in transforms.mean),
        scale=tuple(255 * value for value in transforms.std),
    )
    published = re.search(r"-([0-9a-f]{8,})\.pth$", weights.url)
    recipe = Recipe(
        preprocessing,
        read_in=(f"torchvision's {weights}: transforms and meta",),
        unverified=(RESIZE_FILTER,),
        sha256=published[1] if published else "",
    )
    return recipe, tuple(weights.meta["categories"])
