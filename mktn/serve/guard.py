"""What stands before every request: the name asked for, the page that asks, the size of a body."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from mktn.serve.hosts import accepted, same_origin

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

BODY_BYTES = 2**20  # of anything but an upload, which counts for itself
UPLOAD = "/upload/"
PAGES = ("/", "/favicon.ico")
FOLDERS = (UPLOAD, "/media/", "/assets/", "/_nicegui/", "/_nicegui_ws/")
# Vue makes functions of text and NiceGUI writes scripts into the page: both must be allowed. What
# is left out is everything from elsewhere, and being shown in a page of somebody else.
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline' 'unsafe-eval';"
    " style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self';"
    " font-src 'self' data:; connect-src 'self' ws://{host}; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)


class Guard:
    """Refuses requests under another name (421), of another page (403), too large (413), and for
    what is not here (404); gives answers the headers that keep a browser to this server."""

    def __init__(self, app: App, bound: str) -> None:
        self.app, self._bound = app, bound

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = scope["headers"]
        host = _only(headers, b"host")
        origin = _only(headers, b"origin")
        upload = scope["path"].startswith(UPLOAD)
        if host is None or not accepted(host, self._bound):
            await _refuse(scope, send, 421, "not a name of this server; ask for 127.0.0.1")
        elif origin != "" and (origin is None or not same_origin(origin, host)):
            await _refuse(scope, send, 403, "asked for by a page of another site")
        elif not _navigates_or_ours(headers):
            # Without an Origin, and unread by who asks; but each page holds memory for a while.
            await _refuse(scope, send, 403, "asked for by a page of another site")
        elif not upload and _length(headers) > BODY_BYTES:
            await _refuse(scope, send, 413, "too large")
        elif scope["path"] not in PAGES and not scope["path"].startswith(FOLDERS):
            # The library would write what was asked for to the terminal.
            await _refuse(scope, send, 404, "not found")
        elif scope["type"] == "websocket":
            await self.app(scope, receive, send)
        else:
            await self.app(scope, receive if upload else _bounded(receive), _headed(send, host))


def _only(headers: list[tuple[bytes, bytes]], name: bytes) -> str | None:
    """The value of a header; "" without one, None where it is given twice."""
    found = [value for key, value in headers if key == name]
    if len(found) > 1:
        return None
    return found[0].decode("latin-1") if found else ""


def _navigates_or_ours(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether the browser says that it is a page of ours that asks, or a person who comes here."""
    if _only(headers, b"sec-fetch-site") in ("", "same-origin", "none"):
        return True
    navigates = _only(headers, b"sec-fetch-mode") == "navigate"
    return navigates and _only(headers, b"sec-fetch-dest") == "document"


def _length(headers: list[tuple[bytes, bytes]]) -> int:
    told = _only(headers, b"content-length") or "0"
    return int(told) if told.isdecimal() else 0


async def _refuse(scope: Scope, send: Send, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": why})
        return
    plain = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": plain})
    await send({"type": "http.response.body", "body": f"{why}\n".encode()})


def _bounded(receive: Receive) -> Receive:
    """A body that breaks off behind BODY_BYTES."""
    read = 0

    async def bounded() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        return message if read <= BODY_BYTES else {"type": "http.disconnect"}

    return bounded


def _headed(send: Send, host: str) -> Send:
    ours = [
        (b"content-security-policy", POLICY.format(host=host).encode("latin-1")),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"cross-origin-opener-policy", b"same-origin"),
    ]

    async def headed(message: Message) -> None:
        if message["type"] == "http.response.start":
            # The library would let every site read what it sends.
            kept = [
                (key, value)
                for key, value in message.get("headers", [])
                if not key.lower().startswith(b"access-control-")
            ]
            message = {**message, "headers": [*kept, *ours]}
        await send(message)

    return headed
