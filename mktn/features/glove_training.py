"""Training GloVe word vectors on captions.

Pennington, Socher and Manning, "GloVe: Global Vectors for Word Representation", EMNLP 2014.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch

from mktn.seeds import named_rng


@dataclass(frozen=True)
class GloveSettings:
    """How word vectors are trained; `window`, `x_max` and `alpha` as in the paper."""

    dimension: int = 100
    window: int = 8  # words to each side
    x_max: float = 20.0
    alpha: float = 0.75
    epochs: int = 100
    learning_rate: float = 0.05
    batch: int = 1024  # co-occurrences a step

    def __post_init__(self) -> None:
        for name in ("dimension", "window", "epochs", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected at least 1")
        if not (self.x_max > 0 and self.learning_rate > 0):
            raise ValueError("x_max and learning_rate: expected above 0")


def train(
    sentences: Iterable[Sequence[str]],
    dimension: int = 100,
    window: int = 8,
    x_max: float = 20.0,
    alpha: float = 0.75,
    epochs: int = 100,
    learning_rate: float = 0.05,
    seed: int = 0,
    batch: int = 1024,
    report: Callable[[int, float], None] | None = None,
) -> tuple[list[str], np.ndarray]:
    """Word vectors (words, dimension) float32 of tokenised sentences, words in sorted order.

    Minimises sum_ij f(X_ij) (w_i c_j + b_i + b~_j - log X_ij)^2 over the co-occurrences
    X_ij > 0, f(x) = min(1, (x / x_max)^alpha), by AdaGrad on shuffled batches of them, and
    returns w + c. `report(epoch, mean loss)` is called after each epoch.
    """
    words, rows, columns, counts = cooccurrences(sentences, window)
    vectors, contexts, _, _ = factorise(
        len(words), rows, columns, counts, dimension, x_max, alpha, epochs, learning_rate, seed,
        batch, report,
    )  # fmt: skip
    return words, vectors + contexts


def cooccurrences(
    sentences: Iterable[Sequence[str]], window: int
) -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Symmetric co-occurrences within sentences, a pair k words apart counting 1/k.

    Returns (words in sorted order, rows (n,) int64, columns (n,) int64, counts (n,) float64),
    sorted by row and column.
    """
    kept = [list(sentence) for sentence in sentences]
    words = sorted(set(chain.from_iterable(kept)))
    index = {word: row for row, word in enumerate(words)}
    ids = np.array([index[word] for sentence in kept for word in sentence], dtype=np.int64)
    owner = np.repeat(np.arange(len(kept)), [len(sentence) for sentence in kept])
    keys, weights = [np.zeros(0, dtype=np.int64)], [np.zeros(0)]
    for distance in range(1, min(window, max(map(len, kept), default=0)) + 1):
        near = owner[:-distance] == owner[distance:]
        left, right = ids[:-distance][near], ids[distance:][near]
        for first, second in ((left, right), (right, left)):
            keys.append(first * len(words) + second)
            weights.append(np.full(len(first), 1.0 / distance))
    unique, inverse = np.unique(np.concatenate(keys), return_inverse=True)
    counts = np.bincount(inverse, weights=np.concatenate(weights), minlength=len(unique))
    return words, unique // max(len(words), 1), unique % max(len(words), 1), counts


def factorise(
    words: int,
    rows: np.ndarray,
    columns: np.ndarray,
    counts: np.ndarray,
    dimension: int,
    x_max: float,
    alpha: float,
    epochs: int,
    learning_rate: float,
    seed: int,
    batch: int = 1024,
    report: Callable[[int, float], None] | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Word vectors, context vectors (words, dimension) and both biases (words,), float32.

    The gradient of a batch is the sum over its entries; AdaGrad's sums of squares start at 1,
    as in the authors' program.
    """
    rng = named_rng(seed, "glove")
    # The last column of each table is the bias.
    tables = [
        torch.from_numpy(((rng.random((words, dimension + 1)) - 0.5) / dimension).astype("f4"))
        for _ in range(2)
    ]
    squares = [torch.ones_like(table) for table in tables]
    indices = [torch.from_numpy(rows), torch.from_numpy(columns)]
    target = torch.from_numpy(np.log(counts).astype(np.float32))
    weight = torch.from_numpy(np.minimum(1.0, (counts / x_max) ** alpha).astype(np.float32))
    for epoch in range(epochs):
        order = torch.from_numpy(rng.permutation(len(counts)))
        total = 0.0
        for chosen in order.split(batch):
            ids = [index[chosen] for index in indices]
            gathered = [table[i] for table, i in zip(tables, ids, strict=True)]
            dot = (gathered[0][:, :-1] * gathered[1][:, :-1]).sum(1)
            error = dot + gathered[0][:, -1] + gathered[1][:, -1] - target[chosen]
            weighted = weight[chosen] * error
            total += float((weighted * error).sum())
            for side in (0, 1):
                gradient = weighted[:, None] * gathered[1 - side]
                gradient[:, -1] = weighted
                summed = torch.zeros_like(tables[side]).index_add_(0, ids[side], gradient)
                squares[side] += summed**2
                tables[side] -= learning_rate * summed / squares[side].sqrt()
        if report is not None:
            report(epoch, total / max(len(counts), 1))
    vectors, contexts = (table[:, :-1].numpy() for table in tables)
    return vectors, contexts, tables[0][:, -1].numpy(), tables[1][:, -1].numpy()
