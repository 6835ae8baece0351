"""Words of a sentence, as every step of the pipeline sees them."""

import re
import unicodedata

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


def treebank(token: str) -> tuple[str, ...]:
    """A token as the Penn Treebank convention parts it: ("is", "n't"), ("man", "'s").

    GloVe and skip-thought were trained on text that was parted so. Other tokens stay whole.
    """
    if token in JOINED:
        return JOINED[token]
    parted = CLITIC.fullmatch(token)
    return parted.groups() if parted else (token,)
