"""The http client of downloads: how patient it is, what it retries, its errors in few words."""

import dataclasses
import re
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

RETRIED_STATUS = (408, 429, 500, 502, 503, 504)


@dataclasses.dataclass(frozen=True)
class TransferSettings:
    """How patient a transfer is."""

    connect_s: float = 20.0
    read_s: float = 60.0  # without a byte
    attempts: int = 6  # in a row that bring nothing new
    backoff_s: float = 1.0  # doubled from one attempt to the next
    longest_backoff_s: float = 60.0
    longest_wait_s: float = 600.0  # a server that asks for more is left
    slowest_bytes_per_s: float = 1000.0  # below it, over stall_s, the connection is cut
    stall_s: float = 60.0
    report_s: float = 30.0  # between lines of progress where there is no terminal

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError("attempts below 1")


class TransferError(Exception):
    """An address did not give the file: the message says why, briefly."""

    def __init__(self, why: str, status: int | None = None, unreachable: bool = False) -> None:
        super().__init__(why)
        self.status = status
        self.unreachable = unreachable


class _BoundedRetry(Retry):
    """urllib3's Retry that gives up where it is told to wait too long, and never comes early."""

    longest_wait_s = 600.0

    def new(self, **changes: Any) -> "_BoundedRetry":
        other = super().new(**changes)
        other.longest_wait_s = self.longest_wait_s
        return other

    def get_retry_after(self, response: Any) -> float | None:
        wait_s = super().get_retry_after(response)
        if wait_s is not None and wait_s > self.longest_wait_s:
            raise TransferError(
                f"status {response.status}, asks to wait {wait_s:.0f} s (at most"
                f" {self.longest_wait_s:.0f} s are waited)"
            )
        return wait_s


def new_session(settings: TransferSettings) -> requests.Session:
    """A session that retries connections and busy answers, and respects Retry-After."""
    retry = _BoundedRetry(
        total=settings.attempts + 10,
        # A host that is not there rarely comes back within seconds.
        connect=min(2, settings.attempts - 1),
        read=settings.attempts - 1,
        status=settings.attempts - 1,
        redirect=10,
        backoff_factor=settings.backoff_s,
        backoff_max=settings.longest_backoff_s,
        status_forcelist=RETRIED_STATUS,
        allowed_methods={"GET"},
        raise_on_status=False,
    )
    retry.longest_wait_s = settings.longest_wait_s
    session = requests.Session()
    # Bodies are checksummed as stored, and a Range counts stored bytes.
    session.headers.update({"Accept-Encoding": "identity", "User-Agent": "mktn download"})
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session


def reason(error: BaseException) -> str:
    """An http client's error in few words, without addresses of objects."""
    inner: Any = error
    while inner.args and isinstance(inner.args[0], BaseException):
        inner = inner.args[0]
    inner = getattr(inner, "reason", None) or inner
    if isinstance(inner, urllib3.exceptions.NameResolutionError):
        return "the host's name is not known here"
    if isinstance(inner, urllib3.exceptions.NewConnectionError):
        # It counts as a ConnectTimeoutError too, so it is asked for first.
        return "no connection"
    if isinstance(inner, urllib3.exceptions.ConnectTimeoutError):
        return "no connection in time"
    if isinstance(inner, urllib3.exceptions.ReadTimeoutError):
        return "no byte in time"
    text = str(inner) or type(inner).__name__
    return re.sub(r"<[^>]*>:? ?", "", text).strip("() ")[:160]
