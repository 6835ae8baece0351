"""Where the numbers of a store came from, read from its attributes: fields, and a short form.

The short form stands in metrics.json and in the tables. What a store does not record is said to
be unknown, never left out.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

UNKNOWN = "unknown"
# field -> the attributes that may hold it, the first found taken
FIELDS: dict[str, tuple[str, ...]] = {
    "source": ("source",),
    "origin": ("origin",),
    "statement": ("statement",),
    "backbone": ("backbone",),
    "width": ("width",),
    "weights": ("weights_name", "weights"),
    "weights_sha256": ("weights_sha256",),
    "code_version": ("code_version",),
    "code_sha256": ("code_sha256",),
    "clip": ("clip",),
    "stride": ("stride",),
    "fps": ("fps",),
    "frame_rate_policy": ("frame_rate_policy", "frame_rate"),
    "preprocessing": ("preprocessing",),
    "dtype": ("dtype",),
    "file": ("file",),
    "file_sha256": ("file_sha256", "sha256", "listing_sha256"),
    "key": ("key",),
    "preset": ("preset",),
    "settings": ("settings",),
    "unverified": ("unverified",),
}
ELSEWHERE = ("format", "frames", "patches", "patch_grid")  # attributes that the arrays show


def fields_of(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Every field of `FIELDS`, None where the store does not say it."""
    found: dict[str, Any] = {}
    for field, names in FIELDS.items():
        held = [attributes[name] for name in names if attributes.get(name) not in (None, "")]
        found[field] = held[0] if held else None
    if found["origin"] is None and found["statement"] and found["backbone"] == "simulated":
        found["origin"] = "simulated"
    return found


def other_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What a store records beyond the fields."""
    known = {name for names in FIELDS.values() for name in names}.union(ELSEWHERE)
    return {name: value for name, value in attributes.items() if name not in known}


def patch_grid_of(attributes: Mapping[str, Any]) -> list[int] | None:
    """Rows and columns of the patches: `patch_grid` in T stores, `patches` in parts."""
    for name in ("patch_grid", "patches"):
        grid = attributes.get(name)
        if isinstance(grid, list) and len(grid) == 2:
            return grid
    return None


def json_sha256(value: object) -> str:
    """The sha256 of a value as JSON with sorted keys, in hexadecimal."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def short_features(attributes: Mapping[str, Any], patches: int) -> str:
    """What the features of a store are, in a line. `patches`: how many a frame has.

    As `c3d width 8, weights 1a2b3c4d, 8 fps, clips of 16 every 8, 2x2 patches, extracted`.
    """
    of = fields_of(attributes)
    if of["origin"] == "simulated":
        settings = json_sha256(of["settings"])[:8] if of["settings"] else UNKNOWN
        return f"simulated (settings {settings})"
    width = "" if of["width"] is None else f" width {of['width']:g}"
    origin = of["origin"] or f"origin {UNKNOWN}"
    if of["file"]:
        origin += f" from {_joined(of['file'])} ({_short(of['file_sha256'])})"
    parts = [
        f"{of['backbone'] or f'backbone {UNKNOWN}'}{width}",
        f"weights {_short(of['weights_sha256'])}",
        rate(of["fps"]),
        f"clips of {_or_unknown(of['clip'])} every {_or_unknown(of['stride'])}",
        grid(patch_grid_of(attributes), patches),
        origin,
    ]
    if of["unverified"]:
        parts.append("partly unverified")
    return ", ".join(parts)


def short_text(attributes: Mapping[str, Any]) -> tuple[str, str]:
    """What the word and what the sentence vectors of a text store are, a line each."""
    words = str(attributes.get("word_vectors") or UNKNOWN)
    sentences = str(attributes.get("sentence_vectors") or UNKNOWN)
    of_words = attributes.get("word_vectors_sha256")
    of_sentences = attributes.get("sentence_vectors_sha256")
    return (
        f"{words} ({_short(of_words)})" if of_words else words,
        f"{sentences} ({_short(of_sentences)})" if of_sentences else sentences,
    )


def recorded_inputs(
    features: Mapping[str, Any], patches: int, text: Mapping[str, Any]
) -> dict[str, str]:
    """What metrics.json says of the attributes of a T store and a text store.

    The short forms, and the sha256 of all attributes: two stores may share a short form.
    """
    words, sentences = short_text(text)
    return {
        "features": short_features(features, patches),
        "features_sha256": json_sha256(features),
        "word_vectors": words,
        "sentence_vectors": sentences,
        "text_sha256": json_sha256(text),
    }


def rate(fps: object) -> str:
    """Frames a second, which may be a number or words."""
    if isinstance(fps, int | float):
        return f"{fps:g} fps"
    return f"{fps} fps" if fps else f"fps {UNKNOWN}"


def grid(rows_columns: list[int] | None, patches: int) -> str:
    """The patch grid where it is known, else how many patches a frame has."""
    if not patches:
        return "no patches"
    if rows_columns is None:
        return f"{patches} patches"
    return f"{rows_columns[0]}x{rows_columns[1]} patches"


def _short(sha256: object) -> str:
    if isinstance(sha256, list):
        return ", ".join(map(_short, sha256))
    return str(sha256)[:8] if sha256 else UNKNOWN


def _joined(names: object) -> str:
    return ", ".join(map(str, names)) if isinstance(names, list) else str(names)


def _or_unknown(value: object) -> object:
    return UNKNOWN if value is None else value
