"""Sizes of the models; loads without torch, so that rules and tables can read it."""

import dataclasses
from collections.abc import Mapping, Sequence
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
class MapConfig(PluggedConfig):
    """Sizes of a model of a sparse map of candidates, by default 2D-TAN's of Charades-STA."""

    cells: int = 16  # N, of a video
    counts: tuple[int, ...] = (16,)  # diagonals of each scale of the map

    def __post_init__(self) -> None:
        super().__post_init__()
        check_map(self.cells, self.counts)


@dataclasses.dataclass(frozen=True)
class ConvolvedMapConfig(MapConfig):
    """Sizes of a model that convolves its map; the defaults are published for Charades-STA."""

    kernel: int = 5
    layers: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.layers < 1:
            raise ValueError(f"layers {self.layers} is below 1")
        if self.kernel < 1 or not self.kernel % 2:
            raise ValueError(f"kernel {self.kernel} is not an odd number")


@dataclasses.dataclass(frozen=True)
class TAN2DConfig(ConvolvedMapConfig):
    """Sizes of 2D-TAN; the defaults are the published ones of Charades-STA but for the width."""

    text_layers: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.text_layers < 1:
            raise ValueError(f"text_layers {self.text_layers} is below 1")


@dataclasses.dataclass(frozen=True)
class MMNConfig(ConvolvedMapConfig):
    """Sizes of MMN; the defaults are the published ones of Charades-STA but for the width."""

    joint: int = 256  # width of both joint spaces
    power: float = 0.5  # of the matching score

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.joint < 1:
            raise ValueError(f"joint {self.joint} is below 1")
        if self.power < 0:
            raise ValueError(f"power {self.power} is below 0")


@dataclasses.dataclass(frozen=True)
class LCNetConfig(MapConfig):
    """Sizes of LCNet, which has no published ones; its candidates are 2D-TAN's of Charades-STA."""

    clip: int = 5  # frames of the clip around a frame
    top: float = 0.5  # share of the frames that a video's score is the mean of
    temperature: float = 0.1  # of the soft-nearest word and frame
    balance: float = 0.5  # of a score: 0 is inside minus outside alone, see inside_minus_outside

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.clip < 1 or not self.clip % 2:
            raise ValueError(f"clip {self.clip} is not an odd number")
        if not 0 < self.top <= 1 or self.temperature <= 0 or self.balance < 0:
            raise ValueError(
                f"0 < top {self.top} <= 1, temperature {self.temperature} > 0 and "
                f"balance {self.balance} >= 0 must hold"
            )


def check_map(cells: int, counts: Sequence[int]) -> None:
    """Raise ValueError where the diagonals `counts` of a sparse map do not fit its `cells`."""
    if cells < 1 or not counts or min(counts) < 1:
        raise ValueError(f"cells {cells} and counts {list(counts)}: expected at least 1 of each")
    longest = sum(count * 2**scale for scale, count in enumerate(counts))
    if longest > cells:
        raise ValueError(
            f"counts {list(counts)} reach moments of {longest} cells: the map has {cells}"
        )


@dataclasses.dataclass(frozen=True)
class IANetConfig:
    """Sizes of IA-Net, by default those of its paper for Charades-STA.

    The first five follow from the data, of which patches and sentences are not read. Raises
    ValueError where a size is out of range.
    """

    frames: int  # T
    dimension: int  # width of a frame's feature
    patch_dimension: int
    word_dimension: int
    sentence_dimension: int
    width: int = 512  # d
    heads: int = 4  # H
    padding: int = 3  # K, learned rows beside the words and beside the frames
    blocks: int = 3  # l
    dropout: float = 0.2
    feature_dropout: float = 0.0  # of the numbers of the video features themselves
    windows: tuple[int, ...] = (16, 24, 32, 40)  # in frames of a video of window_frames
    window_frames: int = 64  # T of the windows' lengths: they are scaled to another T
    stride: float = 0.125  # between windows of one length, in their lengths

    def __post_init__(self) -> None:
        for name in (field.name for field in dataclasses.fields(self) if field.type is int):
            least = 0 if name in ("patch_dimension", "padding") else 1
            if getattr(self, name) < least:
                raise ValueError(f"{name} {getattr(self, name)} is below {least}")
        if self.width % self.heads or self.width % 2:
            raise ValueError(
                f"width {self.width} is not a multiple of 2 and of heads {self.heads}"
            )
        if not (0 <= self.dropout < 1 and 0 <= self.feature_dropout < 1):
            raise ValueError(f"dropout {self.dropout} or {self.feature_dropout} is outside [0, 1)")
        if not 0 < self.stride <= 1:
            raise ValueError(f"stride {self.stride} is outside (0, 1]")
        sizes = self.window_sizes()
        if not sizes or list(sizes) != sorted(set(sizes)) or not 1 <= sizes[-1] <= self.frames:
            raise ValueError(
                f"windows {list(self.windows)} of {self.window_frames} frames are {list(sizes)} "
                f"of {self.frames}: ascending lengths are needed, none above the video's"
            )

    def window_sizes(self) -> tuple[int, ...]:
        """The windows' lengths in frames of a video of `frames`, rounded, at least one."""
        scale = self.frames / self.window_frames
        return tuple(max(1, int(length * scale + 0.5)) for length in self.windows)


# Of each model, by name.
SIZES_OF: Mapping[str, type[Any]] = MappingProxyType(
    {
        "mktn": ModelConfig,
        "ianet": IANetConfig,
        "tan2d": TAN2DConfig,
        "mmn": MMNConfig,
        "lcnet": LCNetConfig,
    }
)
