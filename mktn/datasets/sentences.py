"""Words of a sentence, as every step of the pipeline sees them."""

import re
import unicodedata

_STOP_WORDS = """
a an the this that these those some any one another other each all both and or but then
again while as when after before until during first next finally also now still is are was
were be been being am do does did has have had having can could will would he she it they
we you i him her them his hers its their there here who which what in on at of to from into
onto with without by for over under up down out off about around through back person people
man woman boy girl someone they're he's she's it's person's
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
# Of lower-case ASCII text this is [a-z0-9]+(?:'[a-z]+)?; letters of other scripts count as well.
TOKEN = re.compile(r"[^\W_]+(?:'[^\W\d_]+)?")
ACCENTS = re.compile("[\u0300-\u036f]")
APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019", "'"))
CLITIC = re.compile(r"(.+?)(n't|'(?:s|ll|re|ve|d|m))")
JOINED = {
    "cannot": ("can", "not"),
    "gimme": ("gim", "me"),
    "gonna": ("gon", "na"),
    "gotta": ("got", "ta"),
    "lemme": ("lem", "me"),
    "wanna": ("wan", "na"),
}


def tokens(sentence: str) -> list[str]:
    """The lower-case words and numbers of `sentence`, in order; no token is empty.

    A token is a run of letters and digits, with at most one apostrophe and the letters after it:
    "isn't" and "man's" stay one token, the apostrophe of "mans'" falls away. Everything else
    parts words: hyphens ("t-shirt" is two), underscores, slashes, full stops ("3.5" is two).
    Accents are taken off and curly apostrophes straightened, so that "piñata" is "pinata" and
    "man’s" is "man's". A sentence with a letter or digit of any script has a token.
    """
    if not sentence.isascii():
        plain = unicodedata.normalize("NFKD", sentence)
        sentence = ACCENTS.sub("", plain).translate(APOSTROPHES)
    return TOKEN.findall(sentence.lower())


def normalised(sentence: str) -> str:
    """`sentence` as its tokens joined by single blanks: equal for sentences that read alike."""
    return " ".join(tokens(sentence))


def content_words(sentence: str) -> set[str]:
    """The words of a sentence that say what happens."""
    return set(tokens(sentence)) - STOP_WORDS


def treebank(token: str) -> tuple[str, ...]:
    """A token as the Penn Treebank convention parts it: ("is", "n't"), ("man", "'s").

    GloVe and skip-thought were trained on text that was parted so. Other tokens stay whole.
    """
    if token in JOINED:
        return JOINED[token]
    parted = CLITIC.fullmatch(token)
    return parted.groups() if parted else (token,)
