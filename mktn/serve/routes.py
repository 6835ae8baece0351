"""Files to and from the browser. An address holds a token, never a name or a path."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response
from starlette.requests import ClientDisconnect

from mktn.serve.service import Playable
from mktn.serve.uploads import Refused, Uploads
from mktn.serve.videos import Video

ASSETS = {"page.css": "text/css", "page.js": "text/javascript"}


@dataclasses.dataclass
class Door:
    """What one tab may fetch and where its uploads go; `taken` is told of each one."""

    taken: Callable[[Video], None]
    playing: dict[str, Playable] = dataclasses.field(default_factory=dict)
    receiving: bool = False


class Doors(dict[str, Door]):
    """The open tabs, by their tokens."""

    def playable(self, token: str) -> Playable | None:
        """What a tab may fetch under this token."""
        return next((d.playing[token] for d in self.values() if token in d.playing), None)


def add_routes(app: FastAPI, doors: Doors, uploads: Uploads) -> None:
    """/media/TOKEN, /upload/TOKEN and the page's own style and script."""

    @app.get("/media/{token}")
    async def media(token: str) -> Response:
        found = doors.playable(token)
        if found is None or not found.path.is_file():
            return PlainTextResponse("no such video\n", 404)
        # Answers requests for ranges, without which no player seeks.
        headers = {"cache-control": "private, no-cache"}
        return FileResponse(found.path, media_type=found.media_type, headers=headers)

    @app.post("/upload/{token}")
    async def upload(token: str, request: Request) -> Response:
        door = doors.get(token)
        if door is None:
            return _refusal(404, "This page is no longer known. Load it again.")
        if door.receiving:
            return _refusal(409, "One video at a time: another one is on its way.")
        announced = request.headers.get("content-length", "")
        length = int(announced) if announced.isascii() and announced.isdecimal() else None
        name = unquote(request.headers.get("x-file-name", "")[:2000], errors="replace")
        door.receiving = True
        try:
            video = await uploads.receive(name, length, request.stream())
        except Refused as error:
            return _refusal(error.status, str(error))
        except ClientDisconnect:
            return Response(status_code=400)
        finally:
            door.receiving = False
        if doors.get(token) is not door:  # closed meanwhile
            uploads.remove(video.token)
            return Response(status_code=410)
        door.taken(video)
        return PlainTextResponse(video.name)

    @app.get("/assets/{name}")
    async def asset(name: str) -> Response:
        if name not in ASSETS:
            return PlainTextResponse("no such file\n", 404)
        return FileResponse(Path(__file__).parent / name, media_type=ASSETS[name])


def _refusal(status: int, why: str) -> Response:
    # What is left of the body is not read.
    return PlainTextResponse(why, status, headers={"connection": "close"})
