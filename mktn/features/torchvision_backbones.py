"""torchvision's R(2+1)D-18, S3D and MViTv2-S (Kinetics-400) as video backbones.

Shape legend: B clips, T frames, S pixels a side, D features, C patches, t,h,w the last map.
"""

from typing import Literal, get_args

import torch
from torch import nn
from torchvision.models import video
from torchvision.models._api import WeightsEnum

from mktn.features.video_backbone import Grid, VideoBackbone, grid_patches

TorchvisionName = Literal["r2plus1d_18", "s3d", "mvit_v2_s"]
TORCHVISION: tuple[TorchvisionName, ...] = get_args(TorchvisionName)
WEIGHTS: dict[TorchvisionName, WeightsEnum] = {
    "r2plus1d_18": video.R2Plus1D_18_Weights.KINETICS400_V1,
    "s3d": video.S3D_Weights.KINETICS400_V1,
    "mvit_v2_s": video.MViT_V2_S_Weights.KINETICS400_V1,
}


class TorchvisionBackbone(VideoBackbone):
    """One of torchvision's networks, untrained: nothing is ever downloaded.

    classes: outputs of the last layer; patch_grid: rows and columns of patches. The feature is
    what the last layer reads in evaluation mode, so that layer on top of it gives the logits.
    """

    def __init__(
        self, name: TorchvisionName, classes: int = 400, patch_grid: Grid = (2, 2)
    ) -> None:
        super().__init__()
        self._network = video.__dict__[name](weights=None, num_classes=classes)
        last = [m for m in self._network.modules() if isinstance(m, nn.Linear | nn.Conv3d)][-1]
        self.feature_dimension = self.patch_dimension = last.weight.shape[1]
        self.patch_grid = patch_grid

    @property
    def network(self) -> nn.Module:
        """torchvision's own module: its state dict is the published one."""
        return self._network

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        """Class logits (B, classes) of clips (B,3,T,S,S)."""
        return self._network(clip)

    def features(self, clip: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Feature (B,D) and patches (B,C,D) of clips (B,3,T,S,S).

        D is 512 for r2plus1d_18, 1024 for s3d and 768 for mvit_v2_s; mvit_v2_s takes 16 frames
        of 224 pixels only, and its feature is the class token.
        """
        if isinstance(self._network, video.MViT):
            whole, last_map = mvit_features(self._network, clip)
        elif isinstance(self._network, video.S3D):
            last_map = self._network.features(clip)
            whole = self._network.avgpool(last_map).mean((2, 3, 4))
        else:
            last_map = clip
            for stage in ("stem", "layer1", "layer2", "layer3", "layer4"):
                last_map = self._network.get_submodule(stage)(last_map)
            whole = last_map.mean((2, 3, 4))
        return whole, grid_patches(last_map, self.patch_grid)


def mvit_features(mvit: video.MViT, clip: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Class token (B,D) and the map of the other tokens (B,D,t,h,w), both after the last norm."""
    x = mvit.pos_encoding(mvit.conv_proj(clip).flatten(2).transpose(1, 2))
    thw = (mvit.pos_encoding.temporal_size, *mvit.pos_encoding.spatial_size)
    for block in mvit.blocks:
        x, thw = block(x, thw)
    x = mvit.norm(x)
    return x[:, 0], x[:, 1:].transpose(1, 2).unflatten(2, thw)
