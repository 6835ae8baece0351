"""Which video a sentence is about: S, S_op and S_es of the paper as one number.

The paper matches by each of them and does not say how they are joined. `RULES` are what was
compared, by `mktn bench ground`; `combined` is the one in use (docs/ground.md has the numbers).

V videos, Q sentences, B ordinary sentences: some of those that the run was trained on.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

SIMILARITIES = {"S": "s_avm", "S_op": "s_op", "S_es": "s_es"}
USED = "against ordinary sentences"

Scores = npt.NDArray[np.float64]
Found = Mapping[str, Scores]


def _standardised(value: Scores, like: Scores, axis: int | None) -> Scores:
    """In deviations from the mean of `like`, along an axis; where that is constant 0."""
    spread = like.std(axis=axis, keepdims=True)
    centred = value - like.mean(axis=axis, keepdims=True)
    return np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-9)


def _rule(axis: int | None) -> Callable[[Found, Found], Scores]:
    return lambda found, _: np.sum([_standardised(v, v, axis) for v in found.values()], axis=0)


def _against(found: Found, ordinary: Found) -> Scores:
    """By how many deviations a sentence fits a video better than ordinary sentences fit it."""
    parts = [_standardised(value, ordinary[name], 1) for name, value in found.items()]
    return np.sum(parts, axis=0)


# name -> (V,Q) of the similarities (V,Q) and of those of ordinary sentences (V,B)
RULES: dict[str, Callable[[Found, Found], Scores]] = {
    "cosines": lambda found, _: np.sum(list(found.values()), axis=0),
    "standardised": _rule(None),
    "standardised by sentence": _rule(0),
    "standardised by video": _rule(1),
    USED: _against,
}


def combined(found: Mapping[str, npt.ArrayLike], ordinary: Mapping[str, npt.ArrayLike]) -> Scores:
    """(V,Q), the larger the better, of the similarities (V,Q) that a model has.

    Each is counted in deviations from what ordinary sentences (V,B) have with the same video, so
    that none outweighs the others by its scale, and no video all others by being like everything;
    then the sum is taken. What else is asked, and of which other videos, changes nothing. Raises
    ValueError where there is none.
    """
    if not found:
        raise ValueError("no similarity")
    values, usual = (
        {name: np.asarray(value, np.float64) for name, value in given.items()}
        for given in (found, ordinary)
    )
    return RULES[USED](values, usual)
