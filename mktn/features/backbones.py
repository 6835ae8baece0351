"""A backbone on disk: our weights in safetensors with JSON beside them, or a published file.

The JSON says how to use the weights; a published file without one is used as published.
"""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, Literal, get_args

import safetensors
import safetensors.torch
import torch

from mktn.checksums import KEY, UNSEALED, check, seal, write_sealed_json
from mktn.config import fill
from mktn.errors import UserError
from mktn.features.c3d import C3D
from mktn.features.i3d import I3D
from mktn.features.preprocessing import Preprocessing
from mktn.features.published_weights import SUFFIXES, count_classes, load_strictly, read_tensors
from mktn.features.recipes import published_recipe
from mktn.features.video_backbone import Grid, VideoBackbone
from mktn.files import written_beside

BackboneName = Literal["c3d", "i3d", "r2plus1d_18", "s3d", "mvit_v2_s"]
BACKBONES: tuple[BackboneName, ...] = get_args(BackboneName)


@dataclasses.dataclass(frozen=True)
class BackboneDescription:
    """What stands in the .json beside the weights.

    width: 64 is the published C3D and 1.0 the published I3D, torchvision's have 1.0 only;
    classes: number of logits; patch_grid: rows and columns of patches; weights_sha256 of the
    weights file; labels: names of the classes and training: how they were trained, both free.
    For published weights `training` names where the recipe was read and what is unverified.
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
        if min(self.patch_grid) < 1:
            raise ValueError(
                f"patch_grid is {self.patch_grid}, expected 1 or more rows and columns"
            )
        if self.backbone == "c3d" and self.preprocessing.clip != 16:
            raise ValueError(f"C3D reads clips of 16 frames, found {self.preprocessing.clip}")
        if self.backbone == "c3d" and self.width != int(self.width):
            raise ValueError(f"width of C3D is {self.width}, expected a whole number of channels")
        if self.backbone not in ("c3d", "i3d") and self.width != 1:
            raise ValueError(f"width of {self.backbone} is {self.width}, torchvision's has only 1")
        shape = (self.preprocessing.clip, self.preprocessing.crop)
        if self.backbone == "mvit_v2_s" and shape != (16, 224):
            raise ValueError(f"mvit_v2_s reads 16 frames of 224 pixels, found {shape}")


def build(description: BackboneDescription, dropout: float = 0.5) -> VideoBackbone:
    """The network that a description names, untrained; dropout is C3D's and I3D's."""
    grid = (description.patch_grid[0], description.patch_grid[1])
    name = description.backbone
    if name == "c3d":
        size = description.preprocessing.crop
        return C3D(int(description.width), size, description.classes, grid, dropout)
    if name == "i3d":
        return I3D(description.width, description.classes, grid, dropout)
    # torchvision takes seconds to import, and only its own networks need it.
    from mktn.features.torchvision_backbones import TorchvisionBackbone

    return TorchvisionBackbone(name, description.classes, grid)


def description_path(weights: str | Path) -> Path:
    """Where the description of a weights file stands."""
    return Path(weights).with_suffix(".json")


def save(backbone: VideoBackbone, description: BackboneDescription, weights: Path) -> None:
    """Write the weights and, beside them, the description with their sha256."""
    tensors = {name: t.contiguous() for name, t in backbone.network.state_dict().items()}
    with written_beside(weights) as beside:
        safetensors.torch.save_file(tensors, beside, metadata={KEY: UNSEALED})
        seal(beside)
    described = dataclasses.replace(description, weights_sha256=sha256_of(weights))
    write_sealed_json(dataclasses.asdict(described), description_path(weights))


def load(
    weights: Path, name: BackboneName, patch_grid: Grid | None = None
) -> tuple[VideoBackbone, BackboneDescription]:
    """The trained network in evaluation mode, and its description.

    weights: .safetensors with its .json beside it, or a published torch file, at full width, with
    the published preprocessing where no .json beside it says otherwise. patch_grid: rows and
    columns of patches in place of the description's.

    Raises UserError on a missing or foreign file, a torch file that holds more than tensors,
    weights that are not those that the description was written for, or weights whose names or
    shapes are not the network's.
    """
    beside = description_path(weights)
    published = weights.suffix in SUFFIXES
    for path in (weights,) if published else (weights, beside):
        if not path.is_file():
            raise UserError(
                "missing file", where=path,
                do="run mktn pretrain, or put the published weights there",
            )  # fmt: skip
    if not published:
        check(weights.read_bytes(), weights)
    found = sha256_of(weights)
    tensors = read_tensors(weights) if published else _read_safetensors(weights)
    if published and not beside.is_file():
        classes = count_classes(name, tensors, weights)
        description = BackboneDescription(name, **published_recipe(name, classes, found))
    else:
        description = _read_description(beside, name)
    if description.weights_sha256 not in ("", found):
        raise UserError(
            "weights differ from their description", where=weights, found=f"sha256 {found}",
            expected=description.weights_sha256, do="make both again",
        )  # fmt: skip
    grid = patch_grid or description.patch_grid
    try:
        description = dataclasses.replace(description, weights_sha256=found, patch_grid=grid)
    except ValueError as error:
        raise UserError("value refused", where="patch_grid", found=error) from error
    with torch.device("meta"):  # nothing to initialise: the tensors of the file become its own
        backbone = build(description)
    load_strictly(backbone.network, tensors, weights)
    return backbone.eval(), description


def _read_safetensors(weights: Path) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load_file(weights)
    except safetensors.SafetensorError as error:
        raise UserError("weights do not fit", where=weights, found=error) from error


def _read_description(path: Path, name: BackboneName) -> BackboneDescription:
    try:
        data = path.read_bytes()
        check(data, path)  # one that is written by hand has no checksum, and needs none
        mapping = json.loads(data.decode("utf-8"))
    except ValueError as error:
        raise UserError("not JSON", where=path, found=error) from error
    if isinstance(mapping, dict):
        mapping.pop(KEY, None)
    description = fill(BackboneDescription, mapping, str(path))
    if description.backbone != name:
        raise UserError("another backbone", where=path, found=description.backbone, expected=name)
    return description


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
