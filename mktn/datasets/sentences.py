"""Words of a sentence, as every step of the pipeline sees them."""

import re

TOKEN = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
_STOP_WORDS = """
a an the this that these those some any one another other each all both and or but then
again while as when after before until during first next finally also now still is are was
were be been being am do does did has have had having can could will would he she it they
we you i him her them his hers its their there here who which what in on at of to from into
onto with without by for over under up down out off about around through back person people
man woman boy girl someone they're he's she's it's person's
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


def tokens(sentence: str) -> list[str]:
    """The lower-case words and numbers of `sentence`, in order; "isn't" stays one token."""
    return TOKEN.findall(sentence.lower())


def normalised(sentence: str) -> str:
    """`sentence` as its tokens joined by single blanks: equal for sentences that read alike."""
    return " ".join(tokens(sentence))


def content_words(sentence: str) -> set[str]:
    """The words of a sentence that say what happens."""
    return set(tokens(sentence)) - STOP_WORDS
