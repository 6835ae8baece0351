"""What stands in a store of features or text, as one mapping of JSON values."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from mktn.errors import UserError
from mktn.features.origin import fields_of, other_attributes, patch_grid_of
from mktn.features.store import FeatureStore, ResampledStore
from mktn.features.store_checksums import NAME as CHECKSUMS


def describe(path: str | Path) -> dict[str, Any]:
    """What stands at `path`, as JSON values; None is unknown.

    Raises UserError where it is none of the four, and where parts do not belong together.
    """
    path = Path(path)
    if (path / "features" / "zarr.json").is_file() or any(path.glob("part-*.zarr")):
        return _features(path)
    if (path / "sentences" / "zarr.json").is_file():
        return _text(path)
    raise UserError(
        "neither features nor text", where=path,
        found=(
            "a folder of something else" if path.is_dir()
            else "a file" if path.exists() else "no such folder"
        ),
        expected="a folder of part-*.zarr, a part, a T store, or a text store",
    )  # fmt: skip


def _features(path: Path) -> dict[str, Any]:
    store: FeatureStore | ResampledStore
    if not (path / "features").is_dir():
        store, kind = FeatureStore(path), "folder of parts"
    elif (path / "span_s").is_dir():
        store, kind = FeatureStore(path), "part"
    else:
        store, kind = ResampledStore(path), "T store"
    stores = store.paths if isinstance(store, FeatureStore) else [path]
    first = stores[0]
    arrays = {name: _array(first / name) for name in ("features", "patches")}
    shape = arrays["features"]["shape"]
    manifest = store.manifest
    usable = manifest.filter(status="ok")
    if isinstance(store, FeatureStore):
        frames, rows = None, int(usable["rows"].sum())
    else:
        frames, rows = store.frames, store.frames * usable.height
    duration_s = float(usable["duration_s"].sum())
    patches = arrays["patches"]["shape"][-2:] if arrays["patches"] else (0, 0)
    failed = manifest.filter(pl.col("status") != "ok")
    return {
        "path": str(path),
        "kind": kind,
        "parts": len(store.paths) if isinstance(store, FeatureStore) else None,
        "frames": frames,
        **fields_of(store.attributes),
        "patch_grid": patch_grid_of(store.attributes),
        "patches": patches[0],
        "patch_dimension": patches[1],
        "stored_dtype": arrays["features"]["data_type"],
        "dimension": shape[-1],
        "videos": usable.height,
        "videos_failed": failed.height,
        "errors": dict(Counter(failed["error"].to_list()).most_common()),
        "rows": rows,
        "duration_s": duration_s or None,
        "rows_per_s": rows / duration_s if duration_s else None,
        "bytes": _bytes(path),
        "checksum_of_files": all((one / CHECKSUMS).is_file() for one in stores),
        **_codecs(arrays["features"]),
        "other": other_attributes(store.attributes),
    }


def _text(path: Path) -> dict[str, Any]:
    attributes = _json(path / "zarr.json").get("attributes", {})
    words, sentences = _array(path / "words"), _array(path / "sentences")
    return {
        "path": str(path),
        "kind": "text store",
        "queries": sentences["shape"][0],
        "words": words["shape"][0] if words else None,
        "word_dimension": words["shape"][1] if words else None,
        "sentence_dimension": sentences["shape"][1],
        "stored_dtype": sentences["data_type"],
        "bytes": _bytes(path),
        **{name: attributes.get(name) for name in ("word_vectors", "sentence_vectors")},
        **{name: value for name, value in attributes.items() if name != "format"},
    }


def _array(path: Path) -> dict[str, Any]:
    """The metadata of an array, empty where there is none."""
    return _json(path / "zarr.json") if (path / "zarr.json").is_file() else {}


def _json(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            "metadata cannot be read",
            where=path,
            found=error,
            do="remove the store and make it again",
        ) from error
    return found


def _codecs(array: Mapping[str, Any]) -> dict[str, Any]:
    """How the numbers are packed, and which of them have checksums."""
    shards = array["codecs"][0].get("configuration", {})
    packing = [c for c in shards.get("codecs", []) if c["name"] not in ("bytes", "crc32c")]
    names = [
        "-".join(filter(None, (c["name"], c.get("configuration", {}).get("cname"))))
        for c in packing
    ]
    return {
        "compressor": ", ".join(names) or "none",
        "checksum_of_numbers": _has_checksum(shards.get("codecs", [])),
        "checksum_of_index": _has_checksum(shards.get("index_codecs", [])),
    }


def _has_checksum(codecs: list[dict[str, Any]]) -> bool:
    return any(codec["name"] == "crc32c" for codec in codecs)


def _bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
