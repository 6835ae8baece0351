"""Reading `text/{dataset}.zarr`: the word and sentence vectors of all queries.

Shape legend: P pairs, N words of all pairs together, D_w word vector, D_s sentence vector,
Q queries of a batch, L words of the longest.
"""

import hashlib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import numpy as np
import zarr
from zarr.errors import GroupNotFoundError

from mktn.errors import UserError
from mktn.features.store_checksums import StoreChecksums

FORMAT = 1


class TextStore:
    """`text/{dataset}.zarr` in memory, checked against the pairs it is to belong to.

    offsets (P+1,) int64, sentences (P,D_s) float32, words(row) (L,D_w) float32, attributes.
    Raises UserError when it is missing, damaged, of another format, or made from other pairs.
    """

    def __init__(self, path: str | Path, pair_ids: Iterable[str]) -> None:
        self.path = Path(path)
        self._checksums = StoreChecksums(self.path)
        self._checksums.check("zarr.json")
        try:
            self._group = zarr.open_group(self.path, mode="r", zarr_format=3)
        except (OSError, GroupNotFoundError) as error:
            raise UserError(
                "text store is missing", where=self.path, do="run `mktn extract-text`"
            ) from error
        self.attributes = dict(self._group.attrs)
        if self.attributes.get("format") != FORMAT:
            raise UserError(
                "store written by another version",
                where=self.path,
                found=f"format {self.attributes.get('format')!r}",
                expected=f"format {FORMAT}",
                do="remove it and run `mktn extract-text` again",
            )
        found, expected = self.attributes.get("pair_ids_sha256"), pair_ids_sha256(pair_ids)
        if found != expected:
            raise UserError(
                "text store of other pairs",
                where=self.path,
                found=f"pair_ids_sha256 {str(found)[:12]}",
                expected=expected[:12],
                do="remove it and run `mktn extract-text` again",
            )
        self._checksums.note_missing()
        self.offsets: np.ndarray = self._array("offsets")
        self.sentences: np.ndarray = self._array("sentences")

    @cached_property
    def all_words(self) -> np.ndarray:
        """The words of all pairs one after the other, (N,D_w) float32; read when first used."""
        return self._array("words")

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

    def _array(self, name: str) -> np.ndarray:
        self._checksums.check_all(f"{name}/")
        try:
            array = self._group[name]
        except KeyError as error:
            raise UserError(
                "array is missing",
                where=self.path,
                expected=name,
                do="remove it and run `mktn extract-text` again",
            ) from error
        return np.asarray(array)


def pair_ids_sha256(pair_ids: Iterable[str]) -> str:
    """What ties a text store to its pairs: the hash of their ids, one a line."""
    return hashlib.sha256("\n".join(pair_ids).encode()).hexdigest()
