"""What readers of published features share: formats, headers, errors, the interface."""

import dataclasses
from collections.abc import Iterator
from typing import Literal, Protocol

import numpy as np

Format = Literal["hdf5", "npy", "npz", "pt"]
SUFFIXES: dict[str, Format] = {
    ".hdf5": "hdf5", ".h5": "hdf5", ".npy": "npy", ".npz": "npz", ".pt": "pt", ".pth": "pt",
}  # fmt: skip


class FeatureError(Exception):
    """What is wrong with the features of one video, in a line."""


class Missing(FeatureError):
    """The file has nothing under this name."""


@dataclasses.dataclass(frozen=True)
class Header:
    """The shape and the dtype's name of stored features."""

    shape: tuple[int, ...]
    dtype: str

    @property
    def row_bytes(self) -> int:
        itemsize = 2 if self.dtype == "bfloat16" else np.dtype(self.dtype).itemsize
        return max(1, itemsize * int(np.prod(self.shape[1:])))


class FeatureFile(Protocol):
    """An open file. A place is a path in an HDF5 file, a key of an npz or pt, "" of an npy."""

    def header(self, place: str) -> Header:
        """What is there. Raises Missing or FeatureError."""

    def slices(self, place: str) -> Iterator[np.ndarray]:
        """The values, some rows at a time, in the order of the rows. Raises FeatureError."""

    def places(self) -> list[str]:
        """The first few names of the file; [""] when its content has none."""

    def close(self) -> None: ...
