"""The words that have vectors of their own: of a published file, or trained on the captions."""

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mktn.errors import UserError
from mktn.features import glove, glove_cache, glove_training
from mktn.features.glove_training import GloveSettings
from mktn.features.word_vectors import looked_for

TRAINED = "trained"  # what is given instead of a file


@dataclass(frozen=True)
class KnownWords:
    """Vectors to look words up in, and where they came from. Shape legend: D word vector."""

    vectors: dict[str, np.ndarray]  # word -> (D,) float32
    median_norm: float
    attributes: dict[str, str | float]  # of the store


def read(
    path: str | Path,
    vocabulary: Iterable[str],
    cache: Path | None,
    say: Callable[[str], None],
) -> KnownWords:
    """What a file has of `vocabulary` and of what the out-of-vocabulary rule falls back on.

    Raises UserError as `glove.scan` does, and when the file has none of the words.
    """
    wanted = looked_for(vocabulary)
    found = (
        glove.scan(path, wanted) if cache is None else glove_cache.scan(path, wanted, cache, say)
    )
    if not found.words:
        raise UserError("no word of the queries has a vector", where=path)
    attributes: dict[str, str | float] = {
        "word_vectors": f"{Path(path).name}, {found.vectors.shape[1]} numbers a word",
        "word_vectors_sha256": found.sha256,
        "median_norm": found.median_norm,
    }
    vectors = dict(zip(found.words, found.vectors, strict=True))
    return KnownWords(vectors, found.median_norm, attributes)


def trained(
    captions: Sequence[Sequence[str]],
    models: Path,
    settings: GloveSettings,
    seed: int,
    say: Callable[[str], None],
) -> KnownWords:
    """GloVe trained on tokenised captions and kept as `models`/glove.npz."""
    report = reporter("GloVe epoch", settings.epochs, say)
    words, vectors = glove_training.train(
        captions, seed=seed, report=report, **dataclasses.asdict(settings)
    )
    if not words:
        raise UserError("no training caption has a word", where=models)
    glove.save(models / "glove.npz", words, vectors)
    median_norm = float(np.median(np.linalg.norm(vectors, axis=1)))
    described = f"GloVe {vectors.shape[1]} trained on the training captions"
    attributes: dict[str, str | float] = {"word_vectors": described, "median_norm": median_norm}
    return KnownWords(dict(zip(words, vectors, strict=True)), median_norm, attributes)


def reporter(what: str, total: int, say: Callable[[str], None]) -> Callable[[int, float], None]:
    """Ten lines of progress."""
    every = max(total // 10, 1)

    def report(index: int, loss: float) -> None:
        if (index + 1) % every == 0:
            say(f"{what} {index + 1}/{total}: loss {loss:.4f}")

    return report
