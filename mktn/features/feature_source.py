"""The features of each video in a published file or a folder of files: checked, and in float16.

Shape legend: n rows of a video, D feature, C = h*w patches of a row.
"""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mktn.errors import UserError
from mktn.features.feature_files import open_file
from mktn.features.import_settings import ImportSettings
from mktn.features.stored_features import (
    SUFFIXES,
    FeatureError,
    FeatureFile,
    Format,
    Header,
    Missing,
)

FLOATS = ("float16", "float32", "float64", "bfloat16")
FLOAT16_MAX = float(np.finfo(np.float16).max)


class FeatureSource:
    """One file with all videos, one file of one video, or a folder with a file a video.

    path; kind: the format, or None to tell it by the suffix. `one_video`: a file holds one video.
    Raises UserError when there is nothing at path, its format cannot be told, or a single file
    cannot be opened.
    """

    def __init__(self, path: Path, kind: Format | None, settings: ImportSettings) -> None:
        self.path, self.settings = path, settings
        if not path.exists():
            raise UserError("no such file or folder", where=path, do="give --from")
        self.folder = path.is_dir()
        self.kind: Format = kind or (_kind_in(path, settings) if self.folder else _kind_of(path))
        # A key that is the same for every video, and an npy, leave room for one video only.
        fixed = bool(settings.key) and "{" not in settings.key
        self.one_video = self.folder or fixed or self.kind == "npy"
        self._file: FeatureFile | None = None
        if not self.folder:
            try:
                self._file = open_file(path, self.kind)
            except FeatureError as error:
                raise UserError(
                    "feature file cannot be opened", where=path, found=error,
                    expected=self.kind, do="download it again, or state --format",
                ) from error  # fmt: skip
            self.one_video = self.one_video or self._file.places() == [""]

    def file_of(self, video_id: str) -> Path | None:
        """The file that is to hold a video; None when the only file is of another."""
        if not self.one_video:
            return self.path
        name = self.settings.name_of(video_id)
        if not self.folder:
            return self.path if self.path.stem in (name, video_id) else None
        found = [self.path / f"{name}{suffix}" for suffix, k in SUFFIXES.items() if k == self.kind]
        return next((path for path in found if path.is_file()), None)

    def header(self, video_id: str) -> Header:
        """Shape and dtype of a video's features. Raises Missing or FeatureError."""
        with _Opened(self, video_id) as (file, place):
            try:
                return file.header(place)
            except Missing:
                if not self.one_video:
                    raise
                # The video is there: it is the key that is wrong.
                found = ", ".join(file.places())
                raise FeatureError(f"no {place!r} in its file, found {found}") from None

    def rows(self, header: Header) -> int:
        """n, when shape and dtype are what the settings say. Raises FeatureError."""
        dimension, grid = self.settings.dimension, self.settings.patches
        if header.dtype not in FLOATS and header.dtype.lstrip("<>=") not in ("f2", "f4", "f8"):
            hint = ": pickled, and not read" if header.dtype == "object" else ""
            raise FeatureError(f"dtype {header.dtype}{hint}, expected {', '.join(FLOATS)}")
        shape = header.shape
        if shape and shape[0] == 0:
            raise FeatureError("no rows")
        if grid:
            tails = [(grid[0] * grid[1], dimension), (*grid, dimension)]
            expected = f"(n,{tails[0][0]},{dimension}) or (n,{grid[0]},{grid[1]},{dimension})"
        else:
            tails, expected = [(dimension,)], f"(n,{dimension})"
            # (n,1,1,D) is how fully convolutional networks leave it.
            if len(shape) > 2 and set(shape[1:-1]) == {1}:
                shape = (shape[0], shape[-1])
        if shape[1:] in tails:
            return shape[0]
        turned = len(shape) > 1 and shape[-1] != dimension and dimension in shape[:2]
        what = "transposed" if turned else "another shape"
        where = f"({','.join(map(str, header.shape))})"
        raise FeatureError(f"{what}: found {where}, expected {expected}")

    def read(self, video_id: str) -> tuple[np.ndarray, np.ndarray | None]:
        """features (n,D) and patches (n,C,D) or None, float16; features of maps are their mean.

        Holds the float16 values and a slice of the file (of an npz the whole array of a video).
        Raises FeatureError on what cannot be read, is not finite, or has no place in float16.
        """
        grid = self.settings.patches
        n = self.rows(self.header(video_id))
        with _Opened(self, video_id) as (file, place):
            tail = (grid[0] * grid[1], self.settings.dimension) if grid else (-1,)
            width = (self.settings.dimension,)
            features = np.empty((n, *width), np.float16)
            patches = np.empty((n, *tail), np.float16) if grid else None
            first = 0
            for values in file.slices(place):
                _check(values, first)
                rows = slice(first, first + len(values))
                if patches is None:
                    features[rows] = values.reshape(len(values), -1)
                else:
                    patches[rows] = values.reshape(len(values), *tail)
                    features[rows] = values.reshape(len(values), *tail).mean(1, dtype=np.float32)
                first += len(values)
        if first != n:
            raise FeatureError(f"{first} rows, where the header says {n}")
        return features, patches

    def names(self) -> list[str]:
        """A few names that are there, for a message."""
        if self.folder:
            files = (path.name for path in self.path.iterdir() if SUFFIXES.get(path.suffix))
            return sorted(files)[:3]
        return [self.path.name] if self.one_video or self._file is None else self._file.places()

    def sha256(self, video_ids: Iterable[str]) -> str:
        """Of a single file; of a folder that of the names and sizes of the videos' files."""
        if not self.folder:
            if self.settings.sha256 is not None:
                return self.settings.sha256
            with self.path.open("rb") as stream:
                return hashlib.file_digest(stream, "sha256").hexdigest()
        digest = hashlib.sha256()
        for path in sorted(filter(None, map(self.file_of, video_ids))):
            digest.update(f"{path.relative_to(self.path)} {path.stat().st_size}\n".encode())
        return digest.hexdigest()


class _Opened:
    """The file of a video and the place in it; a file of its own is closed again."""

    def __init__(self, source: FeatureSource, video_id: str) -> None:
        self._source, self._video_id = source, video_id

    def __enter__(self) -> tuple[FeatureFile, str]:
        source = self._source
        path = source.file_of(self._video_id)
        if path is None:
            name = source.settings.name_of(self._video_id)
            raise Missing(f"not in the {'folder' if source.folder else 'file'}: {name}")
        self._file = source._file or open_file(path, source.kind)
        return self._file, source.settings.place_of(self._video_id, source.one_video)

    def __exit__(self, *_: object) -> None:
        if self._source._file is None:
            self._file.close()


def _check(values: np.ndarray, first: int) -> None:
    """Refuse what float16 cannot hold, naming the first such row."""
    low, high = float(values.min()), float(values.max())  # of a NaN both are NaN
    if low >= -FLOAT16_MAX and high <= FLOAT16_MAX:
        return
    flat = values.reshape(len(values), -1)
    finite = np.isfinite(flat)
    if not finite.all():
        row = first + int(np.argmin(finite.all(1)))
        raise FeatureError(f"{int((~finite).sum())} values are NaN or infinite from row {row} on")
    large = np.abs(flat) > FLOAT16_MAX
    row = int(np.argmax(large.any(1)))
    value = flat[row][large[row]][0]
    raise FeatureError(f"{value:g} in row {first + row} is beyond float16 ({FLOAT16_MAX:g})")


def _kind_of(path: Path) -> Format:
    kind = SUFFIXES.get(path.suffix.lower())
    if kind is None:
        raise UserError(
            "format of the features unknown", where=path, found=path.suffix or "no suffix",
            expected=", ".join(SUFFIXES), do="state --format",
        )  # fmt: skip
    return kind


def _kind_in(folder: Path, settings: ImportSettings) -> Format:
    # A name may hold a folder.
    within = folder / Path(settings.name.replace("{video_id}", "x")).parent
    kinds: dict[Format, str] = {}
    for path in sorted(within.iterdir()) if within.is_dir() else []:
        if path.suffix in SUFFIXES:
            kinds.setdefault(SUFFIXES[path.suffix], path.name)
    if len(kinds) != 1:
        raise UserError(
            "format of the features unknown", where=within,
            found=", ".join(kinds.values()) or "no such file", expected=", ".join(SUFFIXES),
            do="state --format" if kinds else "give the folder with the files",
        )  # fmt: skip
    return next(iter(kinds))
