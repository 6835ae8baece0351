"""`mktn features info`: what a folder of parts, a part, a T store or a text store holds."""

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mktn.features.described import describe
from mktn.features.origin import UNKNOWN, grid, rate

ERRORS_SHOWN = 5
OF_IMPORTS = ("file", "file_sha256", "key", "preset")
OF_SIMULATED = ("statement", "settings")


def as_lines(of: Mapping[str, Any]) -> list[str]:
    """The description as lines `what: value`, aligned."""
    pairs = list(_text_pairs(of) if of["kind"] == "text store" else _feature_pairs(of))
    widest = max(len(name) for name, _ in pairs)
    return [f"{name:<{widest}}  {_said(value)}" for name, value in pairs]


def _feature_pairs(of: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    kind = {
        "folder of parts": f"folder of {of['parts']} part{'' if of['parts'] == 1 else 's'}",
        "part": "one part",
        "T store": f"T store of {of['frames']} frames a video",
    }
    yield "what", kind[of["kind"]]
    yield "source", of["source"]
    yield "origin", of["origin"]
    for name in OF_SIMULATED:
        if of[name] is not None or of["origin"] == "simulated":
            yield name, of[name]
    for name in OF_IMPORTS:
        if of[name] is not None or of["origin"] == "imported":
            yield name.replace("_", " "), of[name]
    yield "backbone", of["backbone"]
    yield from _seen_pairs(of)
    yield "patches", _patches(of)
    yield "dtype", f"{_said(of['dtype'])}, stored as {of['stored_dtype']}"
    yield "dimension", of["dimension"]
    yield "not verified", "; ".join(_flat(of["unverified"])) or "nothing is marked as unverified"
    yield "videos", f"{of['videos']} ok, {of['videos_failed']} failed"
    errors = grouped_errors(of["errors"])
    for error, videos in errors[:ERRORS_SHOWN]:
        yield "", f"{videos} x {error}"
    if errors[ERRORS_SHOWN:]:
        rest = sum(videos for _, videos in errors[ERRORS_SHOWN:])
        yield "", f"{rest} x other errors"
    yield "rows", _rows(of)
    yield "duration", None if of["duration_s"] is None else _hours(of["duration_s"])
    yield "rows a second", None if of["rows_per_s"] is None else _rows_per_s(of)
    yield "size on disk", f"{of['bytes'] / 1e6:.1f} MB"
    yield "compressor", of["compressor"]
    summed = {True: "crc32c", False: "none"}
    yield (
        "checksums",
        (
            f"of each file {summed[of['checksum_of_files']]},"
            f" of the numbers {summed[of['checksum_of_numbers']]},"
            f" of the shards' index {summed[of['checksum_of_index']]}"
        ),
    )
    for name, value in of["other"].items():
        yield name.replace("_", " "), value


def _seen_pairs(of: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """How a backbone saw the videos; no backbone saw those of simulated features."""
    code = f"version {_said(of['code_version'])}, sha256 {_digest(of['code_sha256'])}"
    seen = ("width", "weights", "weights_sha256", "clip", "stride", "fps", "preprocessing")
    if of["origin"] == "simulated" and all(of[name] is None for name in seen):
        yield "code", code
        yield "how seen", "no width, weights, clip, stride, frame rate, preprocessing: simulated"
        return
    yield "width", of["width"]
    yield "weights", f"{_said(of['weights'])}, sha256 {_digest(of['weights_sha256'])}"
    yield "code", code
    if of["kind"] == "T store":
        # Its rows are no clips: those were averaged.
        clips = f"clips of {_said(of['clip'])} every {_said(of['stride'])}"
        yield "rows from", f"{clips}, averaged into {of['frames']} equal bins"
    else:
        yield "clip", None if of["clip"] is None else _frames(of["clip"])
        yield "stride", None if of["stride"] is None else _frames(of["stride"])
    yield "frame rate", f"{rate(of['fps'])}, policy {_said(of['frame_rate_policy'])}"
    yield "preprocessing", of["preprocessing"]


def _frames(count: int) -> str:
    return f"{count} frame{'' if count == 1 else 's'}"


def _text_pairs(of: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "what", "text store"
    yield "queries", of["queries"]
    yield "words", of["words"]
    shown = {"path", "kind", "queries", "words", "bytes"}
    for name in ("word_vectors", "sentence_vectors"):
        yield name.replace("_", " "), of[name]
        shown.add(name)
    for name, value in of.items():
        if name not in shown:
            yield name.replace("_", " "), value
    yield "size on disk", f"{of['bytes'] / 1e6:.1f} MB"


def _patches(of: Mapping[str, Any]) -> str:
    if not of["patches"]:
        return "no patches"
    known = grid(of["patch_grid"], of["patches"])
    unknown = "" if of["patch_grid"] else f" (grid {UNKNOWN})"
    return f"{known}{unknown} of dimension {of['patch_dimension']}"


def grouped_errors(errors: Mapping[str, int]) -> list[tuple[str, int]]:
    """Errors and their videos, those together that differ only in a name or in numbers.

    Most videos first. Of a group stands what is before the colon, and what the first one says
    after it where that is more than a name.
    """
    groups: dict[str, list[tuple[str, int]]] = {}
    for error, videos in errors.items():
        alike = re.sub(r"[-+]?\d[\d.]*(e[-+]?\d+)?", "N", error.split(": ")[0])
        groups.setdefault(alike, []).append((error, videos))
    found = []
    for members in groups.values():
        first = members[0][0]
        said, _, rest = first.partition(": ")
        if len(members) == 1:
            said = first
        elif any(error.split(": ")[0] != said for error, _ in members):
            said = f"like: {first}"
        elif " " in rest:
            said = f"{said}, as {rest}"
        found.append((said, sum(videos for _, videos in members)))
    return sorted(found, key=lambda item: -item[1])


def _rows(of: Mapping[str, Any]) -> str:
    if of["kind"] == "T store":
        return f"{of['rows']}, {of['frames']} of each video"
    return str(of["rows"])


def _flat(value: object) -> list[str]:
    """Words in order, each once, of a list that may hold the lists of several parts."""
    if isinstance(value, list | tuple):
        return list(dict.fromkeys(word for item in value for word in _flat(item)))
    return [] if value in (None, "") else [str(value)]


def _rows_per_s(of: Mapping[str, Any]) -> str:
    found = f"{of['rows_per_s']:.3f} found"
    if of["kind"] == "T store":
        return f"{of['rows_per_s']:.3f}, of equal bins"
    if not isinstance(of["fps"], int | float) or not of["stride"]:
        return found
    return f"{found}; {of['fps'] / of['stride']:.3f} by its frame rate and stride"


def _hours(duration_s: float) -> str:
    minutes, seconds = divmod(duration_s, 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours} h {minutes:02} min {seconds:04.1f} s ({duration_s:.1f} s)"


def _digest(sha256: object) -> str:
    if isinstance(sha256, list):
        return ", ".join(map(_digest, sha256))
    return str(sha256)[:12] if sha256 else UNKNOWN


def _said(value: object) -> str:
    """A value as words: mappings and lists flat, None unknown."""
    if value is None or value == "":
        return UNKNOWN
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_inner(item)}" for name, item in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_inner, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else " ".join(str(value).split())


def _inner(value: object) -> str:
    if isinstance(value, list | tuple | Mapping):
        return f"({_said(value)})"
    return _said(value)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `mktn features info`."""
    parser.add_argument("what", choices=("info",))
    parser.add_argument(
        "directory", type=Path, help="a folder of part-*.zarr, a part, a T store, or a text store"
    )
    parser.add_argument("--json", action="store_true", help="the same as JSON")


def run(arguments: argparse.Namespace) -> None:
    """Print what the store is."""
    of = describe(arguments.directory)
    if arguments.json:
        print(json.dumps(of, indent=2, ensure_ascii=False))
    else:
        print(arguments.directory)
        print("\n".join(as_lines(of)))
