"""One body over http(s): retried with back-off, resumed with Range, its length checked."""

import dataclasses
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
import urllib3

from mktn.datasets.content import CHUNK_BYTES, is_html
from mktn.datasets.http_client import TransferError, TransferSettings, reason
from mktn.files import write_json


class _CutError(Exception):
    """This body ended or stalled; what has come may be continued."""


@dataclasses.dataclass
class Transfer:
    """Bring `url` to the partial file `part`, going on where an earlier run stopped.

    `part` has its url and validators beside it in `part.json`. `expected_bytes` is the known
    length, or None. `checked`: the content's checksum is known, so that bytes of another server
    may be continued. `progress(have, total)` is called as bytes come.
    """

    session: requests.Session
    url: str
    part: Path
    settings: TransferSettings
    expected_bytes: int | None
    checked: bool
    progress: Callable[[int, int | None], None]
    expected_by: str = ""  # who says the known length, where that is not the registry
    resumed: bool = False  # whether bytes of an earlier run or server are in the result
    bounded: bool = True  # whether a body that is cut would have been seen

    def run(self) -> None:
        """Bring the whole body or raise TransferError; what has come stays in `part`."""
        self.resumed = self._resumable() is not None
        most, attempt = _size(self.part), 0
        while True:
            try:
                return self._attempt()
            except (_CutError, urllib3.exceptions.HTTPError) as error:
                have = _size(self.part)
                attempt = 1 if have > most else attempt + 1
                most = max(most, have)
                if attempt >= self.settings.attempts:
                    raise TransferError(f"{reason(error)}, {attempt} times in a row") from error
                self._back_off(attempt)
            except requests.RequestException as error:
                gone = isinstance(error, requests.ConnectionError)
                raise TransferError(reason(error), unreachable=gone) from error

    def _back_off(self, attempt: int) -> None:
        wait_s = self.settings.backoff_s * 2 ** (attempt - 1)
        time.sleep(min(wait_s, self.settings.longest_backoff_s))

    def _attempt(self) -> None:
        headers = self._resumable()
        offset = 0 if headers is None else _size(self.part)
        timeout = (self.settings.connect_s, self.settings.read_s)
        with self.session.get(self.url, headers=headers, stream=True, timeout=timeout) as response:
            if response.status_code == 416:
                return self._beyond_the_end(response, offset)
            if response.status_code not in (200, 206):
                why = f"status {response.status_code} {response.reason or ''}".strip()
                raise TransferError(why, status=response.status_code)
            offset, total = self._promised(response, offset)
            self._refuse(response, total)
            self._receive(response, offset, total)

    def _resumable(self) -> dict[str, str] | None:
        """The headers that continue what is there, or None where it must start afresh."""
        have = _size(self.part)
        if have == 0:
            return None
        known = _read_known(self.part)
        validator = known.get("etag") or known.get("last_modified")
        if known.get("url") == self.url and validator:
            return {"Range": f"bytes={have}-", "If-Range": str(validator)}
        return {"Range": f"bytes={have}-"} if self.checked else None

    def _promised(self, response: requests.Response, offset: int) -> tuple[int, int | None]:
        """Where the body starts and the file's length, as the server says."""
        length = response.headers.get("Content-Length", "")
        if response.status_code == 200:
            return 0, int(length) if length.isdigit() else None
        given = re.fullmatch(
            r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "")
        )
        if given is None or int(given[1]) != offset:
            self._drop()
            raise _CutError("another part came than was asked for")
        return offset, None if given[2] == "*" else int(given[2])

    def _refuse(self, response: requests.Response, total: int | None) -> None:
        """TransferError where the headers already say that this is not the file."""
        kind = response.headers.get("Content-Type", "")
        if kind.lower().startswith("text/html"):
            raise TransferError(_HTML)
        coding = response.headers.get("Content-Encoding", "identity")
        # Servers call a packed file encoded; what comes is read raw and is the file itself.
        packed = self.part.name.endswith((".gz.part", ".tgz.part"))
        if coding != "identity" and not (packed and coding.lower() in ("gzip", "x-gzip")):
            raise TransferError(f"the body is encoded ({coding}) although that was not asked for")
        expected = self.expected_bytes
        if total is not None and expected is not None and total != expected:
            raise TransferError(
                f"the server says {total} bytes, {expected} are expected{self.expected_by}"
            )

    def _beyond_the_end(self, response: requests.Response, offset: int) -> None:
        """Status 416: all is there already, or what is there is not of this file."""
        if response.headers.get("Content-Range", "") == f"bytes */{offset}":
            return
        self._drop()
        raise _CutError("the server has fewer bytes than were there")

    def _receive(self, response: requests.Response, offset: int, total: int | None) -> None:
        end = total if total is not None else self.expected_bytes
        have = offset
        slow = _Stall(self.settings)
        # read1 gives what has come, so that a trickle is seen and kept; read would block.
        chunk = response.raw.read1(CHUNK_BYTES, decode_content=False)
        if offset == 0 and is_html(chunk):
            raise TransferError(_HTML)
        self._remember(response, total)
        with self.part.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            while chunk:
                have += len(chunk)
                if end is not None and have > end:
                    file.truncate(0)
                    raise TransferError(
                        f"more than the {end} bytes that are expected{self.expected_by}"
                    )
                file.write(chunk)
                # A killed process leaves what has come, for the next to go on from.
                file.flush()
                self.progress(have, end)
                slow.check(len(chunk))
                chunk = response.raw.read1(CHUNK_BYTES, decode_content=False)
        if have < (end or 1):
            raise _CutError(f"the body ends at {have} of {end or 'unknown'} bytes")
        chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
        self.bounded = end is not None or chunked

    def _remember(self, response: requests.Response, total: int | None) -> None:
        etag = response.headers.get("ETag", "")
        known = {
            "url": self.url,
            # A weak ETag may not be used for ranges.
            "etag": "" if etag.startswith("W/") else etag,
            "last_modified": response.headers.get("Last-Modified", ""),
            "bytes": total,
        }
        write_json(known, known_beside(self.part))

    def _drop(self) -> None:
        self.part.unlink(missing_ok=True)
        self.resumed = False


_HTML = "an HTML page came with status 200 in place of the file (a login, consent or error page)"


class _Stall:
    """Raises _CutError where less than the slowest speed came over a window of time."""

    def __init__(self, settings: TransferSettings) -> None:
        self.settings = settings
        self.since, self.bytes = time.monotonic(), 0

    def check(self, count: int) -> None:
        self.bytes += count
        elapsed = time.monotonic() - self.since
        if elapsed < self.settings.stall_s:
            return
        if self.bytes < self.settings.slowest_bytes_per_s * elapsed:
            raise _CutError(f"only {self.bytes} bytes came in {elapsed:.3g} s")
        self.since, self.bytes = time.monotonic(), 0


def known_beside(part: Path) -> Path:
    """Where the url and validators of a partial file stand."""
    return part.with_name(part.name + ".json")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _read_known(part: Path) -> dict[str, Any]:
    try:
        known = json.loads(known_beside(part).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
