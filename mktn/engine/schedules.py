"""How the learning rate goes over a training."""

import math


def one_cycle(progress: float, warm_up: float) -> float:
    """Share of the learning rate: cosine from 1/25 up to 1 at `warm_up`, and down to 0 at 1."""
    if progress < warm_up:
        return 1 - (1 - 1 / 25) * (1 + math.cos(math.pi * progress / warm_up)) / 2
    return (1 + math.cos(math.pi * (progress - warm_up) / (1 - warm_up))) / 2


def warming(progress: float, warm_up: float) -> float:
    """Share of the learning rate: linear up to 1 at `warm_up`, and constant from there."""
    return min(1.0, (1 / 25 + progress) / (1 / 25 + warm_up)) if warm_up else 1.0
