"""Word vectors for new sentences: those of the run, by the pipeline's out-of-vocabulary rule."""

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from mktn.errors import UserError
from mktn.features import glove, glove_cache
from mktn.features.word_vectors import Lookup, look_up, looked_for


class Words:
    """The word vectors of a run, of an `.npz` (held in memory) or of a published file.

    path of the file; median_norm of its vectors, as the run's text store records it: a seeded
    vector has this norm; sha256 that the file must have, None where nothing says it; cache: a
    folder for what was read of a published file. D word vector.
    """

    def __init__(
        self, path: Path, median_norm: float, sha256: str | None = None, cache: Path | None = None
    ) -> None:
        self.path, self.median_norm, self.sha256 = path, median_norm, sha256
        self._cache = cache
        self._held: dict[str, np.ndarray] | None = None
        if path.suffix == ".npz":
            self._held = self._read(set(words_of(path)))

    def refuse_other_norm(self) -> None:
        """Refuse vectors that were trained for another run: they have no hash, but a norm.

        Raises UserError.
        """
        norms = np.linalg.norm(np.stack(list((self._held or {}).values())), axis=1)
        found = float(np.median(norms))
        if not np.isclose(found, self.median_norm, rtol=1e-6, atol=0):
            raise UserError(
                "word vectors of another run", where=self.path, found=f"median norm {found:.6f}",
                expected=f"{self.median_norm:.6f}", do="name the run's own: --word-vectors FILE",
            )  # fmt: skip

    def look_up(self, vocabulary: Iterable[str]) -> Lookup:
        """A vector (D,) float32 of each word, and by which step of the rule it was found.

        Raises UserError where the file cannot be read, or is another than the run's.
        """
        vocabulary = list(vocabulary)
        known = self.known(looked_for(vocabulary))
        if not known:  # the rule needs to know D
            known = self.known({"the", "a", "person"})
        return look_up(vocabulary, known, self.median_norm)

    def known(self, wanted: set[str]) -> dict[str, np.ndarray]:
        """The words of `wanted` that have vectors of their own, in the order of the file."""
        if self._held is not None:
            return {word: vector for word, vector in self._held.items() if word in wanted}
        return self._read(wanted)

    def _read(self, wanted: set[str]) -> dict[str, np.ndarray]:
        if self._cache is None:
            found = glove.scan(self.path, wanted)
        else:
            found = glove_cache.scan(self.path, wanted, self._cache, lambda line: None)
        if self.sha256 not in (None, found.sha256):
            raise UserError(
                "other word vectors than the run's", where=self.path,
                found=f"sha256 {found.sha256[:12]}", expected=str(self.sha256)[:12],
                do="name the run's own: --word-vectors FILE",
            )  # fmt: skip
        return dict(zip(found.words, found.vectors, strict=True))


def words_of(path: Path) -> Iterator[str]:
    """The words of a file in its order, those of an `.npz` or the first of each line.

    Raises UserError where it cannot be read.
    """
    if not path.is_file():
        raise UserError("word vectors are missing", where=path)
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                yield from arrays["words"].tolist()
        elif path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                (name,) = (name for name in archive.namelist() if name.endswith(".txt"))
                with archive.open(name) as lines:
                    yield from map(_first, lines)
        else:
            with path.open("rb") as lines:
                yield from map(_first, lines)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError("word vectors cannot be read", where=path, found=error) from error


def _first(line: bytes) -> str:
    return line.split(b" ", 1)[0].decode()
