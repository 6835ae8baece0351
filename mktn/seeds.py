"""Named seeds: every random draw in the project names what it is for."""

import hashlib

import numpy as np


def named_seed(seed: int, *names: object) -> int:
    """A 63-bit seed that follows from `seed` and the names, the same on every machine."""
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def named_rng(seed: int, *names: object) -> np.random.Generator:
    """A NumPy generator seeded by `named_seed`."""
    return np.random.default_rng(named_seed(seed, *names))
