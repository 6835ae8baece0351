"""A vector for every word: the out-of-vocabulary rule, and how much of the text each step found.

Shape legend: D word vector.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mktn.datasets.sentences import treebank
from mktn.seeds import named_rng

SEED = 0  # of seeded vectors, never the run's: a word has one vector in all runs and data sets
HOW = ("exact", "possessive", "parts", "seeded")
RULE = (
    "lower-case; exact; else without its possessive; else the mean of the parts of a hyphenated, "
    "contracted or otherwise joined word where all of them are known; else a vector seeded by "
    "the word, with the median norm of the word vectors"
)
PART = re.compile(r"[^\W\d_]+|\d+")


@dataclass(frozen=True)
class Lookup:
    """A vector of each word of a vocabulary, and which step of the rule gave it."""

    vectors: dict[str, np.ndarray]  # word -> (D,) float32
    how: dict[str, str]  # word -> one of HOW


def look_up(
    vocabulary: Iterable[str], known: Mapping[str, np.ndarray], median_norm: float
) -> Lookup:
    """A vector of every word, by the first of four steps that gives one:

    exact       the lower-case word is known
    possessive  it is without a last 's or ' ("man's" -> "man")
    parts       all parts of it are: their mean. Parts are what stands between hyphens, slashes
                and the like ("close-up"), the halves of a contraction as GloVe's own tokenizer
                makes them ("isn't" -> "is", "n't"), and runs of letters and of digits ("2lb")
    seeded      a direction drawn from the word itself, with norm `median_norm`

    `known`: word -> (D,) float32, not empty. A seeded vector follows from the word, D and
    `median_norm` alone, so training and test, and every data set with the same word vectors,
    agree on it.
    """
    dimension = len(next(iter(known.values())))
    vectors: dict[str, np.ndarray] = {}
    how: dict[str, str] = {}
    for word in vocabulary:
        exact, possessive, parts = candidates(word)
        if exact in known:
            how[word], vectors[word] = "exact", known[exact]
        elif possessive in known:
            how[word], vectors[word] = "possessive", known[possessive]
        elif parts and all(part in known for part in parts):
            how[word] = "parts"
            vectors[word] = np.stack([known[part] for part in parts]).mean(axis=0)
        else:
            how[word], vectors[word] = "seeded", seeded(exact, dimension, median_norm)
    return Lookup(vectors, how)


def candidates(word: str) -> tuple[str, str, list[str]]:
    """The word in lower case, without its possessive, and its parts (none where it has one)."""
    exact = word.lower()
    possessive = re.sub(r"'s?$", "", exact)
    parts: list[str] = []
    for piece in re.split(r"[^\w']+|_+", exact):
        halves = treebank(piece)
        parts += list(halves) if len(halves) > 1 else PART.findall(piece)
    return exact, possessive, parts if len(parts) > 1 else []


def looked_for(vocabulary: Iterable[str]) -> set[str]:
    """All words that the rule may ask a file of word vectors for."""
    found: set[str] = set()
    for word in vocabulary:
        exact, possessive, parts = candidates(word)
        found |= {exact, possessive, *parts}
    return found - {""}


def seeded(word: str, dimension: int, norm: float) -> np.ndarray:
    """The direction that follows from `word`, (D,) float32, of the given norm."""
    drawn = named_rng(SEED, "word", word).standard_normal(dimension)
    return (drawn * (norm / np.linalg.norm(drawn))).astype(np.float32)


def coverage(
    sentences: Iterable[Sequence[str]], how: Mapping[str, str]
) -> dict[str, dict[str, float]]:
    """Of tokenised sentences: types and tokens, and the per cent of them found by each step.

    {"types": {"count": 3, "exact": 66.67, ...}, "tokens": {"count": 9, "exact": 88.89, ...}};
    per cent are not rounded.
    """
    counted = Counter(word for sentence in sentences for word in sentence)
    table = {}
    for name, weights in (("types", dict.fromkeys(counted, 1)), ("tokens", counted)):
        sums: Counter[str] = Counter()
        for word, weight in weights.items():
            sums[how[word]] += weight
        total = sums.total()
        table[name] = {"count": total} | {
            step: 100 * sums[step] / total if total else 0.0 for step in HOW
        }
    return table


def coverage_by_split(
    sentences: Sequence[Sequence[str]], splits: Sequence[str], how: Mapping[str, str]
) -> dict[str, dict[str, dict[str, float]]]:
    """`coverage` of each split, and of `all` together; per cent with two decimals."""
    chosen: dict[str, list[Sequence[str]]] = {split: [] for split in splits}
    for sentence, split in zip(sentences, splits, strict=True):
        chosen[split].append(sentence)
    return {
        split: {
            name: {step: round(value, 2) for step, value in row.items()}
            for name, row in coverage(held, how).items()
        }
        for split, held in {**chosen, "all": sentences}.items()
    }


def summary(
    covered: Mapping[str, Mapping[str, Mapping[str, float]]], queries: int, seeded: Counter[str]
) -> Iterator[str]:
    """Lines to print: coverage by split, and the words that were seeded, commonest first."""
    count = covered["all"]["tokens"]["count"]
    yield f"text: {queries} queries, {count} words; types % / tokens % by how they were found"
    for split, rows in covered.items():
        shares = [f"{step} {rows['types'][step]:.2f} / {rows['tokens'][step]:.2f}" for step in HOW]
        yield f"text: {split}: {', '.join(shares)}"
    named = ", ".join(word for word, _ in most_common(seeded)[:10])
    yield (
        f"text: {seeded.total()} unknown words of {len(seeded)} kinds"
        f"{': ' + named if named else ''}"
    )


def most_common(counter: Counter[str]) -> list[tuple[str, int]]:
    """Words by falling count, then by name."""
    return sorted(counter.items(), key=lambda item: (-item[1], item[0]))
