"""Readers of the files in which peers publish video features: HDF5, npz, npy, pt.

Each gives, for a place in a file, the shape and the dtype without reading the values, and the
values in slices of rows. What is wrong with one video is a FeatureError of one line; a file that
cannot be opened at all too. Nothing is unpickled.
"""

import contextlib
import pickle
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from mktn.features.stored_features import FeatureError, FeatureFile, Format, Header, Missing

if TYPE_CHECKING:
    import torch

SLICE_BYTES = 16 * 2**20
# A file of tensors is mapped, and the pages that were read count as memory until it is closed.
MAPPED_BYTES = 256 * 2**20


def open_file(path: Path, kind: Format) -> FeatureFile:
    """Open one file. Raises FeatureError when it is no such file or is damaged."""
    readers: dict[str, Callable[[Path], FeatureFile]] = {
        "hdf5": Hdf5File,
        "npy": NpyFile,
        "npz": NpzFile,
        "pt": TensorFile,
    }
    return readers[kind](path)


class Hdf5File:
    """HDF5: a dataset a video, anywhere in the file."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = h5py.File(path, "r")
        except (OSError, ValueError) as error:
            raise FeatureError(f"not a whole HDF5 file ({_line(error)})") from error

    def _dataset(self, place: str) -> h5py.Dataset:
        try:
            found = self._file.get(place) if place else self._only()
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            raise FeatureError(f"cannot be read ({_line(error)})") from error
        if found is None:
            raise Missing(f"not in the file: {place}")
        if not isinstance(found, h5py.Dataset):
            inside = ", ".join(list(found)[:3])
            raise FeatureError(f"{place} is a group with {inside}: set key to '{{name}}/...'")
        return found

    def _only(self) -> Any:
        if len(self._file) != 1:
            raise FeatureError(f"{len(self._file)} entries in the file: set key")
        return self._file[next(iter(self._file))]

    def header(self, place: str) -> Header:
        dataset = self._dataset(place)
        return Header(_shape(dataset), str(dataset.dtype))

    def slices(self, place: str) -> Iterator[np.ndarray]:
        dataset = self._dataset(place)
        rows = max(1, SLICE_BYTES // Header(dataset.shape, str(dataset.dtype)).row_bytes)
        if dataset.chunks is not None:
            # A chunk that is cut would be decompressed twice.
            rows = max(1, rows // dataset.chunks[0]) * dataset.chunks[0]
        for first in range(0, len(dataset), rows):
            try:
                values = dataset[first : first + rows]
            except (OSError, ValueError, RuntimeError) as error:
                raise FeatureError(f"cannot be read ({_line(error)})") from error
            yield values

    def places(self) -> list[str]:
        return [name for name, _ in zip(self._file, range(3), strict=False)]

    def close(self) -> None:
        self._file.close()


class NpyFile:
    """One array, the features of one video."""

    def __init__(self, path: Path) -> None:
        try:
            self._array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            # Of what is no array NumPy says how to unpickle it, which nobody should.
            if not _begins(path, b"\x93NUMPY"):
                raise FeatureError("not a .npy file") from error
            if "Python objects" in str(error):
                raise FeatureError("dtype object: pickled, and not read") from error
            raise FeatureError(f"not a whole .npy file ({_line(error)})") from error

    def header(self, place: str) -> Header:
        if not isinstance(self._array, np.ndarray):
            raise FeatureError("not a .npy file")
        return Header(_shape(self._array), str(self._array.dtype))

    def slices(self, place: str) -> Iterator[np.ndarray]:
        yield from _slices(self._array, self.header(place))

    def places(self) -> list[str]:
        return []

    def close(self) -> None:
        del self._array


class NpzFile:
    """Named arrays; the value of one is read whole, as it may be compressed."""

    def __init__(self, path: Path) -> None:
        try:
            self._arrays = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            if not _begins(path, b"PK"):
                raise FeatureError("not an .npz file") from error
            raise FeatureError(f"not a whole .npz file ({_line(error)})") from error
        if isinstance(self._arrays, np.ndarray):
            raise FeatureError("not an .npz file but a .npy")

    def _member(self, place: str) -> str:
        names = self._arrays.files
        if not place and len(names) != 1:
            raise FeatureError(f"{len(names)} arrays in the file ({_few(names)}): set key")
        if place and place not in names:
            raise Missing(f"not in the file: {place}")
        return place or names[0]

    def header(self, place: str) -> Header:
        name = self._member(place)
        with _reading_npz():
            archive = self._arrays.zip
            inside = f"{name}.npy" if f"{name}.npy" in archive.namelist() else name
            with archive.open(inside) as stream:
                version = np.lib.format.read_magic(stream)
                read = {
                    (1, 0): np.lib.format.read_array_header_1_0,
                    (2, 0): np.lib.format.read_array_header_2_0,
                }.get(version)
                if read is not None:
                    shape, _, dtype = read(stream)
                    return Header(tuple(shape), str(dtype))
            array = self._arrays[name]
            return Header(_shape(array), str(array.dtype))

    def slices(self, place: str) -> Iterator[np.ndarray]:
        name = self._member(place)
        with _reading_npz():
            array = self._arrays[name]
        yield from _slices(array, Header(_shape(array), str(array.dtype)))

    def places(self) -> list[str]:
        return list(self._arrays.files[:3])

    def close(self) -> None:
        self._arrays.close()


class TensorFile:
    """A tensor, or a mapping of names to tensors, loaded with weights_only=True."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._load()

    def _load(self) -> None:
        # Torch takes more memory than all else here, and other formats do without.
        import torch

        self._read = 0
        # What torch wrote before its zip format cannot be mapped: a small one is read whole.
        mapped = zipfile.is_zipfile(self.path)
        if not mapped and self.path.is_file() and self.path.stat().st_size > MAPPED_BYTES:
            raise FeatureError("not in torch's zip format: save it again with torch.save")
        try:
            found = torch.load(self.path, map_location="cpu", weights_only=True, mmap=mapped)
        except pickle.UnpicklingError as error:
            raise FeatureError("damaged, or holds more than tensors (pickle)") from error
        except (
            *(OSError, RuntimeError, EOFError, ValueError, LookupError, TypeError),
            AttributeError,
        ) as error:
            raise FeatureError(f"not a whole pt file ({_line(error)})") from error
        self._tensors = found if isinstance(found, dict) else {"": found}

    def _tensor(self, place: str) -> "torch.Tensor":
        import torch

        if not place and len(self._tensors) != 1:
            raise FeatureError(
                f"{len(self._tensors)} tensors in the file ({_few(self._tensors)}): set key"
            )
        if place and place not in self._tensors:
            raise Missing(f"not in the file: {place}")
        tensor = self._tensors[place] if place else next(iter(self._tensors.values()))
        if not isinstance(tensor, torch.Tensor):
            raise FeatureError(f"a {type(tensor).__name__}, no tensor")
        if tensor.layout != torch.strided:
            raise FeatureError(f"a tensor of layout {tensor.layout}, expected a dense one")
        return tensor.detach()

    def header(self, place: str) -> Header:
        tensor = self._tensor(place)
        return Header(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))

    def slices(self, place: str) -> Iterator[np.ndarray]:
        if self._read > MAPPED_BYTES:
            self._load()
        tensor, header = self._tensor(place), self.header(place)
        self._read += tensor.numel() * tensor.element_size()
        rows = max(1, SLICE_BYTES // header.row_bytes)
        for first in range(0, len(tensor), rows):
            try:
                values = tensor[first : first + rows]
                # NumPy has no bfloat16.
                array = (values.float() if header.dtype == "bfloat16" else values).numpy()
            except (RuntimeError, TypeError) as error:
                raise FeatureError(f"cannot be read ({_line(error)})") from error
            yield array

    def places(self) -> list[str]:
        return [str(name) for name in self._tensors][:3]

    def close(self) -> None:
        self._tensors = {}


def _slices(array: np.ndarray, header: Header) -> Iterator[np.ndarray]:
    rows = max(1, SLICE_BYTES // header.row_bytes)
    for first in range(0, len(array), rows):
        yield array[first : first + rows]


def _shape(array: Any) -> tuple[int, ...]:
    return () if array.shape is None else tuple(int(size) for size in array.shape)


@contextlib.contextmanager
def _reading_npz() -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise FeatureError(f"cannot be read ({_line(error)})") from error


def _begins(path: Path, magic: bytes) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(len(magic)) == magic
    except OSError:
        return False


def _few(names: Any) -> str:
    listed = [str(name) for name in names]
    return ", ".join(listed[:3]) + (", ..." if len(listed) > 3 else "")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
