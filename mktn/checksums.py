"""CRC-32C of files, and files that carry their own: Parquet, safetensors and JSON.

Such a file holds, somewhere in its metadata, the text `mktn-crc32c:` and eight hexadecimal
digits: the CRC-32C of the whole file with these digits as zeros. The file stays an ordinary one
of its kind, and no byte of it can change unseen: one in the text before the digits leaves a file
without a checksum, which is told when it is read, and all others give another sum.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mktn.errors import UserError
from mktn.files import write_bytes

KEY = "checksum"  # in JSON, and in the metadata of Parquet and safetensors
UNSEALED = "mktn-crc32c:00000000"  # what stands there until `sealed` has filled it in
_SEAL = re.compile(rb"mktn-crc32c:(.{8})", re.DOTALL)
SHOWN = 3  # files named in one line
BLOCK_BYTES = 2**20  # small enough for the processor's cache: read and summed in one go

_unverified: dict[str, None] = {}


def crc32c(data: Any, before: int = 0) -> int:
    """The CRC-32C of bytes, going on from the sum `before` of those in front of them."""
    import google_crc32c

    return int(google_crc32c.extend(before, data))


def file_crc32c(path: str | Path) -> tuple[int, int]:
    """Bytes and CRC-32C of a file, read once from its start. OSErrors are raised."""
    import numpy as np

    block = np.empty(BLOCK_BYTES, np.uint8)
    count, found = 0, 0
    with open(path, "rb", buffering=0) as stream:
        while read := stream.readinto(block):
            count += read
            found = crc32c(block[:read], found)
    return count, found


def sealed(data: bytes) -> bytes:
    """`data`, which holds `UNSEALED` once, with its checksum in there."""
    first, last = _digits(data)
    return data[:first] + b"%08x" % crc32c(data) + data[last:]


def seal(path: str | Path) -> None:
    """Fill the checksum of the file in, which holds `UNSEALED` in its first or last MiB."""
    path = Path(path)
    with path.open("r+b") as stream:
        head = stream.read(BLOCK_BYTES)
        first, _ = _digits(head)
        stream.seek(first)
        stream.write(b"%08x" % file_crc32c(path)[1])


def _digits(data: bytes) -> tuple[int, int]:
    found = list(_SEAL.finditer(data))
    if len(found) != 1 or found[0][0] != UNSEALED.encode():
        raise ValueError(f"{len(found)} places for a checksum, expected one that is not filled in")
    return found[0].span(1)


def check(data: bytes, path: str | Path, delete: str | Path | None = None) -> bool:
    """Whether the bytes of the file `path` have a checksum; UserError where it is another.

    delete: what Snakemake has to make again, where that is not the file.
    """
    seal = _SEAL.search(data)
    if seal is None:
        return False
    zeros = data[: seal.start(1)], b"0" * 8, data[seal.end(1) :]
    found = 0
    for part in zeros:
        found = crc32c(part, found)
    if seal[1] != b"%08x" % found:
        raise damaged(path, f"crc32c {found:08x}", f"crc32c {_shown(seal[1])}", delete)
    return True


def write_sealed_json(value: Mapping[str, Any], target: str | Path) -> None:
    """Write a JSON object with its checksum in front, in one step; NaN is refused."""
    text = json.dumps({KEY: UNSEALED, **value}, indent=2, allow_nan=False) + "\n"
    write_bytes(sealed(text.encode()), target)


def read_sealed_json(path: str | Path, delete: str | Path | None = None) -> Any:
    """The value of a JSON file, without its checksum; one that has none is noted.

    Raises UserError where the checksum is another, OSError or ValueError where it is no JSON.
    """
    data = Path(path).read_bytes()
    known = check(data, path, delete)
    value = json.loads(data.decode("utf-8"))
    if not known:
        note_unverified(path)
    if isinstance(value, dict):
        value.pop(KEY, None)
    return value


def damaged(path: object, found: str, expected: str, delete: object = None) -> UserError:
    """The error of a file that is not as it was written."""
    # By name: Snakemake does not miss a file that only finished results were made from.
    again = delete or path
    return UserError(
        "damaged file", where=path, found=found, expected=expected,
        do=f"delete {again} and ask for it: snakemake --cores N {again}",
    )  # fmt: skip


def note_unverified(path: str | Path) -> None:
    """Remember a file that was read without a checksum, for the line of `unverified`."""
    _unverified[os.fspath(path)] = None


def unverified() -> str:
    """One line on the files that were read without a checksum since the last call, or nothing."""
    names = list(_unverified)
    _unverified.clear()
    if not names:
        return ""
    shown = ", ".join(names[:SHOWN]) + (", ..." if names[SHOWN:] else "")
    return f"{len(names)} read without a checksum, so that damage would not be seen: {shown}"


def _shown(digits: bytes) -> str:
    return digits.decode("ascii", "backslashreplace")
