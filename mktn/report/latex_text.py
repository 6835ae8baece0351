r"""Text as plain pdflatex can set it, with inputenc's utf8 or without: the output is ASCII.

Accented letters become accent commands, Greek and signs become commands; what is none of these,
such as Chinese, stands as its code point, [U+53A8].
"""

import re
import unicodedata

SPECIAL = {
    **{character: f"\\{character}" for character in "&%_#${}"},
    **{"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"},
    **{"<": "$<$", ">": "$>$", "|": "$|$", '"': "''", "`": "{`}"},  # other glyphs in OT1
}
SIGNS = {
    **{"±": "$\\pm$", "×": "$\\times$", "·": "$\\cdot$", "÷": "$\\div$", "−": "$-$"},
    **{"≥": "$\\geq$", "≤": "$\\leq$", "≠": "$\\neq$", "≈": "$\\approx$", "∞": "$\\infty$"},
    **{"→": "$\\rightarrow$", "←": "$\\leftarrow$", "°": "$^{\\circ}$", "µ": "$\\mu$"},
    **{"²": "$^{2}$", "³": "$^{3}$", "†": "$^{\\dagger}$", "‡": "$^{\\ddagger}$"},
    **{"✓": "\\checkmark{}", "✗": "$\\times$", "•": "$\\bullet$", "…": "\\ldots{}"},
    **{"–": "--", "—": "---", "‐": "-", "‑": "-", "“": "``", "”": "''", "‘": "`", "’": "'"},
    **{"\u00a0": "~", "§": "\\S{}", "©": "\\copyright{}", "£": "\\pounds{}"},
    **{"ß": "\\ss{}", "æ": "\\ae{}", "Æ": "\\AE{}", "œ": "\\oe{}", "Œ": "\\OE{}"},
    **{"ø": "\\o{}", "Ø": "\\O{}", "ł": "\\l{}", "Ł": "\\L{}", "ı": "\\i{}"},
    **{"ό": "$\\acute{o}$", "ο": "$o$", "ς": "$\\varsigma$"},
}
_GREEK = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho"
_GREEK += " sigma tau upsilon phi chi psi omega"
_CAPITALS = {"Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi"}
_CAPITALS |= {"Omega"}
# Those that look as Latin ones have no command.
_LATIN = {"Alpha": "A", "Beta": "B", "Epsilon": "E", "Zeta": "Z", "Eta": "H", "Iota": "I"}
_LATIN |= {"Kappa": "K", "Mu": "M", "Nu": "N", "Omicron": "O", "Rho": "P", "Tau": "T", "Chi": "X"}


def _greek() -> dict[str, str]:
    letters = {}
    for name in _GREEK.split():
        capital = name.capitalize()
        small = unicodedata.lookup(f"GREEK SMALL LETTER {name.replace('lambda', 'lamda')}")
        large = unicodedata.lookup(f"GREEK CAPITAL LETTER {name.replace('lambda', 'lamda')}")
        letters[small] = "$o$" if name == "omicron" else f"$\\{name}$"
        letters[large] = f"$\\{capital}$" if capital in _CAPITALS else _LATIN[capital]
    return letters


GREEK = _greek()
# Combining marks that OT1 can put on a letter.
ACCENTS = {
    **{"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u"},
    **{"\u0307": ".", "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0323": "d"},
    **{"\u0327": "c", "\u0331": "b"},
}
_MARKED = re.compile(r"\*\*(.+?)\*\*|`([^`]+)`")


def escaped(text: str) -> str:
    """Plain text, set as it reads: no hyphens join to a dash, no line ends."""
    said = re.sub(r"[\t-\r]", " ", unicodedata.normalize("NFC", text))
    return "{}".join("".join(map(_character, part)) for part in re.split("(?<=-)(?=-)", said))


def marked(text: str) -> str:
    """Text with `**strong**` and names in backticks."""
    parts, at = [], 0
    for found in _MARKED.finditer(text):
        parts.append(escaped(text[at : found.start()]))
        strong, name = found.groups()
        parts.append(
            rf"\textbf{{{escaped(strong)}}}" if strong else rf"\texttt{{{escaped(name)}}}"
        )
        at = found.end()
    return "".join([*parts, escaped(text[at:])])


def number(text: str) -> str:
    """A number as it is written, with a true minus."""
    return f"${text}$" if text[:1] in "+-" else text


def comment(text: str) -> str:
    """A comment of one line, in ASCII."""
    line = " ".join(text.replace("**", "").replace("`", "").split())
    return "% " + line.encode("ascii", "backslashreplace").decode("ascii")


def _character(character: str) -> str:
    known = SPECIAL.get(character) or SIGNS.get(character) or GREEK.get(character)
    if known:
        return known
    if " " <= character <= "~":
        return character
    letter, *marks = list(unicodedata.normalize("NFD", character))
    if marks and letter.isascii() and letter.isalpha() and all(mark in ACCENTS for mark in marks):
        set_as = f"\\{letter}" if letter in "ij" else letter
        for mark in marks:
            set_as = f"\\{ACCENTS[mark]}{{{set_as}}}"
        return set_as
    return f"[U+{ord(character):04X}]"
