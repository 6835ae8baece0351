"""Concept words: the words of annotators' sentences that a simulated recogniser can know."""

from collections import Counter
from collections.abc import Iterable, Mapping

from mktn.datasets.sentences import content_words
from mktn.errors import UserError

WORD = "word/"  # before a concept word that is a label, beside "class/"


def concept_words(sentences: Iterable[str], occurrences: int) -> frozenset[str]:
    """The content words that stand in at least `occurrences` of the sentences.

    Raises UserError when there is none.
    """
    counts = Counter(word for sentence in sentences for word in content_words(sentence))
    found = frozenset(word for word, count in counts.items() if count >= occurrences)
    if not found:
        raise UserError(
            "no word is frequent enough to be a concept",
            where="training sentences",
            expected=f"a content word in {occurrences} of them",
            do="lower simulated.occurrences",
        )
    return found


def word_labels(words: Iterable[str]) -> tuple[str, ...]:
    """Concept words as labels, sorted."""
    return tuple(WORD + word for word in sorted(words))


def own_directions(labels: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
    """Each label with a random direction of its own, unrelated to any word vector."""
    return {label: (label,) for label in labels}
