"""The commands that README.md, CONTRIBUTING.md and docs/ tell a reader to type.

A command is a line of an indented or fenced block, or code in a sentence, that begins with a
program of PROGRAMS; in a sentence also options alone (`--config processes=2`). A line goes on
behind a backslash and inside open quotes. Words in capitals (`mktn export RUN`) stand for what
the reader fills in.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mktn.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "CONTRIBUTING.md", *sorted(f"docs/{p.name}" for p in ROOT.glob("docs/*.md")))
PROGRAMS = frozenset(
    (".", ".ci/run", "cp", "find", "kill", "make", "mktn", "pip", "python", "sacct", "scontrol"),
) | {"snakemake", "tensorboard", "torchrun"}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
BLOCK = re.compile(r"(?:^ {4,}\S.*\n)(?:^(?: {4,}\S.*)?\n(?= {4,}\S)|^ {4,}\S.*\n)*", re.M)
INLINE = re.compile(r"`([^`]+)`", re.S)


class Command(NamedTuple):
    """A command, where it stands, and the lines that the page shows as its output."""

    page: str
    line: int
    text: str
    shown: str = ""


def text_of(page: str) -> str:
    """The page's text."""
    return (ROOT / page).read_text(encoding="utf-8")


def normal(text: str) -> str:
    """One line, without continuations and the comment behind it."""
    lexer = shlex.shlex(text, posix=False, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    for word in lexer:
        if word.startswith("#"):
            break
        words.append(re.sub(r"\s+", " ", word))
    return " ".join(words)


def is_command(text: str) -> bool:
    """Whether it begins with a program that a reader runs."""
    first = text.split(maxsplit=1)
    return bool(first) and first[0] in PROGRAMS


def is_name(text: str) -> bool:
    """A program, a subcommand or an option that a sentence names, nothing to type."""
    words = text.split()
    flag = len(words) == 1 and text.startswith("--")
    program = len(words) == 1 and text in PROGRAMS and "/" not in text
    return flag or program or (len(words) == 2 and words[0] == "mktn" and words[1] in COMMANDS)


def lines_of(block: str) -> Iterator[tuple[int, str]]:
    """Commands and lines of a block, each on one line, with the number of its first line."""
    text, started = "", 0
    for number, line in enumerate(block.splitlines()):
        started = started if text else number
        text = f"{text} {line.strip()}" if text else line.strip()
        if not text:
            continue
        if text.endswith("\\"):
            text = text[:-1]
            continue
        if is_command(text.removeprefix("$ ")):
            try:
                shlex.split(text, comments=True)
            except ValueError:  # a quote is open
                continue
        yield started, text
        text = ""
    assert not text, text


def blocks(page: str) -> Iterator[tuple[int, str, str]]:
    """Line, language (empty: indented, or not named) and text of each block of code."""
    text = text_of(page)
    fenced = []
    for found in FENCE.finditer(text):
        fenced.append(found.span())
        yield text[: found.start()].count("\n") + 2, found[1], found[2]
    for found in BLOCK.finditer(text):
        before = text[: found.start()]
        inside = any(start <= found.start() < end for start, end in fenced)
        # Behind an empty line; a list's further lines are indented as well, but less.
        if not inside and before.endswith("\n\n"):
            yield before.count("\n") + 1, "", found[0]


def prose(page: str) -> str:
    """The page with its blocks blank, line for line."""
    lines = text_of(page).splitlines()
    for first, language, block in blocks(page):
        fence = 1 if language or lines[first - 2].startswith("```") else 0
        for number in range(first - 1 - fence, first - 1 + block.count("\n") + fence):
            lines[number] = ""
    return "\n".join(lines) + "\n"


def commands(page: str) -> list[Command]:
    """Every command of the page, in its order."""
    found: list[Command] = []
    for first, language, block in blocks(page):
        if language not in ("", "bash", "sh", "console"):
            continue
        for offset, text in lines_of(block):
            line = text.removeprefix("$ ")
            if is_command(line):
                found.append(Command(page, first + offset, normal(line)))
            elif found and "\n    $ " in f"\n{block}":
                found[-1] = found[-1]._replace(shown=f"{found[-1].shown}{text}\n")
    text = prose(page)
    for code in INLINE.finditer(text):
        if is_command(code[1]) or code[1].startswith("--"):
            line = text[: code.start()].count("\n") + 1
            found.append(Command(page, line, normal(code[1])))
    return sorted(found, key=lambda command: command.line)


def typed_commands(page: str) -> list[list[str]]:
    """The words of the page's commands of mktn and Python that are typed, in its order."""
    return [
        shlex.split(command.text)
        for command in commands(page)
        if command.text.startswith(("mktn ", "python ")) and not is_name(command.text)
    ]


def others(page: str) -> list[str]:
    """Lines of unnamed blocks that are neither commands nor their output."""
    return [
        text
        for _, language, block in blocks(page)
        if language == "" and "\n    $ " not in f"\n{block}"
        for _, text in lines_of(block)
        if not is_command(text)
    ]


def links(page: str) -> Iterator[tuple[str, str]]:
    """File and anchor of each link to this repository."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if not target.startswith(("http://", "https://")):
            path, _, anchor = target.partition("#")
            yield path, anchor


def anchors(page: str) -> set[str]:
    """The anchors of its headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(page)), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
