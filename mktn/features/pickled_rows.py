"""Rows of a `.npy` whose header says object, read without unpickling anything.

The published skip-thought tables are such files: NumPy under Python 2 wrote a list of separate
float32 arrays of 620 numbers, some of shape (620,) and some (1,620), as pickle protocol 2. Their
numbers stand in the file one row after the other, each behind the opcode of a byte string, so
that their places can be found and the rest of the pickle, which could run code, is left alone.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mktn.errors import UserError

BLOCK_BYTES = 1 << 24  # looked through at once
MOST_BETWEEN = 512  # bytes of opcodes before a row; about 36, more where the file begins


class PickledRows:
    """A table (rows, width) of float32 in such a file; only the rows that are asked for are read.

    `table[[3, 5]]` is (2, width) float32, as with a memory map. Opening it passes over the file
    once. Raises UserError when the file is not as described above.
    """

    def __init__(self, path: str | Path, width: int) -> None:
        self.path = Path(path)
        with self.path.open("rb") as stream:
            version = np.lib.format.read_magic(stream)
            if version != (1, 0):
                raise self._refused(f"format {version}", "format (1, 0)")
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
            if not dtype.hasobject or len(shape) != 1:
                raise self._refused(f"{dtype} {shape}", "a list of arrays")
            self.shape = (shape[0], width)
            self._offsets = self._places(stream.tell())
        # Not a memory map: the system maps the neighbours of each row that is touched.
        self._file = self.path.open("rb", buffering=0)

    def __getitem__(self, rows: Sequence[int]) -> np.ndarray:
        size = 4 * self.shape[1]
        starts = self._offsets[np.asarray(rows, dtype=np.int64)].tolist()
        found = b"".join(os.pread(self._file.fileno(), size, start) for start in starts)
        return np.frombuffer(found, "<f4").reshape(len(starts), self.shape[1])

    def _places(self, first: int) -> np.ndarray:
        """Where the numbers of each row begin, (rows,) int64."""
        count, width = self.shape
        size = 4 * width
        before = b"T" + size.to_bytes(4, "little")  # BINSTRING and its length
        width_opcode = b"M" + width.to_bytes(2, "little") if width > 255 else bytes([75, width])
        offsets = np.zeros(count, dtype=np.int64)
        with self.path.open("rb") as stream:
            stream.seek(first)
            held, start = b"", first  # bytes at hand, and where they begin in the file
            at = 0  # in `held`, where the row before ended
            for row in range(count):
                if at + MOST_BETWEEN > len(held):
                    start += at
                    stream.seek(start)
                    held, at = stream.read(BLOCK_BYTES), 0
                found = held.find(before, at, at + MOST_BETWEEN)
                opcodes = held[at:found]
                if found < 0 or width_opcode not in opcodes:
                    raise self._refused(
                        f"row {row} of {count} is not at byte {start + at}",
                        f"{width} numbers of 4 bytes as Python 2 pickled them",
                    )
                if row == 0 and not (b"f4" in opcodes and b"<" in opcodes):
                    raise self._refused("numbers of another type", "little-endian float32")
                offsets[row] = start + found + len(before)
                at = found + len(before) + size
            stream.seek(start + at)
            rest = stream.read(MOST_BETWEEN)
        if not rest.endswith(b".") or len(rest) == MOST_BETWEEN:
            raise self._refused(f"row {count} is cut short or not the last", "a whole file")
        return offsets

    def _refused(self, found: str, expected: str) -> UserError:
        return UserError(
            "table of word vectors cannot be read",
            where=self.path,
            found=found,
            expected=expected,
            do="bring the file again, or save it as a plain float32 .npy",
        )
