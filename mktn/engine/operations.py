"""Floating-point operations of a work, from the shapes of its tensors: the same on any device.

Counted, a multiply and an add as two: matrix products and convolutions, the two products of
attention, and the products of recurrent layers, which torch's own counter does not see where a
device fuses them. Not counted: whatever is done element by element (activations, softmax, norms,
masks, gates), sums and maxima over an axis, pooling, sorting, gathering; so neither is decoding.
Padding counts as far as it is computed.
"""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

COUNTED = (
    "matrix products, convolutions, attention and recurrent layers, a multiply and an add as two;"
    " not element-wise operations, softmax, norms, pooling, sorting or decoding"
)


def count_operations(work: Callable[[], object]) -> int:
    """Operations of one run of the work, which must not need gradients."""
    aten = torch.ops.aten
    fused: dict[Any, Any] = {aten.scaled_dot_product_attention: _attention}
    for name in ("gru", "lstm", "rnn_tanh", "rnn_relu"):
        fused[getattr(aten, name)] = _recurrent
    counter = FlopCounterMode(display=False, custom_mapping=fused)
    # Under inference mode composite operations arrive whole, before a device fuses their parts.
    with torch.inference_mode(), _no_fused_transformers(), counter:
        work()
    return counter.get_total_flops()


@contextlib.contextmanager
def _no_fused_transformers() -> Iterator[None]:
    """nn.MultiheadAttention and nn.TransformerEncoder layer by layer: fused, nothing is seen."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    """Of shapes (...,S,d), (...,M,d), (...,M,e): the scores, then the weighted sum."""
    *leading, steps, width = query
    return 2 * math.prod(leading) * steps * key[-2] * (width + value[-1])


def _recurrent(x: Tensor, *rest: Any, **_: Any) -> int:
    """Each weight matrix is applied once to each step of each sequence.

    x (N,S,d) or (S,N,d), or (steps,d) of packed sequences; the weights are the last list.
    """
    weights = [part for part in rest if isinstance(part, (list, tuple))][-1]
    return 2 * math.prod(x.shape[:-1]) * sum(w.numel() for w in weights if w.dim() == 2)


# The weights lie in a list, which the counter would not turn into shapes.
_recurrent._get_raw = True  # type: ignore[attr-defined]
