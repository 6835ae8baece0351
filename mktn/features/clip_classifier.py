"""What trains a backbone: its class logits, heads that name actors, normalisation for C3D.

Shape legend: B clips, L labels, K actors, D channels of a map, t,h,w its extent, O outputs.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mktn.features.c3d import C3D
from mktn.features.clip_labels import ClipLabels
from mktn.features.i3d import I3D, Mixed
from mktn.features.labelled_clips import LabelledClips

BINS = 2  # time steps of the last map of both backbones for a clip of 16 frames
MIDDLE = {C3D: "conv4b", I3D: "Mixed_4f"}


class ActorHead(nn.Module):
    """The cell of a map at an actor's place of rest names its color, object and activity."""

    def __init__(self, channels: int, labels: ClipLabels) -> None:
        super().__init__()
        colors, things, activities = (len(values) for values in labels.values)
        self.sizes = [colors, things, activities + 1]  # the last activity is none
        self.linear = nn.Linear(channels, sum(self.sizes))

    def forward(self, cells: torch.Tensor, clips: LabelledClips) -> list[torch.Tensor]:
        """Logits of color, object and activity (K,bins,O) from a map (B,D,t,h,w)."""
        height, width = cells.shape[-2:]
        row = (clips.place[:, 1] * height).long()
        column = (clips.place[:, 0] * width).long()
        found = cells[clips.clip, :, :, row, column]  # (K,D,t)
        found = functional.adaptive_avg_pool1d(found, BINS).transpose(1, 2)
        return list(self.linear(found).split(self.sizes, dim=-1))


class ClipClassifier(nn.Module):
    """A backbone with class logits and an ActorHead on its last and on its middle map.

    The heads are not kept. The published C3D has no normalisation and hardly trains in few
    steps: its convolutions and fc6 are batch-normalised here, and `finish` folds that in.
    """

    def __init__(self, backbone: C3D | I3D, labels: ClipLabels) -> None:
        super().__init__()
        self.backbone = backbone
        middle = backbone.get_submodule(MIDDLE[type(backbone)])
        assert isinstance(middle, nn.Conv3d | Mixed)
        channels = middle.out_channels if isinstance(middle, nn.Conv3d) else middle.channels
        self.heads = nn.ModuleList(
            [ActorHead(backbone.patch_dimension, labels), ActorHead(channels, labels)]
        )
        self._middle = torch.empty(0)
        if isinstance(backbone, C3D):
            _normalise(backbone)
        self._hook = backbone.get_submodule(MIDDLE[type(backbone)]).register_forward_hook(
            self._keep
        )
        self._momenta = {
            module: module.momentum
            for module in backbone.modules()
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm3d)
        }
        for module in self._momenta:
            module.momentum = 0.1  # the published 0.01 lags behind a short training

    def _keep(self, module: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        self._middle = output

    def initialise(self, prior: np.ndarray) -> None:
        """He initialisation; logits start at the prior (L,) of the labels.

        Half of the first layer's filters start as an image's, the same at all times, and half as
        differences over time, so that motion is seen from the first step.
        """
        layers = [m for m in self.backbone.modules() if isinstance(m, nn.Conv3d | nn.Linear)]
        with torch.no_grad():
            for layer in layers:
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
            first, last = layers[0].weight, layers[-1]
            half = len(first) // 2
            mean = first.mean(2, keepdim=True)
            first[:half] = mean[:half]
            first[half:] -= mean[half:]
            nn.init.normal_(last.weight, std=0.01)
            assert last.bias is not None
            last.bias.copy_(torch.from_numpy(prior.astype(np.float32)).clamp(1e-3, 0.5).logit())

    def forward(self, clips: LabelledClips) -> tuple[torch.Tensor, list[list[torch.Tensor]]]:
        """Class logits (B,L), and what the heads on the last and the middle map say of actors."""
        inputs = clips.inputs.contiguous(memory_format=torch.channels_last_3d)  # twice as fast
        last = self.backbone.convolve(inputs)
        logits = self.backbone.classify(self.backbone.embed(last))
        middle = functional.relu(self._middle)
        return logits, [self.heads[0](last, clips), self.heads[1](middle, clips)]

    def finish(self) -> C3D | I3D:
        """The backbone as published, in evaluation mode, with the normalisation folded in."""
        self._hook.remove()
        for module, momentum in self._momenta.items():
            module.momentum = momentum
        if isinstance(self.backbone, C3D):
            _fold(self.backbone)
        return self.backbone.eval()


def actor_loss(named: list[torch.Tensor], clips: LabelledClips) -> torch.Tensor:
    """Cross-entropy of what one head says of color, object and, twice, activity, summed.

    Activities are the hardest of the three and what the features are for.
    """
    truth = (
        clips.looks[:, :1].expand(-1, BINS),
        clips.looks[:, 1:].expand(-1, BINS),
        clips.activity,
    )
    losses = [
        functional.cross_entropy(logits.flatten(0, 1), target.flatten())
        for logits, target in zip(named, truth, strict=True)
    ]
    return losses[0] + losses[1] + 2 * losses[2]


def _normalise(backbone: C3D) -> None:
    for name, layer in list(backbone.named_children()):
        if isinstance(layer, nn.Conv3d):
            setattr(backbone, name, nn.Sequential(layer, nn.BatchNorm3d(layer.out_channels)))
        elif isinstance(layer, nn.Linear) and name == "fc6":
            setattr(backbone, name, nn.Sequential(layer, nn.BatchNorm1d(layer.out_features)))


def _fold(backbone: C3D) -> None:
    for name, pair in list(backbone.named_children()):
        if not isinstance(pair, nn.Sequential):
            continue
        layer, norm = pair
        assert isinstance(layer, nn.Conv3d | nn.Linear)
        assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm3d)
        assert layer.bias is not None
        assert norm.running_mean is not None
        assert norm.running_var is not None
        with torch.no_grad():
            scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            layer.weight *= scale.reshape(-1, *[1] * (layer.weight.ndim - 1))
            layer.bias.copy_((layer.bias - norm.running_mean) * scale + norm.bias)
        setattr(backbone, name, layer)
