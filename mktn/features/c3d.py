"""C3D (Tran et al., ICCV 2015): eight 3x3x3 convolutions, five pools, three linear layers.

Parameter names are those of the published Sports-1M weights, so they load with strict=True.
Shape legend: B clips, T=16 frames, S pixels a side, F fc6 features, C patches, D_p patch features.
"""

import torch
from torch import nn
from torch.nn import functional

from mktn.features.video_backbone import Grid, VideoBackbone, grid_patches

FRAMES = 16


class C3D(VideoBackbone):
    """C3D whose channels scale with `width` (64: the published network, fc6 of 4096).

    width: channels of conv1; size: pixels a side of the clips, 112 as published; classes: outputs
    of fc8; patch_grid: rows and columns of patches; dropout after fc6 and fc7 when training.
    """

    def __init__(
        self,
        width: int = 64,
        size: int = 112,
        classes: int = 487,
        patch_grid: Grid = (2, 2),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.size = size
        self.patch_grid = patch_grid
        self.feature_dimension = 64 * width
        self.patch_dimension = 8 * width

        def convolution(inputs: int, outputs: int) -> nn.Conv3d:
            return nn.Conv3d(inputs, outputs, kernel_size=3, padding=1)

        self.conv1 = convolution(3, width)
        self.conv2 = convolution(width, 2 * width)
        self.conv3a = convolution(2 * width, 4 * width)
        self.conv3b = convolution(4 * width, 4 * width)
        self.conv4a = convolution(4 * width, 8 * width)
        self.conv4b = convolution(8 * width, 8 * width)
        self.conv5a = convolution(8 * width, 8 * width)
        self.conv5b = convolution(8 * width, 8 * width)
        self.pool1 = nn.MaxPool3d((1, 2, 2))
        self.pool2 = nn.MaxPool3d(2)
        self.pool3 = nn.MaxPool3d(2)
        self.pool4 = nn.MaxPool3d(2)
        self.pool5 = nn.MaxPool3d(2, padding=(0, 1, 1))
        side = size // 16 // 2 + 1  # pool5 pads one pixel on each side
        self.fc6 = nn.Linear(8 * width * side * side, self.feature_dimension)
        self.fc7 = nn.Linear(self.feature_dimension, self.feature_dimension)
        self.fc8 = nn.Linear(self.feature_dimension, classes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        """Class logits (B, classes) of clips (B,3,16,S,S)."""
        return self.classify(self.features(clip)[0])

    def classify(self, fc6: torch.Tensor) -> torch.Tensor:
        """Class logits (B, classes) from fc6 (B,F)."""
        x = self.dropout(fc6)
        x = self.dropout(functional.relu(self.fc7(x)))
        return self.fc8(x)

    def features(self, clip: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """fc6 (B,F) after its ReLU and patches (B,C,D_p) of clips (B,3,16,S,S).

        Patches are the conv5b map after its ReLU, averaged over time and over the cells of
        `patch_grid`, row by row. Raises ValueError on clips of another shape.
        """
        conv5b = self.convolve(clip)
        return self.embed(conv5b), grid_patches(conv5b, self.patch_grid)

    def embed(self, conv5b: torch.Tensor) -> torch.Tensor:
        """fc6 (B,F) after its ReLU from the conv5b map."""
        return functional.relu(self.fc6(self.pool5(conv5b).flatten(1)))

    def convolve(self, clip: torch.Tensor) -> torch.Tensor:
        """The conv5b map (B,D_p,2,S/16,S/16) after its ReLU."""
        expected = (3, FRAMES, self.size, self.size)
        if tuple(clip.shape[1:]) != expected:
            raise ValueError(f"clips are {tuple(clip.shape)}, expected (B, {expected})")
        x = self.pool1(functional.relu(self.conv1(clip)))  # (B,w,16,S/2,S/2)
        x = self.pool2(functional.relu(self.conv2(x)))  # (B,2w,8,S/4,S/4)
        x = functional.relu(self.conv3a(x))
        x = self.pool3(functional.relu(self.conv3b(x)))  # (B,4w,4,S/8,S/8)
        x = functional.relu(self.conv4a(x))
        x = self.pool4(functional.relu(self.conv4b(x)))  # (B,8w,2,S/16,S/16)
        x = functional.relu(self.conv5a(x))
        return functional.relu(self.conv5b(x))
