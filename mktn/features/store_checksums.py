"""`checksums.json` in a Zarr store: bytes and CRC-32C of each of its files.

A codec with a checksum in each chunk halved the rate of reading; a sum of each file is computed
once when it is written and once when a job first reads the file, in one sequential pass that
brings it into the page cache, where the reading finds it.
"""

from collections.abc import Mapping
from pathlib import Path

from mktn.checksums import (
    check,
    damaged,
    file_crc32c,
    note_unverified,
    read_sealed_json,
    write_sealed_json,
)

NAME = "checksums.json"


Sum = tuple[int, str]  # bytes, and CRC-32C in hexadecimal


def summed(path: Path) -> Sum:
    """Bytes and CRC-32C of a file. OSErrors are raised."""
    count, found = file_crc32c(path)
    return count, f"{found:08x}"


def write_checksums(folder: Path, known: Mapping[str, Sum] | None = None) -> None:
    """Write `checksums.json` of a store that is whole: of all its files but hidden ones.

    known: those that were summed when they were written, by their names in the store.
    """
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != NAME and not path.name.startswith("."):
            name = path.relative_to(folder).as_posix()
            files[name] = (known or {}).get(name) or summed(path)
    write_sealed_json({"files": files}, folder / NAME)


class StoreChecksums:
    """The checksums of the store at `path`; `known` is False where it has none.

    Raises UserError where they are damaged themselves.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files: dict[str, Sum] = {}
        beside = path / NAME
        self.known = beside.is_file()
        if not self.known:
            return
        try:
            # Only what has its own checksum can be believed about others.
            if not check(beside.read_bytes(), beside, path):
                raise ValueError("no checksum of its own")
            for name, (count, digits) in read_sealed_json(beside, path)["files"].items():
                self._files[name] = (int(count), str(digits))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise damaged(beside, str(error), "checksums of the store's files", path) from error

    def note_missing(self) -> None:
        """Note a store that an older mktn wrote: it cannot be checked."""
        if not self.known:
            note_unverified(self.path)

    def check(self, name: str) -> int:
        """Check a file by its name in the store; gives its bytes, 0 where nothing is known.

        Raises UserError where it is missing, cannot be read, or is not as it was written.
        """
        if not self.known:
            return 0
        where = self.path / name
        if name not in self._files:
            raise damaged(where, "no checksum", f"one in {NAME}", self.path)
        count, digits = self._files[name]
        try:
            found, crc32c = summed(where)
        except OSError as error:
            expected = f"{count} bytes, crc32c {digits}"
            raise damaged(where, str(error.strerror), expected, self.path) from error
        if found != count:
            raise damaged(where, f"{found} bytes", f"{count} bytes", self.path)
        if crc32c != digits:
            raise damaged(where, f"crc32c {crc32c}", f"crc32c {digits}", self.path)
        return count

    def check_all(self, prefix: str = "") -> int:
        """Check every file whose name begins so; gives their bytes."""
        return sum(self.check(name) for name in self.names(prefix))

    def names(self, prefix: str = "") -> list[str]:
        """The files that have a checksum and whose name begins so."""
        return [name for name in self._files if name.startswith(prefix)]


def is_store(path: Path) -> bool:
    """Whether a folder is a Zarr store, with checksums or without."""
    return (path / "zarr.json").is_file() or (path / NAME).is_file()
