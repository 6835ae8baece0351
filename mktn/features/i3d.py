"""I3D (Carreira and Zisserman, CVPR 2017): Inception-v1 inflated to three dimensions, RGB stream.

Parameter names are those of the published PyTorch weights, so they load with strict=True.
Padding is TensorFlow's "same": what an even stride leaves over goes after, not before.
Shape legend: B clips, T frames, H and W pixels, D global features, C patches, D_p patch features.
"""

import torch
from torch import nn
from torch.nn import functional

from mktn.features.video_backbone import Grid, VideoBackbone, grid_patches

# name -> channels of b0, b1a, b1b, b2a, b2b, b3b (table 1 of Szegedy et al., CVPR 2015)
MIXED = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
Size3 = tuple[int, int, int]


class I3D(VideoBackbone):
    """I3D whose channels scale with `width` (1.0: the published network, 1024 features).

    classes: outputs of the logits layer; patch_grid: rows and columns of patches; dropout before
    the logits when training. Clips of 8 frames and 32 pixels a side or more.
    """

    def __init__(
        self,
        width: float = 1.0,
        classes: int = 400,
        patch_grid: Grid = (2, 2),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.patch_grid = patch_grid

        def scaled(channels: int) -> int:
            return max(1, round(channels * width))

        stem = scaled(64)
        self.Conv3d_1a_7x7 = Unit3D(3, stem, kernel=(7, 7, 7), stride=(2, 2, 2))
        self.Conv3d_2b_1x1 = Unit3D(stem, stem)
        channels = scaled(192)
        self.Conv3d_2c_3x3 = Unit3D(stem, channels, kernel=(3, 3, 3))
        for name, branches in MIXED.items():
            block = Mixed(channels, [scaled(b) for b in branches])
            self.add_module(name, block)
            channels = block.channels
        self.feature_dimension = self.patch_dimension = channels
        self.dropout = nn.Dropout(dropout)
        self.logits = Unit3D(channels, classes, normalised=False)

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        """Class logits (B, classes) of clips (B,3,T,H,W) in [-1,1]."""
        return self.classify(self.features(clip)[0])

    def classify(self, pooled: torch.Tensor) -> torch.Tensor:
        """Class logits (B, classes) from the global feature (B,D)."""
        return self.logits(self.dropout(pooled)[:, :, None, None, None]).flatten(1)

    def features(self, clip: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Global feature (B,D) and patches (B,C,D_p) of clips (B,3,T,H,W) in [-1,1].

        Both are averages of the Mixed_5c map: over all of it, and over time and the cells of
        `patch_grid`, row by row; so D_p = D.
        """
        mixed5c = self.convolve(clip)
        return self.embed(mixed5c), grid_patches(mixed5c, self.patch_grid)

    def embed(self, mixed5c: torch.Tensor) -> torch.Tensor:
        """The global feature (B,D) from the Mixed_5c map."""
        return mixed5c.mean((2, 3, 4))

    def convolve(self, clip: torch.Tensor) -> torch.Tensor:
        """The Mixed_5c map (B,D,T/8,H/32,W/32), fractions rounded up."""
        x = self.Conv3d_1a_7x7(clip)
        x = max_pool_same(x, (1, 3, 3), (1, 2, 2))
        x = self.Conv3d_2c_3x3(self.Conv3d_2b_1x1(x))
        x = max_pool_same(x, (1, 3, 3), (1, 2, 2))
        for name in MIXED:
            if name == "Mixed_4b":
                x = max_pool_same(x, (3, 3, 3), (2, 2, 2))
            elif name == "Mixed_5b":
                x = max_pool_same(x, (2, 2, 2), (2, 2, 2))
            x = self.get_submodule(name)(x)
        return x


class Unit3D(nn.Module):
    """Convolution with "same" padding, batch normalisation and ReLU; or convolution and bias."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Size3 = (1, 1, 1),
        stride: Size3 = (1, 1, 1),
        normalised: bool = True,
    ) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.conv3d = nn.Conv3d(inputs, outputs, kernel, stride, bias=not normalised)
        self.bn = nn.BatchNorm3d(outputs, eps=1e-3, momentum=0.01) if normalised else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inputs, T,H,W) to (B, outputs, ceil(T/stride), ceil(H/stride), ceil(W/stride))."""
        x = self.conv3d(pad_same(x, self.kernel, self.stride))
        return x if self.bn is None else functional.relu(self.bn(x))


class Mixed(nn.Module):
    """Four branches side by side: 1x1x1; 1x1x1 then 3x3x3, twice; 3x3x3 pool then 1x1x1."""

    def __init__(self, inputs: int, branches: list[int]) -> None:
        super().__init__()
        b0, b1a, b1b, b2a, b2b, b3b = branches
        self.b0 = Unit3D(inputs, b0)
        self.b1a = Unit3D(inputs, b1a)
        self.b1b = Unit3D(b1a, b1b, kernel=(3, 3, 3))
        self.b2a = Unit3D(inputs, b2a)
        self.b2b = Unit3D(b2a, b2b, kernel=(3, 3, 3))
        self.b3b = Unit3D(inputs, b3b)
        self.channels = b0 + b1b + b2b + b3b

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, inputs, T,H,W) to (B, channels, T,H,W)."""
        pooled = max_pool_same(x, (3, 3, 3), (1, 1, 1))
        branches = [self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled)]
        return torch.cat(branches, dim=1)


def pad_same(x: torch.Tensor, kernel: Size3, stride: Size3) -> torch.Tensor:
    """Zeros around (B,c,T,H,W) so that a window of `kernel` gives ceil(length / stride)."""
    padding: list[int] = []
    for length, k, s in zip(x.shape[2:], kernel, stride, strict=True):
        total = max((-(-length // s) - 1) * s + k - length, 0)
        padding = [total // 2, total - total // 2, *padding]  # torch wants the last axis first
    return functional.pad(x, padding) if any(padding) else x


def max_pool_same(x: torch.Tensor, kernel: Size3, stride: Size3) -> torch.Tensor:
    """Max pooling of (B,c,T,H,W) >= 0 with "same" padding (zeros cannot win over a ReLU)."""
    return functional.max_pool3d(pad_same(x, kernel, stride), kernel, stride)
