"""What every video backbone offers: a feature and patches of each clip.

Shape legend: B clips, S pixels a side, D features, C patches, D_p patch features, t,h,w a map.
"""

import abc

import torch
from torch import nn
from torch.nn import functional

Grid = tuple[int, int]


class VideoBackbone(nn.Module, abc.ABC):
    """A network over clips.

    feature_dimension: D; patch_dimension: D_p; patch_grid: rows and columns of patches, C their
    product, configurable for every backbone.
    """

    feature_dimension: int
    patch_dimension: int
    patch_grid: Grid

    @abc.abstractmethod
    def features(self, clip: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(features (B,D), patches (B,C,D_p)) of float clips (B,3,clip,S,S)."""

    @property
    def network(self) -> nn.Module:
        """The module whose parameters have the published names: what is saved and loaded."""
        return self


def grid_patches(last_map: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Patches (B,C,D_p): the map (B,D_p,t,h,w) averaged over time and over the cells of `grid`.

    Row by row. Cell i of n covers positions floor(i*h/n) to ceil((i+1)*h/n), as
    `adaptive_avg_pool2d` does; so any grid fits any map.
    """
    cells = functional.adaptive_avg_pool2d(last_map.mean(2), grid)
    return cells.flatten(2).transpose(1, 2)
