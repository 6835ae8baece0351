"""New sentences to word and sentence vectors, by the rules of `mktn extract-text`.

Q sentences, L words of the longest, D_w word vector, D_s sentence vector.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from mktn.datasets.sentences import tokens
from mktn.errors import UserError
from mktn.grounder.parts import Parts

SHOWN = 60  # characters of a sentence in a message


@dataclasses.dataclass(frozen=True)
class SentenceVectors:
    """words (Q,L,D_w) float32, zero where padded, mask (Q,L) bool, sentences (Q,D_s) float32.

    unknown: of each sentence the words that have no vector of their own; cut: how many words
    beyond those that are read each has.
    """

    words: np.ndarray
    mask: np.ndarray
    sentences: np.ndarray
    unknown: list[list[str]]
    cut: list[int]


def sentence_vectors(parts: Parts, sentences: Sequence[str]) -> SentenceVectors:
    """The vectors of sentences. Raises UserError without a sentence, or one without a word."""
    if isinstance(sentences, str):
        sentences = [sentences]
    if not sentences:
        raise UserError("no sentence is given", expected="one or more", do='give -q "..."')
    whole = [tokens(sentence) for sentence in sentences]
    for number, (sentence, words) in enumerate(zip(sentences, whole, strict=True), start=1):
        if not words:
            shown = repr(sentence if len(sentence) <= SHOWN else f"{sentence[:SHOWN]}...")
            raise UserError(f"sentence {number} has no word", found=shown, expected="words")
    spoken = [words[: parts.max_words] for words in whole]
    found = parts.words.look_up(sorted({word for words in spoken for word in words}))
    lengths = np.array([len(words) for words in spoken])
    mask = np.arange(lengths.max()) < lengths[:, None]
    dimension = len(next(iter(found.vectors.values())))
    padded = np.zeros((*mask.shape, dimension), np.float32)
    padded[mask] = np.stack([found.vectors[word] for words in spoken for word in words])
    return SentenceVectors(
        padded,
        mask,
        parts.sentences.encode(spoken),
        [[w for w in dict.fromkeys(words) if found.how[w] == "seeded"] for words in spoken],
        [len(words) - parts.max_words if len(words) > parts.max_words else 0 for words in whole],
    )
