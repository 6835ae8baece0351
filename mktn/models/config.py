"""Sizes of the models; loads without torch, so that rules and tables can read it."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Sizes of MKTN. The first five follow from the data; the rest are hyperparameters."""

    frames: int  # T
    dimension: int  # width of a frame's global feature
    patch_dimension: int  # width of a patch, 0 where the features have none
    word_dimension: int
    sentence_dimension: int
    width: int = 128  # d
    heads: int = 4
    dropout: float = 0.1
    feature_dropout: float = 0.0  # of the numbers of the video features themselves
    objects: int = 6  # A
    phrases: int = 4  # P
    activities: int = 3  # E
    virtual_patches: int = 4  # slots made of the global feature where there are no patches

    def __post_init__(self) -> None:
        for name in (field.name for field in dataclasses.fields(ModelConfig)):
            least = 0 if name in ("patch_dimension", "dropout", "feature_dropout") else 1
            if getattr(self, name) < least:
                raise ValueError(f"{name} {getattr(self, name)} is below {least}")
        if self.width % self.heads or self.width % 2:
            raise ValueError(
                f"width {self.width} is not a multiple of 2 and of heads {self.heads}"
            )
        if not (0 <= self.dropout < 1 and 0 <= self.feature_dropout < 1):
            raise ValueError(f"dropout {self.dropout} or {self.feature_dropout} is outside [0, 1)")


@dataclasses.dataclass(frozen=True)
class PluggedConfig(ModelConfig):
    """Sizes of a model that knowledge transfer plugs into: its own, and those of the transfer."""


@dataclasses.dataclass(frozen=True)
class MMNConfig(PluggedConfig):
    """Sizes of MMN: those of Charades-STA, which has width 512."""

    cells: int = 16  # N
    counts: tuple[int, ...] = (16,)  # diagonals of the map at strides 1, 2, 4, ...
    kernel: int = 5
    layers: int = 8
    joint: int = 256  # J, width of both joint spaces
    power: float = 0.5  # of the matching score

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.cells, self.layers, self.joint) < 1 or self.kernel % 2 == 0:
            raise ValueError(
                f"cells {self.cells}, layers {self.layers} and joint {self.joint} of 1 or more "
                f"and an odd kernel, not {self.kernel}, must hold"
            )
        reach = sum(count * 2**scale for scale, count in enumerate(self.counts))
        if min(self.counts, default=0) < 1 or reach > self.cells:
            raise ValueError(
                f"counts {list(self.counts)} of 1 or more reach moments of {reach} cells: the map "
                f"has {self.cells}"
            )
        if self.power < 0:
            raise ValueError(f"power {self.power} is below 0")


# Of each model, by name.
SIZES_OF: Mapping[str, type[Any]] = MappingProxyType({"mktn": ModelConfig, "mmn": MMNConfig})
