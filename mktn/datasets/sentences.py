"""Words of a sentence, as every step of the pipeline sees them."""

import re

TOKEN = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")


def tokens(sentence: str) -> list[str]:
    """The lower-case words and numbers of `sentence`, in order; "isn't" stays one token."""
    return TOKEN.findall(sentence.lower())


def normalised(sentence: str) -> str:
    """`sentence` as its tokens joined by single blanks: equal for sentences that read alike."""
    return " ".join(tokens(sentence))
