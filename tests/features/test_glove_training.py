"""GloVe: training that does what the paper says."""

import numpy as np
import pytest

from mktn.features import glove_training as glove


def test_cooccurrences_against_a_slow_count() -> None:
    rng = np.random.default_rng(0)
    sentences = [[f"w{i}" for i in rng.integers(0, 6, n)] for n in (5, 1, 8, 0, 3)]
    words, rows, columns, counts = glove.cooccurrences(sentences, window=3)
    expected: dict[tuple[str, str], float] = {}
    for sentence in sentences:
        for i, first in enumerate(sentence):
            for j, second in enumerate(sentence):
                if i != j and abs(i - j) <= 3:
                    key = (first, second)
                    expected[key] = expected.get(key, 0.0) + 1 / abs(i - j)
    found = {(words[r], words[c]): x for r, c, x in zip(rows, columns, counts, strict=True)}
    assert found == pytest.approx(expected)


def test_the_first_step_is_adagrad_on_the_gradient_of_the_objective() -> None:
    rows, columns = np.array([0, 0, 1, 2]), np.array([1, 2, 0, 0])
    counts = np.array([2.0, 0.5, 2.0, 30.0])

    def fit(epochs: int) -> list[np.ndarray]:
        return [
            a.astype(np.float64)
            for a in glove.factorise(3, rows, columns, counts, 4, 10.0, 0.75, epochs, 0.05, 7)
        ]

    w, c, b, d = fit(0)
    gradients = [np.zeros_like(a) for a in (w, c, b, d)]
    for i, j, x in zip(rows, columns, counts, strict=True):
        weight = min(1.0, (x / 10.0) ** 0.75)
        error = weight * (w[i] @ c[j] + b[i] + d[j] - np.log(x))
        for gradient, row, value in zip(gradients, (i, j, i, j), (c[j], w[i], 1, 1), strict=True):
            gradient[row] += error * value
    for before, after, g in zip((w, c, b, d), fit(1), gradients, strict=True):
        np.testing.assert_allclose(after, before - 0.05 * g / np.sqrt(1 + g**2), atol=1e-6)


def test_training_reproduces_the_log_cooccurrences_of_a_small_corpus() -> None:
    sentences = [["a", "b", "c"], ["a", "b"], ["c", "d", "a"], ["b", "d"]] * 5
    words, rows, columns, counts = glove.cooccurrences(sentences, 5)
    losses: list[float] = []
    w, c, b, d = glove.factorise(
        len(words), rows, columns, counts, 8, 10.0, 0.75, 400, 0.1, 0, 16,
        lambda _, loss: losses.append(loss),
    )  # fmt: skip
    fitted = (w[rows] * c[columns]).sum(1) + b[rows] + d[columns]
    np.testing.assert_allclose(fitted, np.log(counts), atol=0.05)
    assert losses[-1] < 1e-3 * losses[0]


def test_words_that_occur_together_end_up_near_and_runs_agree() -> None:
    rng = np.random.default_rng(0)
    kinds = (["red", "ball", "rolls", "fast"], ["blue", "cube", "spins", "slow"])
    sentences = [list(rng.permutation(kinds[i % 2])) for i in range(200)]
    words, vectors = glove.train(sentences, dimension=10, epochs=50, seed=3)
    again = glove.train(sentences, dimension=10, epochs=50, seed=3)
    np.testing.assert_array_equal(vectors, again[1])
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = unit @ unit.T
    kind = np.array([word in kinds[0] for word in words])
    same = kind[:, None] == kind[None]
    np.fill_diagonal(same, False)
    other = kind[:, None] != kind[None]
    assert cosine[same].mean() > cosine[other].mean() + 0.3
