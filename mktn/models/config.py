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
class LCNetConfig(PluggedConfig):
    """Sizes of LCNet, which has no published ones; its candidates are 2D-TAN's of Charades-STA."""

    cells: int = 16  # N
    counts: tuple[int, ...] = (16,)  # diagonals of the map at strides 1, 2, 4, ...
    clip: int = 5  # frames of the clip around a frame
    top: float = 0.5  # share of the frames that a video's score is the mean of
    temperature: float = 0.1  # of the soft-nearest word and frame
    balance: float = 0.5  # of a score: 0 is inside minus outside alone, see inside_minus_outside

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cells < 1 or self.clip < 1 or self.clip % 2 == 0:
            raise ValueError(f"cells {self.cells} >= 1 and an odd clip {self.clip} must hold")
        if not 0 < self.top <= 1 or self.temperature <= 0 or self.balance < 0:
            raise ValueError(
                f"0 < top {self.top} <= 1, temperature {self.temperature} > 0 and "
                f"balance {self.balance} >= 0 must hold"
            )


# Of each model, by name.
SIZES_OF: Mapping[str, type[Any]] = MappingProxyType({"mktn": ModelConfig, "lcnet": LCNetConfig})
