"""What a training is of: settings, code and data, as far as its numbers depend on them."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mktn.engine.predict import choose_device
from mktn.engine.run_config import RunConfig
from mktn.step_code import code

if TYPE_CHECKING:
    from mktn.grouping.loader import PairData

SAMPLED = 64  # videos and queries whose numbers are read


def run_identity(config: RunConfig, data: "PairData", sizes: Any) -> dict[str, Any]:
    """Settings with all defaults, the code that training runs, torch, and hashes of the data."""
    settings = dataclasses.asdict(config)
    settings |= {"sizes": dataclasses.asdict(sizes), "loader": dataclasses.asdict(data.config)}
    return {
        "settings": settings | {"device": choose_device(config.device).type},
        "code": code("train"),
        "torch": torch.__version__,
        "data": data_identity(data),
    }


def data_identity(data: "PairData") -> dict[str, str]:
    """Hashes of what training reads: pairs, groups, relations, features and text.

    The first three are hashed whole. Of features and text: what the stores say of themselves, and
    the checksums of their files; of a store without checksums the numbers of 64 videos or queries
    spread over it, so that a number changed in another one is not seen.
    """
    videos = [data.store.video_ids[i] for i in _spread(len(data.store))]
    queries = _spread(len(data.text))
    return {
        "pairs": _sha256(data.pairs.drop("group").to_dict(as_series=False)),
        "groups": _sha256(data.pairs["group"].to_list()),
        "relations": _sha256(data.nearest),
        "features": _sha256(
            data.store.attributes,
            data.store.manifest.to_dict(as_series=False),
            *(
                _checksums(data.store.directory)
                or [numbers for numbers in data.store.read(videos) if numbers is not None]
            ),
        ),
        "text": _sha256(
            data.text.attributes,
            data.text.offsets,
            *(
                _checksums(data.text.path)
                or [data.text.sentences[queries], *data.text.padded_words(queries)]
            ),
        ),
    }


def _checksums(store: Path) -> list[Any]:
    """What stands in a store's file of checksums; nothing where it has none."""
    from mktn.features.store_checksums import NAME

    path = store / NAME
    return [path.read_text(encoding="utf-8")] if path.is_file() else []


def _spread(count: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, SAMPLED)).astype(np.int64))


def _sha256(*values: Any) -> str:
    """Hash (16 hexadecimal digits) of arrays and of what JSON can hold."""
    digest = hashlib.sha256()
    for value in values:
        if isinstance(value, np.ndarray):
            digest.update(f"\0{value.dtype} {value.shape}\0".encode())
            digest.update(np.ascontiguousarray(value).view(np.uint8).reshape(-1))
        else:
            digest.update(json.dumps(value, sort_keys=True, default=str).encode() + b"\0")
    return digest.hexdigest()[:16]
