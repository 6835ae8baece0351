"""Which video a sentence is about: S, S_op and S_es of the paper as one number.

The paper matches by each of them and does not say how they are joined. `RULES` are what was
compared, by `mktn bench ground`; `combined` is the one in use (docs/ground.md has the numbers).

V videos, Q sentences.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

SIMILARITIES = {"S": "s_avm", "S_op": "s_op", "S_es": "s_es"}
TIE = 1e-6
USED = "standardised by sentence"

Scores = npt.NDArray[np.float64]


def _standardised(value: Scores, axis: int | None = None) -> Scores:
    """Mean 0 and deviation 1 over all, or along an axis; what is the same for all is 0."""
    spread = value.std(axis=axis, keepdims=True)
    centred = value - value.mean(axis=axis, keepdims=True)
    return np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-9)


def _sum(found: Mapping[str, Scores], change: Callable[[Scores], Scores] = lambda v: v) -> Scores:
    return np.sum([change(value) for value in found.values()], axis=0)


# name -> (V,Q) of the similarities (V,Q) that a model has, by their names in the paper
RULES: dict[str, Callable[[Mapping[str, Scores]], Scores]] = {
    "cosines": _sum,
    "standardised": lambda found: _sum(found, _standardised),
    "standardised by sentence": lambda found: _sum(found, lambda v: _standardised(v, 0)),
    "standardised by video": lambda found: _sum(found, lambda v: _standardised(v, 1)),
}


def combined(found: Mapping[str, npt.ArrayLike]) -> Scores:
    """(V,Q), the larger the better, of the similarities (V,Q) that a model has.

    For each sentence each is standardised over the videos given, so that none outweighs the
    others by its scale, and the sum is taken: what else is asked changes nothing. Raises
    ValueError where there is none.
    """
    if not found:
        raise ValueError("no similarity")
    values = {name: np.asarray(value, np.float64) for name, value in found.items()}
    # Of two videos each similarity has one vote; where there are two, they may cancel.
    return RULES[USED](values) + TIE * _sum(values)
