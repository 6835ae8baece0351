"""The published files' names, shapes and networks, written out apart from the package."""

import math
from collections.abc import Iterator

import torch
from torch.nn import functional

# Tran et al. 2015, figure 3, with the names of DavideA/c3d-pytorch
C3D = {
    "conv1": (64, 3), "conv2": (128, 64), "conv3a": (256, 128), "conv3b": (256, 256),
    "conv4a": (512, 256), "conv4b": (512, 512), "conv5a": (512, 512), "conv5b": (512, 512),
}  # fmt: skip
# Szegedy et al. 2015, table 1: input channels, then 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool
# proj; the names are those of piergiaj/pytorch-i3d
INCEPTION = {
    "3b": (192, 64, 96, 128, 16, 32, 32), "3c": (256, 128, 128, 192, 32, 96, 64),
    "4b": (480, 192, 96, 208, 16, 48, 64), "4c": (512, 160, 112, 224, 24, 64, 64),
    "4d": (512, 128, 128, 256, 24, 64, 64), "4e": (512, 112, 144, 288, 32, 64, 64),
    "4f": (528, 256, 160, 320, 32, 128, 128), "5b": (832, 256, 160, 320, 32, 128, 128),
    "5c": (832, 384, 192, 384, 48, 128, 128),
}  # fmt: skip

Shapes = Iterator[tuple[str, tuple[int, ...]]]


def c3d_shapes() -> Shapes:
    """The 22 tensors of the Sports-1M file."""
    for name, channels in C3D.items():
        yield f"{name}.weight", (*channels, 3, 3, 3)
        yield f"{name}.bias", channels[:1]
    for name, linear in {"fc6": (4096, 8192), "fc7": (4096, 4096), "fc8": (487, 4096)}.items():
        yield f"{name}.weight", linear
        yield f"{name}.bias", linear[:1]


def i3d_shapes(classes: int) -> Shapes:
    """The tensors of rgb_imagenet.pt (400 classes) and rgb_charades.pt (157), torch 0.3."""
    yield from unit("Conv3d_1a_7x7", 3, 64, 7)
    yield from unit("Conv3d_2b_1x1", 64, 64, 1)
    yield from unit("Conv3d_2c_3x3", 64, 192, 3)
    for name, (inputs, b0, b1a, b1b, b2a, b2b, b3b) in INCEPTION.items():
        yield from unit(f"Mixed_{name}.b0", inputs, b0, 1)
        yield from unit(f"Mixed_{name}.b1a", inputs, b1a, 1)
        yield from unit(f"Mixed_{name}.b1b", b1a, b1b, 3)
        yield from unit(f"Mixed_{name}.b2a", inputs, b2a, 1)
        yield from unit(f"Mixed_{name}.b2b", b2a, b2b, 3)
        yield from unit(f"Mixed_{name}.b3b", inputs, b3b, 1)
    yield "logits.conv3d.weight", (classes, 1024, 1, 1, 1)
    yield "logits.conv3d.bias", (classes,)


def unit(name: str, inputs: int, outputs: int, kernel: int) -> Shapes:
    yield f"{name}.conv3d.weight", (outputs, inputs, kernel, kernel, kernel)
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.bn.{part}", (outputs,)


def random_weights(shapes: Shapes, seed: int = 0) -> dict[str, torch.Tensor]:
    """Weights that keep the size of activations; variances above 0."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in shapes:
        values = torch.empty(shape).uniform_(-1, 1, generator=generator)
        if len(shape) > 1:
            values *= math.sqrt(6 / math.prod(shape[1:]))
        elif name.endswith(("running_var", "bn.weight")):
            values += 1.5
        tensors[name] = values * (0.1 if name.endswith("bias") else 1)
    return tensors


def c3d_fc6(w: dict[str, torch.Tensor], clip: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """fc6 after its ReLU and the conv5b map, line by line as DavideA/c3d-pytorch computes them."""

    def convolve(x: torch.Tensor, name: str) -> torch.Tensor:
        return functional.conv3d(x, w[f"{name}.weight"], w[f"{name}.bias"], padding=1).relu()

    x = functional.max_pool3d(convolve(clip, "conv1"), (1, 2, 2), (1, 2, 2))
    x = functional.max_pool3d(convolve(x, "conv2"), 2, 2)
    x = functional.max_pool3d(convolve(convolve(x, "conv3a"), "conv3b"), 2, 2)
    x = functional.max_pool3d(convolve(convolve(x, "conv4a"), "conv4b"), 2, 2)
    conv5b = convolve(convolve(x, "conv5a"), "conv5b")
    x = functional.max_pool3d(conv5b, 2, 2, padding=(0, 1, 1)).reshape(-1, 8192)
    return functional.linear(x, w["fc6.weight"], w["fc6.bias"]).relu(), conv5b


def i3d_mixed_5c(w: dict[str, torch.Tensor], clip: torch.Tensor) -> torch.Tensor:
    """The Mixed_5c map, in the order of piergiaj/pytorch-i3d's endpoints."""

    def convolve(x: torch.Tensor, name: str, stride: int = 1) -> torch.Tensor:
        kernel = w[f"{name}.conv3d.weight"]
        x = functional.conv3d(same(x, kernel.shape[2:], (stride,) * 3), kernel, stride=stride)
        statistics = (w[f"{name}.bn.{part}"] for part in ("running_mean", "running_var"))
        scale = (w[f"{name}.bn.{part}"] for part in ("weight", "bias"))
        return functional.batch_norm(x, *statistics, *scale, eps=0.001).relu()

    def pool(x: torch.Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> torch.Tensor:
        return functional.max_pool3d(same(x, kernel, stride), kernel, stride)

    x = pool(convolve(clip, "Conv3d_1a_7x7", 2), (1, 3, 3), (1, 2, 2))
    x = convolve(convolve(x, "Conv3d_2b_1x1"), "Conv3d_2c_3x3")
    x = pool(x, (1, 3, 3), (1, 2, 2))
    for name in INCEPTION:
        if name == "4b":
            x = pool(x, (3, 3, 3), (2, 2, 2))
        if name == "5b":
            x = pool(x, (2, 2, 2), (2, 2, 2))
        branches = [
            convolve(x, f"Mixed_{name}.b0"),
            convolve(convolve(x, f"Mixed_{name}.b1a"), f"Mixed_{name}.b1b"),
            convolve(convolve(x, f"Mixed_{name}.b2a"), f"Mixed_{name}.b2b"),
            convolve(pool(x, (3, 3, 3), (1, 1, 1)), f"Mixed_{name}.b3b"),
        ]
        x = torch.cat(branches, dim=1)
    return x


def same(x: torch.Tensor, kernel: tuple[int, ...], stride: tuple[int, ...]) -> torch.Tensor:
    """Zero padding by the rule of pytorch-i3d's `compute_pad`; the odd one goes after."""
    padding: list[int] = []
    for length, k, s in reversed(list(zip(x.shape[2:], kernel, stride, strict=True))):
        total = max(k - s, 0) if length % s == 0 else max(k - length % s, 0)
        padding += [total // 2, total - total // 2]
    return functional.pad(x, padding)
