"""How hard each loss term pulls on the shared encoders."""

import sys
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

SWAMPS = 10.0  # a term that pulls this many times harder than the main one is reported


def encoder_gradients(
    terms: dict[str, Tensor],
    network: nn.Module,
    weights: Mapping[str, float],
    total: Callable[[Tensor], Tensor] = lambda gradient: gradient,
) -> dict[str, float]:
    """Norm of each weighted term's gradient on the video and text encoders: gradient_{term}.

    `weights` are of the terms; `total` adds up over the processes that a batch is shared by.
    """
    shared = [
        parameter
        for name, parameter in network.named_parameters()
        if {"video", "text"} & {*name.split(".")[:2]}  # one below where a model is plugged in
    ]
    norms = {}
    for name, value in terms.items():
        weight = weights.get(name)
        if weight is None or not value.requires_grad:
            continue
        gradients = torch.autograd.grad(
            weight * value, shared, retain_graph=True, allow_unused=True
        )
        squares = [
            total(gradient).square().sum() for gradient in gradients if gradient is not None
        ]
        norms[f"gradient_{name}"] = float(torch.stack(squares).sum().sqrt()) if squares else 0.0
    return norms


def warn_of_swamping(norms: dict[str, float], epoch: int, main: str = "span") -> None:
    """Print a line for each term whose gradient exceeds ten times that of the answer's `main`."""
    span = norms.get(f"gradient_{main}", 0.0)
    for name, norm in norms.items():
        if norm > SWAMPS * span > 0:
            term = name.removeprefix("gradient_")
            print(
                f"epoch {epoch}: the gradient of w_{term} * L_{term} on the encoders is "
                f"{norm / span:.0f} times the {main} loss's; lower w_{term}",
                file=sys.stderr,
            )
