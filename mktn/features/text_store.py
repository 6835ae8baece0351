"""Reading `text/{dataset}.zarr`: the word and sentence vectors of all queries.

Shape legend: P pairs, N words of all pairs together, D_w word vector, D_s sentence vector,
Q queries of a batch, L words of the longest.
"""

import hashlib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import numpy as np

from mktn.errors import UserError
from mktn.features.zarr_group import ZarrGroup

AGAIN = "remove it and run `mktn extract-text` again"


class TextStore:
    """`text/{dataset}.zarr` in memory, checked against the pairs it is to belong to.

    offsets (P+1,) int64, sentences (P,D_s) float32, words(row) (L,D_w) float32, attributes.
    Raises UserError when it is missing, damaged, of another format, or made from other pairs.
    """

    def __init__(self, path: str | Path, pair_ids: Iterable[str]) -> None:
        self.path = Path(path)
        if not self.path.exists():
            raise UserError("text store is missing", where=self.path, do="run `mktn extract-text`")
        self._group = ZarrGroup(self.path)
        self.attributes = self._group.attributes
        found, expected = self.attributes.get("pair_ids_sha256"), pair_ids_sha256(pair_ids)
        if found != expected:
            raise UserError(
                "text store of other pairs",
                where=self.path,
                found=f"pair_ids_sha256 {str(found)[:12]}",
                expected=expected[:12],
                do=AGAIN,
            )
        self._check_shape("words", 2)
        self.offsets: np.ndarray = self._array("offsets", 1)
        self.sentences: np.ndarray = self._array("sentences", 2)
        self._check_offsets()

    @cached_property
    def all_words(self) -> np.ndarray:
        """The words of all pairs one after the other, (N,D_w) float32; read when first used."""
        return self._array("words", 2)

    def words(self, row: int) -> np.ndarray:
        """The word vectors of one pair, (L,D_w) float32, by its row in pairs.parquet."""
        return self.all_words[self.offsets[row] : self.offsets[row + 1]]

    def padded_words(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Word vectors (Q,L,D_w) float32, zero where padded, and their mask (Q,L) bool."""
        starts, ends = self.offsets[rows], self.offsets[np.asarray(rows) + 1]
        lengths = ends - starts
        mask = np.arange(lengths.max(initial=0)) < lengths[:, None]
        padded = np.zeros((*mask.shape, self.all_words.shape[1]), dtype=np.float32)
        chosen = [np.arange(start, end) for start, end in zip(starts, ends, strict=True)]
        if chosen:
            padded[mask] = self.all_words[np.concatenate(chosen)]
        return padded, mask

    def __len__(self) -> int:
        return len(self.sentences)

    def _check_offsets(self) -> None:
        """Raise UserError unless each sentence has words, and all words are a sentence's."""
        counts = np.diff(self.offsets)
        words = self._group.array("words").shape[0]
        whole = len(counts) == len(self.sentences) and self.offsets[:1].tolist() == [0]
        if not whole or counts.min(initial=1) < 1 or self.offsets[-1] != words:
            raise UserError(
                "arrays do not belong together",
                where=self.path,
                found=f"{len(self.sentences)} sentences, {words} words, {len(counts)} counts of"
                f" words of which the least is {counts.min(initial=1)}",
                do=AGAIN,
            )

    def _array(self, name: str, dimensions: int) -> np.ndarray:
        self._check_shape(name, dimensions)
        found = self._group.read([name], slice(None))[name]
        # The sums are read through once; a number that is none makes them so.
        if found.dtype.kind == "f" and not np.isfinite(found.sum()):
            raise UserError(
                f"array {name!r} has numbers that are not finite", where=self.path, do=AGAIN
            )
        return found

    def _check_shape(self, name: str, dimensions: int) -> None:
        array = self._group.array(name)
        if array.ndim != dimensions:
            raise UserError(
                f"array {name!r} of another shape",
                where=self.path,
                found=array.shape,
                expected=f"{dimensions} dimensions",
                do=AGAIN,
            )


def pair_ids_sha256(pair_ids: Iterable[str]) -> str:
    """What ties a text store to its pairs: the hash of their ids, one a line."""
    return hashlib.sha256("\n".join(pair_ids).encode()).hexdigest()
