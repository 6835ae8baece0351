"""Features survive what extraction does to go fast: memory layout, inference mode, bfloat16."""

import pytest
import torch
from torch import nn

from mktn.features.c3d import C3D
from mktn.features.i3d import I3D
from mktn.features.torchvision_backbones import TorchvisionBackbone, mvit_features
from mktn.features.video_backbone import VideoBackbone
from tests.features.test_torchvision_backbones import shaken, small_mvit


class SmallMViT(VideoBackbone):
    """torchvision's MViT at a size that is quick, through the function that the backbone uses."""

    def __init__(self) -> None:
        super().__init__()
        self.mvit = small_mvit()

    def features(self, clip):
        whole, last_map = mvit_features(self.mvit, clip)
        return whole, last_map.flatten(2).transpose(1, 2)


def initialised(network: nn.Module) -> nn.Module:
    """He initialisation, so that features are neither all zero nor without end."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv3d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    return shaken(network)


NETWORKS = {
    "c3d": (lambda: initialised(C3D(width=4, size=32, classes=5)), (16, 32)),
    "i3d": (lambda: initialised(I3D(width=0.125, classes=5)), (16, 64)),
    "r2plus1d_18": (lambda: initialised(TorchvisionBackbone("r2plus1d_18", 5)), (4, 32)),
    "s3d": (lambda: initialised(TorchvisionBackbone("s3d", 5)), (14, 224)),
    "mvit": (lambda: SmallMViT().eval(), (4, 48)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_layout_and_bfloat16_keep_the_features(name):
    torch.manual_seed(0)
    make, (frames, size) = NETWORKS[name]
    network = make()
    clip = torch.rand(1, 3, frames, size, size) * 2 - 1
    with torch.no_grad():
        plain = network.features(clip)
    network = network.to(memory_format=torch.channels_last_3d)
    laid_out = clip.contiguous(memory_format=torch.channels_last_3d)
    with torch.inference_mode():
        again = network.features(laid_out)
        with torch.autocast("cpu", torch.bfloat16):
            half = network.features(laid_out)
    for expected, found, rough in zip(plain, again, half, strict=True):
        assert expected.std() > 1e-3
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
        assert torch.isfinite(rough).all()
        cosine = nn.functional.cosine_similarity(rough.float(), expected, dim=-1)
        assert cosine.min() > 0.99
        error = (rough.float() - expected).norm() / expected.norm()
        assert error < 0.1
