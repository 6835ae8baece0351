r"""A strict reader of the tables' LaTeX: refuses what pdflatex would stumble over.

It reads the language that `mktn tables` writes and no more; an unknown command is an error.
"""

import re
from dataclasses import dataclass

from mktn.report.latex import NO_WIDER

COMMANDS = {
    *("begin", "end", "centering", "caption", "setlength", "tabcolsep", "par"),
    *("smallskip", "medskip", "resizebox", "linewidth"),
    *("toprule", "midrule", "bottomrule", "cmidrule", "multicolumn", "parbox"),
    *("footnotesize", "scriptsize", "textbf", "texttt", "rlap", "phantom"),
    *("Delta", "dagger", "checkmark", "times", "pm", "geq", "alpha", "textbackslash"),
    *("textasciitilde", "textasciicircum"),
}
ENVIRONMENTS = ("table", "table*", "tabular")


@dataclass(frozen=True)
class Number:
    """A cell read back."""

    value: str = ""
    low: str = ""
    high: str = ""
    bold: bool = False
    star: bool = False
    dagger: bool = False


@dataclass(frozen=True)
class Float:
    """A float: its caption, and its tabulars as {column head: Number} a line."""

    environment: str
    caption: str
    label: str
    notes: str
    lines: list[tuple[str, dict[tuple[str, str], Number]]]  # name, (metric, what) -> number
    groups: list[list[str]]  # names between two rules


def check(text: str) -> None:
    """Braces, environments, mathematics and characters of a file."""
    assert text.isascii()
    body = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    body = body.replace(NO_WIDER, r"\resizebox{")
    body = re.sub(r"\\label\{[a-z0-9:_-]+\}", "", body)
    body = re.sub(r"(?<!\\)%$", "", body, flags=re.MULTILINE)
    assert not re.search(r"(?<!\\)%", body), "a % that is not escaped"
    bare = re.sub(r"\\[&%_#${}\\,^~=.'`\"]", " ", body)  # what is escaped, and accents
    depth = 0
    for character in bare:
        depth += (character == "{") - (character == "}")
        assert depth >= 0, "a brace closes nothing"
    assert depth == 0, "a brace stays open"
    pieces = bare.split("$")
    assert len(pieces) % 2 == 1, "mathematics stays open"
    assert all(len(piece) < 20 for piece in pieces[1::2]), "mathematics around text"
    prose = " ".join(pieces[::2])
    for character in '#_^~<>|"':
        assert character not in prose, f"{character} is not escaped"
    outside = re.sub(r"\\begin\{tabular\}.*?\\end\{tabular\}", "", prose, flags=re.DOTALL)
    assert "&" not in outside
    stack = []
    for what, name in re.findall(r"\\(begin|end)\{([^}]*)\}", body):
        assert name in ENVIRONMENTS
        if what == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert not stack
    used = {name for name in re.findall(r"\\([a-zA-Z]+)", re.sub(r"\\\\", " ", body))}
    assert used <= COMMANDS, used - COMMANDS


def floats(text: str) -> list[Float]:
    """Every float of a checked file."""
    check(text)
    pattern = r"\\begin\{(table\*?)\}\[tb\]\n(.*?)\\end\{\1\}"
    found = re.findall(pattern, text, flags=re.DOTALL)
    assert len(found) == len(re.findall(r"\\begin\{table", text))
    return [_float(environment, body) for environment, body in found]


def _float(environment: str, body: str) -> Float:
    caption = re.search(r"^\\caption\[\{.*?\}\]\{(.*)\}$", body, flags=re.MULTILINE)
    label = re.search(r"^\\label\{([a-z0-9:_-]+)\}$", body, flags=re.MULTILINE)
    notes = re.search(r"\\parbox\{\\linewidth\}\{\\footnotesize (.*)\}\n$", body, flags=re.DOTALL)
    assert caption
    assert label
    lines: dict[int, tuple[str, dict[tuple[str, str], Number]]] = {}
    groups: list[list[str]] = []
    tabulars = re.findall(r"\\begin\{tabular\}\{@\{\}(l+r+)\}\n(.*?)\\end\{tabular\}", body, re.S)
    assert len(tabulars) == body.count(r"\begin{tabular}") == body.count(r"\resizebox") > 0
    for number, (columns, rows) in enumerate(tabulars):
        read, of_groups = _tabular(len(columns), columns.count("l"), rows)
        for name, cells in read:
            lines[len(lines)] = (name, cells)
        groups = groups or of_groups
        assert number < 2
    return Float(
        environment, caption[1], label[1], notes[1] if notes else "", [*lines.values()], groups
    )


def _tabular(
    width: int, names: int, text: str
) -> tuple[list[tuple[str, dict[tuple[str, str], Number]]], list[list[str]]]:
    first, *rest = text.strip().splitlines()
    assert first == r"\toprule"
    assert rest[-1] == r"\bottomrule"
    over, rules, below, *body = rest[:-1]
    spans = [
        (int(n), title) for n, title in re.findall(r"\\multicolumn\{(\d)\}\{c\}\{(.*?)\}", over)
    ]
    assert names + sum(n for n, _ in spans) == width
    assert over.endswith(r" \\")
    assert len(re.findall(r"\\cmidrule\(l\)\{\d+-\d+\}", rules)) == len(spans)
    heads = _cells(below, width)[names:]
    titles = [title for n, title in spans for _ in range(n)]
    columns = list(zip(titles, heads, strict=True))
    lines: list[tuple[str, dict[tuple[str, str], Number]]] = []
    groups: list[list[str]] = []
    above: list[str] = []
    for row in body:
        if row == r"\midrule":
            groups.append([])
            continue
        if above:
            intervals = _cells(row, width)
            assert not any(intervals[:names])
        cells = above or _cells(row, width)
        if not above and row.endswith(r"\\*[-2.5pt]"):
            above = cells
            continue
        below_of = intervals if above else [""] * width
        above = []
        pairs = zip(cells[names:], below_of[names:], strict=True)
        numbers = [_number(cell, interval) for cell, interval in pairs]
        lines.append((cells[0], dict(zip(columns, numbers, strict=True))))
        groups[-1].append(cells[0])
    assert not above
    assert all(groups)
    return lines, groups


def _cells(row: str, width: int) -> list[str]:
    content, end = re.fullmatch(r"(.*?) (\\\\(?:\*\[-2\.5pt\])?)", row).groups()  # type: ignore[union-attr]
    assert end
    cells = [cell.strip() for cell in re.split(r"(?<!\\)&", content)]
    assert len(cells) == width, row
    return cells


def _number(cell: str, interval: str) -> Number:
    plain = cell.replace(r"\phantom{$^{*}$}", "")
    star, dagger = "$^{*}$" in plain, r"\rlap{$^{\dagger}$}" in plain
    plain = plain.replace(r"\rlap{$^{\dagger}$}", "").replace("$^{*}$", "")
    bold = re.fullmatch(r"\\textbf\{(.*)\}", plain)
    plain = (bold[1] if bold else plain).replace("$", "")
    assert re.fullmatch(r"--|[+-]?\d+(\.\d+)?", plain), cell
    ends = ("", "")
    if interval:
        found = re.fullmatch(r"\{\\scriptsize \[(\S+?),\\,(\S+?)\]\}", interval)
        assert found, interval
        ends = (found[1].replace("$", ""), found[2].replace("$", ""))
    return Number("" if plain == "--" else plain, *ends, bool(bold), star, dagger)
