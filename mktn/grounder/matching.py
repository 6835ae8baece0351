"""Which video a sentence is about: S, S_op and S_es of the paper as one number.

V videos, Q sentences.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

SIMILARITIES = ("s_avm", "s_op", "s_es")


def combined(outputs: Mapping[str, Tensor]) -> Tensor | None:
    """(V,Q): the sum of the similarities that a model has, each standardised over all V and Q.

    None of a model that matches no videos with sentences. A similarity that is the same for all
    adds nothing.
    """
    found = [outputs[name].float() for name in SIMILARITIES if name in outputs]
    if not found:
        return None
    total = torch.zeros_like(found[0])
    for value in found:
        spread = value.std(correction=0)
        if spread > 0:
            total = total + (value - value.mean()) / spread
    return total
