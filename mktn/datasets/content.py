"""What a published file holds: checksum and length, unpacked where a mirror has it as `.gz`."""

import dataclasses
import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path

CHUNK_BYTES = 1 << 20
PAGE = "an HTML page in place of the file (a login, consent or error page)"


@dataclasses.dataclass(frozen=True)
class Content:
    """Checksum and length of what a file holds, not of its packed form."""

    sha256: str
    bytes: int


def content_of(path: Path, packed: bool) -> Content:
    """Checksum and length of the content; raises EOFError, zlib.error, BadGzipFile."""
    digest, count = hashlib.sha256(), 0
    for chunk in _chunks(path, packed):
        digest.update(chunk)
        count += len(chunk)
    return Content(digest.hexdigest(), count)


def is_page(path: Path, packed: bool) -> bool:
    """Whether the content starts as an HTML page does; raises as `content_of`."""
    return is_html(next(_chunks(path, packed), b""))


def is_html(first: bytes) -> bool:
    """Whether these first bytes are those of an HTML page."""
    start = first[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype html", b"<html", b"<head"))


def _chunks(path: Path, packed: bool) -> Iterator[bytes]:
    with gzip.open(path, "rb") if packed else path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
