"""A backbone on disk: weights in safetensors and, beside them, JSON that says how to use them."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, Literal, get_args

import safetensors
import safetensors.torch
import torch

from mktn.config import fill
from mktn.errors import UserError
from mktn.features.c3d import C3D
from mktn.features.i3d import I3D
from mktn.features.preprocessing import Preprocessing
from mktn.files import write_json, written_beside

BackboneName = Literal["c3d", "i3d"]
BACKBONES: tuple[BackboneName, ...] = get_args(BackboneName)


@dataclasses.dataclass(frozen=True)
class BackboneDescription:
    """What stands in the .json beside the weights.

    width: 64 is the published C3D and 1.0 the published I3D; classes: number of logits;
    patch_grid: rows and columns of patches; weights_sha256 of the weights file; labels: names of
    the classes and training: how they were trained, both free.
    """

    backbone: BackboneName
    width: float
    classes: int
    preprocessing: Preprocessing
    patch_grid: tuple[int, ...] = (2, 2)
    weights_sha256: str = ""
    labels: tuple[str, ...] = ()
    training: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.patch_grid) != 2:
            raise ValueError(f"patch_grid has {len(self.patch_grid)} numbers, expected 2")
        if self.backbone == "c3d" and self.preprocessing.clip != 16:
            raise ValueError(f"C3D reads clips of 16 frames, found {self.preprocessing.clip}")


def build(description: BackboneDescription, dropout: float = 0.5) -> C3D | I3D:
    """The network that a description names, untrained."""
    grid = (description.patch_grid[0], description.patch_grid[1])
    if description.backbone == "c3d":
        size = description.preprocessing.crop
        return C3D(int(description.width), size, description.classes, grid, dropout)
    return I3D(description.width, description.classes, grid, dropout)


def description_path(weights: str | Path) -> Path:
    """Where the description of a weights file stands."""
    return Path(weights).with_suffix(".json")


def save(backbone: torch.nn.Module, description: BackboneDescription, weights: Path) -> None:
    """Write the weights and, beside them, the description with their sha256."""
    tensors = {name: tensor.contiguous() for name, tensor in backbone.state_dict().items()}
    with written_beside(weights) as beside:
        safetensors.torch.save_file(tensors, beside)
    described = dataclasses.replace(description, weights_sha256=sha256_of(weights))
    write_json(dataclasses.asdict(described), description_path(weights))


def load(weights: Path, name: BackboneName) -> tuple[C3D | I3D, BackboneDescription]:
    """The trained network in evaluation mode, and its description.

    Raises UserError on a missing or foreign file, weights that are not those that the
    description was written for, or weights whose names or shapes are not the network's.
    """
    beside = description_path(weights)
    for path in (weights, beside):
        if not path.is_file():
            raise UserError(
                "missing file", where=path,
                do="run mktn pretrain, or put the published weights and their description there",
            )  # fmt: skip
    try:
        mapping = json.loads(beside.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError("not JSON", where=beside, found=error) from error
    description = fill(BackboneDescription, mapping, str(beside))
    if description.backbone != name:
        raise UserError(
            "another backbone", where=beside, found=description.backbone, expected=name
        )
    found = sha256_of(weights)
    if description.weights_sha256 not in ("", found):
        raise UserError(
            "weights differ from their description", where=weights, found=f"sha256 {found}",
            expected=description.weights_sha256, do="make both again",
        )  # fmt: skip
    backbone = build(description)
    try:
        backbone.load_state_dict(safetensors.torch.load_file(weights), strict=True)
    except (RuntimeError, safetensors.SafetensorError) as error:
        raise UserError("weights do not fit", where=weights, found=error) from error
    return backbone.eval(), dataclasses.replace(description, weights_sha256=found)


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
