"""The files of the published skip-thought encoders, as their authors wrote them.

`uni_skip.npz` and `bi_skip.npz` hold the weights, `utable.npy` and `btable.npy` a vector of each
line of `dictionary.txt`. The options beside them (`*.npz.pkl`) are pickles and are not needed.
Shape legend: E word vector, H state of the GRU.
"""

import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mktn.errors import UserError
from mktn.features.pickled_rows import PickledRows

PUBLISHED_FILES = ("uni_skip.npz", "bi_skip.npz", "utable.npy", "btable.npy", "dictionary.txt")
UNKNOWN = "UNK"


def published_sha256(folder: Path) -> dict[str, str]:
    """The hash of each of the files: 5 GB in all, some seconds."""
    hashes = {}
    for name in PUBLISHED_FILES:
        with (folder / name).open("rb") as stream:
            hashes[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return hashes


def dictionary(path: Path) -> list[str]:
    """The words, one a line, in the order of the tables. Raises UserError without UNK."""
    try:
        # Not splitlines: only a line feed ends a word.
        words = path.read_bytes().decode("utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise UserError("dictionary cannot be read", where=path, found=error) from error
    words = [word.strip() for word in words]
    if UNKNOWN not in words:
        raise UserError("dictionary without UNK", where=path, expected="a line UNK")
    return words


def table(path: Path, width: int) -> np.ndarray | PickledRows:
    """The rows (words, E) as published, a pickled list, or saved again as a plain float `.npy`.

    Neither is held in memory, nothing is unpickled. Raises UserError when it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            version = np.lib.format.read_magic(stream)
            read_header = np.lib.format.read_array_header_1_0
            pickled = version == (1, 0) and read_header(stream)[2].hasobject
        if pickled:
            return PickledRows(path, width)
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UserError("table of word vectors cannot be read", where=path, found=error) from error


def gru(path: Path, prefixes: Sequence[str]) -> nn.GRU:
    """`torch.nn.GRU` of the weights in `path`, in both directions where there are two prefixes.

    Of each prefix: W (E, 2H), U (H, 2H), b (2H,) of the gates in the order reset, update, and
    Wx (E, H), Ux (H, H), bx (H,) of the new state. The reset gate is applied after the recurrent
    product, r * (h U), as torch does, so the recurrent bias is zero. Raises UserError when the
    file cannot be read or an array is missing or of another shape.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return _gru(arrays, prefixes)
    except (OSError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
        raise UserError("skip-thought model cannot be read", where=path, found=error) from error


def _gru(arrays: np.lib.npyio.NpzFile, prefixes: Sequence[str]) -> nn.GRU:
    width, gates = arrays[f"{prefixes[0]}_W"].shape
    gru = nn.GRU(width, gates // 2, bidirectional=len(prefixes) == 2).eval()
    state = {}
    for prefix, suffix in zip(prefixes, ("", "_reverse"), strict=False):
        w, u, b, wx, ux, bx = (
            np.asarray(arrays[f"{prefix}_{key}"], dtype=np.float32)
            for key in ("W", "U", "b", "Wx", "Ux", "bx")
        )
        bias = np.concatenate([b, bx])
        state[f"weight_ih_l0{suffix}"] = np.concatenate([w, wx], axis=1).T
        state[f"weight_hh_l0{suffix}"] = np.concatenate([u, ux], axis=1).T
        state[f"bias_ih_l0{suffix}"] = bias
        state[f"bias_hh_l0{suffix}"] = np.zeros_like(bias)
    gru.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in state.items()})
    return gru
