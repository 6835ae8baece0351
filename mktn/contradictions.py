"""What no schema can say of a configuration: numbers that are none, and keys that contradict.

Each of these would be found by the step that it is of, hours after the first has begun.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from mktn.errors import UserError

MOST = 2**53  # whole numbers beyond are not the same in all of JSON, YAML and Parquet
PRETRAINED = ("c3d", "i3d")
DO = "mend the value in the file or after --config"


def refuse_no_numbers(value: Any, path: tuple[str, ...] = ()) -> None:
    """Raise UserError at a number that is infinite, NaN or too large, and at a key that is no
    text."""
    where = f"configuration, {'.'.join(path)}"
    if isinstance(value, Mapping):
        for key, below in value.items():
            if not isinstance(key, str):
                raise UserError("a key that is no text", where=where, found=repr(key), do=DO)
            refuse_no_numbers(below, (*path, key))
    elif isinstance(value, list):
        for index, below in enumerate(value):
            refuse_no_numbers(below, (*path, str(index)))
    elif isinstance(value, float) and not math.isfinite(value):
        raise UserError(
            "value refused", where=where, found=value, expected="a finite number", do=DO
        )
    elif isinstance(value, int) and abs(value) > MOST:
        digits = repr(value) if abs(value) < 10**40 else "a number of more than 40 digits"
        raise UserError(
            "value refused", where=where, found=digits, expected=f"at most {MOST}", do=DO
        )


def refuse_contradictions(config: Mapping[str, Any], of_dataset: Mapping[str, Any]) -> None:
    """Raise UserError where keys contradict.

    `of_dataset`: dataset -> the configuration with what is its own laid over it.
    """
    for key, found, expected in _of_pretraining(config.get("pretrain", {})):
        raise UserError(
            "keys contradict", where=f"configuration, pretrain.{key}", found=found,
            expected=expected, do=DO,
        )  # fmt: skip
    for dataset, own in of_dataset.items():
        laid_over = config.get("per_dataset", {}).get(dataset, {})
        for key, found, expected in _found(own):
            is_own = _has(laid_over, key.split("."))
            where = f"per_dataset.{dataset}.{key}" if is_own else f"{key} of {dataset}"
            raise UserError(
                "keys contradict", where=f"configuration, {where}", found=found,
                expected=expected, do=DO,
            )  # fmt: skip


def _has(section: Any, path: list[str]) -> bool:
    """Whether a section has a key, or one below it."""
    for name in path:
        if not isinstance(section, Mapping) or name not in section:
            return False
        section = section[name]
    return True


def _of_pretraining(pretrain: Mapping[str, Any]) -> Iterator[tuple[str, object, str]]:
    for backbone in PRETRAINED:
        own = pretrain.get(backbone, {})
        width, recipe = own.get("width", 1), own.get("preprocessing", {})
        if backbone == "c3d" and width != int(width):
            yield "c3d.width", width, "a whole number of channels"
        crop, resize = recipe.get("crop"), recipe.get("resize")
        if crop and resize and min(resize) < crop:
            yield f"{backbone}.preprocessing.crop", crop, f"at most what resize gives, {resize}"
        clip, stride = recipe.get("clip", 16), recipe.get("stride", 8)
        if stride > clip:
            yield f"{backbone}.preprocessing.stride", stride, f"at most clip, {clip}"


def _found(own: Mapping[str, Any]) -> Iterator[tuple[str, object, str]]:
    """key, what was found and what is expected of each contradiction, lazily."""
    sizes, losses, scores = (own.get(name, {}) for name in ("sizes", "losses", "evaluation"))
    width, heads = sizes.get("width", 128), sizes.get("heads", 4)
    if width % heads or width % 2:
        yield "sizes.width", width, f"a multiple of 2 and of sizes.heads, {heads}"
    yield from _of_models(own)
    if losses.get("schedule") == "fixed" and "fixed_threshold" in own.get("variants", ()):
        yield (
            "losses.schedule",
            "fixed",
            "another: the variant fixed_threshold is then the full model",
        )
    ious = scores.get("ious")
    if not ious or "table_iou" not in scores:
        yield "evaluation.ious", ious, "ious and table_iou of each dataset, as in config.yaml"
        return
    if scores["table_iou"] not in ious:
        yield "evaluation.table_iou", scores["table_iou"], f"one of ious, {ious}"
    if scores.get("nms") == "peer" and min(ious) <= 0.05:
        yield "evaluation.ious", min(ious), "IoUs above 0.05: nms: peer takes 0.05 off each"
    if max(ious) == 1 and scores.get("comparison", ">") == ">":
        yield "evaluation.ious", 1, "below 1: no IoU is > 1"
    backbone = own.get("features", {}).get("backbone")
    if own.get("source") == "synthetic" and backbone not in PRETRAINED:
        yield (
            "features.backbone",
            repr(backbone),
            f"one of {', '.join(PRETRAINED)}, which are trained on synthetic videos",
        )
    given = own.get("own" if own.get("source") == "own" else "published", {})
    extracted = given.get("features", "imported") == "extracted"
    if own.get("source") in ("published", "own") and extracted and backbone == "vgg":
        yield "features.backbone", "vgg", "a backbone of videos: vgg features are imported"


def _of_models(own: Mapping[str, Any]) -> Iterator[tuple[str, object, str]]:
    """Of the models beside mktn; what each key may be by itself, the schema says."""
    from mktn.models.config import SIZES_OF  # which reads settings with mktn.config

    frames = own.get("features", {}).get("frames", 1)
    for model, section in own.get("models", {}).items():
        sizes, grounding = section.get("sizes", {}), section.get("grounding", {})
        given = {k: tuple(v) if isinstance(v, list) else v for k, v in sizes.items()}
        try:
            SIZES_OF[model](frames, *[1] * 4, **given)
        except ValueError as error:
            yield f"models.{model}.sizes", error, "sizes that fit together"
        t_min, t_max = grounding.get("t_min", 0.5), grounding.get("t_max", 1.0)
        if t_min >= t_max:
            yield f"models.{model}.grounding.t_min", t_min, f"below t_max, {t_max}"
