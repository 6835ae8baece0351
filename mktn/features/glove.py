"""Reading GloVe word vectors: the published files, in one pass, keeping a vocabulary only.

Pennington, Socher and Manning, "GloVe: Global Vectors for Word Representation", EMNLP 2014.
"""

import contextlib
import hashlib
import io
import zipfile
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from mktn.errors import UserError
from mktn.files import written_beside

BLOCK_BYTES = 1 << 20  # read at once
NORM_WORDS = 1_000  # the first words of a file, the most frequent ones: they give its norm


@dataclass(frozen=True)
class GloveWords:
    """What one pass over a file of word vectors found."""

    words: list[str]  # in file order
    vectors: np.ndarray  # (n, D) float32
    median_norm: float  # of the file's first words: the same whatever is looked for
    sha256: str  # of the file


def read(path: str | Path, vocabulary: Collection[str]) -> tuple[list[str], np.ndarray]:
    """The words of `vocabulary` that a GloVe file has, in file order, and their vectors.

    `path` is the published text format (`.txt`, or the `.zip` it comes in: a word, then its
    numbers, one word a line; some words of 840B hold spaces) or `.npz` with arrays `words` (n,)
    and `vectors` (n, D). Returns (words, vectors (n, D) float32); of a word that the file
    repeats, the first. Raises UserError when the file is missing, broken or cut short.
    """
    found = scan(path, vocabulary)
    return found.words, found.vectors


def scan(path: str | Path, vocabulary: Collection[str]) -> GloveWords:
    """As `read`, with what is known of the whole file. Memory grows with `vocabulary` alone."""
    path = Path(path)
    if not path.is_file():
        raise UserError("word vectors are missing", where=path, expected="a .txt, .zip or .npz")
    wanted = set(vocabulary)
    if path.suffix == ".npz":
        return _scan_npz(path, wanted)
    words: list[str] = []
    vectors: list[np.ndarray] = []
    norms: list[float] = []
    try:
        with _open_lines(path) as (lines, hexdigest):
            for word, vector in _vectors(lines, wanted, path):
                if len(norms) < NORM_WORDS:
                    norms.append(float(np.linalg.norm(vector)))
                if word in wanted:
                    wanted.discard(word)
                    words.append(word)
                    vectors.append(vector)
            sha256 = hexdigest()
    except (OSError, EOFError, UnicodeDecodeError, zipfile.BadZipFile) as error:
        raise UserError("word vectors cannot be read", where=path, found=error) from error
    if not norms:
        raise UserError("word vectors cannot be read", where=path, found="an empty file")
    table = np.stack(vectors) if vectors else np.zeros((0, 0), dtype=np.float32)
    return GloveWords(words, table, float(np.median(norms)), sha256)


def save(path: str | Path, words: Sequence[str], vectors: np.ndarray) -> None:
    """Write words and float32 vectors as the `.npz` that `read` reads."""
    with written_beside(path) as beside, beside.open("wb") as stream:
        np.savez(stream, words=np.array(words, dtype=str), vectors=vectors.astype(np.float32))


def _scan_npz(path: Path, wanted: set[str]) -> GloveWords:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            words, vectors = arrays["words"].tolist(), arrays["vectors"]
        with path.open("rb") as stream:
            sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            "word vectors cannot be read",
            where=path,
            found=error,
            expected="arrays words (n,) and vectors (n, D)",
        ) from error
    if vectors.ndim != 2 or len(words) != len(vectors) or not words:
        raise UserError(
            "words and vectors do not match",
            where=path,
            found=f"{len(words)} words, vectors {vectors.shape}",
        )
    median_norm = float(np.median(np.linalg.norm(vectors[:NORM_WORDS], axis=1)))
    rows = [row for row, word in enumerate(words) if word in wanted]
    kept = vectors[rows].astype(np.float32)
    return GloveWords([words[row] for row in rows], kept, median_norm, sha256)


def _vectors(
    stream: Iterable[bytes], wanted: set[str], path: Path
) -> Iterator[tuple[str, np.ndarray]]:
    """Word and vector of the first NORM_WORDS lines, and of those that may hold a wanted word.

    The other lines, nearly all of a published file, are neither decoded nor split.
    """
    lines = iter(stream)
    head = list(islice(lines, 100))
    if head and len(head[0].split()) == 2 and all(part.isdigit() for part in head[0].split()):
        head[0] = b"\n"  # the "words dimension" line that some tools write first
    # A few words hold spaces, so the dimension is that of most lines.
    lengths = Counter(line.rstrip().count(b" ") for line in head if line.strip())
    dimension = max(lengths, key=lambda length: (lengths[length], -length), default=0)
    first_parts = {word.split(" ", 1)[0].encode() for word in wanted}
    line = b""
    for number, line in enumerate(chain(head, lines), start=1):
        first = line[: line.find(b" ")]
        if first not in first_parts and number > NORM_WORDS:
            if not first.isascii():
                first.decode()  # a file in another encoding would lose its words unseen
            continue
        if line.strip():
            yield _parsed(line, dimension, f"{path}, line {number}")
    if line.strip() and line.rstrip().count(b" ") < dimension:
        _parsed(line, dimension, f"{path}, line {number}")  # cut short, whatever its word


def _parsed(line: bytes, dimension: int, where: str) -> tuple[str, np.ndarray]:
    parts = line.rstrip().rsplit(b" ", dimension)
    word = parts[0].decode()
    try:
        vector = np.array(parts[1:], dtype=np.float32)
    except ValueError:
        vector = np.zeros(0, dtype=np.float32)
    if len(vector) != dimension or not np.isfinite(vector).all():
        raise UserError(
            "broken line",
            where=where,
            found=f"word {word!r}",
            expected=f"a word and {dimension} numbers",
            do="bring the file again",
        )
    return word, vector


class _Hashed(io.RawIOBase):
    """A file whose bytes are hashed as they are read, so that naming it takes no second pass."""

    def __init__(self, raw: io.FileIO) -> None:
        self._raw = raw
        self.sha256 = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._raw.readinto(buffer)
        self.sha256.update(memoryview(buffer)[:count])
        return count


@contextlib.contextmanager
def _open_lines(path: Path) -> Iterator[tuple[Iterable[bytes], Callable[[], str]]]:
    """Lines of a text file or of the only text file in a zip, and what gives the hash of `path`.

    Only a line feed ends a line. The hash of a text file is whole when its lines are read.
    """
    if path.suffix != ".zip":
        with path.open("rb", buffering=0) as raw:
            hashed = _Hashed(raw)
            yield io.BufferedReader(hashed, BLOCK_BYTES), hashed.sha256.hexdigest
        return
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256")
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name.endswith(".txt")]
        if len(names) != 1:
            raise UserError("zip without its one .txt", where=path, found=names or "no .txt")
        with archive.open(names[0]) as member:
            yield io.BufferedReader(member, BLOCK_BYTES), sha256.hexdigest  # type: ignore[type-var]
