"""What goes over the wire: who is answered, ranges of a video, uploads, and no paths."""

import warnings
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nicegui")  # which brings what serves

from fastapi import FastAPI, Request

with warnings.catch_warnings():  # it would rather have a client that NiceGUI does not bring
    warnings.simplefilter("ignore")
    from fastapi.testclient import TestClient

from mktn.serve.guard import BODY_BYTES, Guard
from mktn.serve.routes import Door, Doors, add_routes
from mktn.serve.service import Playable
from mktn.serve.uploads import Uploads
from mktn.serve.videos import Video

HERE = "http://127.0.0.1:8080"


class Server:
    """The routes behind the guard, with one tab."""

    def __init__(self, uploads: Uploads) -> None:
        self.taken: list[Video] = []
        self.doors = Doors()
        self.door = self.doors["tab"] = Door(self.taken.append)
        app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        add_routes(app, self.doors, uploads)

        @app.post("/_nicegui/other")
        async def other(request: Request) -> int:
            return len(await request.body())

        guarded: Any = Guard(app, "127.0.0.1")
        self.client = TestClient(guarded, base_url=HERE)


@pytest.fixture
def server(uploads: Uploads, videos: list[Path]) -> Server:
    made = Server(uploads)
    made.door.playing["video"] = Playable(videos[0], "video/mp4")
    return made


def test_a_video_is_given_whole_and_in_ranges(server: Server, videos: list[Path]) -> None:
    content = videos[0].read_bytes()
    whole = server.client.get("/media/video")
    assert whole.content == content
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["accept-ranges"] == "bytes"
    part = server.client.get("/media/video", headers={"range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == content[100:200]
    assert part.headers["content-range"] == f"bytes 100-199/{len(content)}"
    beyond = server.client.get("/media/video", headers={"range": f"bytes={len(content)}-"})
    assert beyond.status_code == 416


@pytest.mark.parametrize(
    "path",
    [
        *("/media/other", "/media/a.mp4", "/media/..%2f..%2fetc%2fpasswd", "/media/"),
        *("/assets/page.py", "/assets/..%2fserve.py", "/assets/%2fetc%2fpasswd"),
        *("/docs", "/openapi.json", "/upload/tab", "/redoc", "//evil.example", "/%1b%5b31m"),
    ],
)
def test_nothing_else_is_given(server: Server, path: str) -> None:
    assert server.client.get(path).status_code in (404, 405)


def test_what_a_tab_had_is_gone_with_it(server: Server) -> None:
    del server.doors["tab"]
    assert server.client.get("/media/video").status_code == 404
    assert server.client.post("/upload/tab", content=b"x").status_code == 404


def test_an_upload_comes_to_its_tab(server: Server, videos: list[Path], uploads: Uploads) -> None:
    content = videos[0].read_bytes()
    sent = server.client.post(
        "/upload/tab", content=content, headers={"x-file-name": "..%2F%3Cb%3E%20k%C3%BCche.mp4"}
    )
    assert (sent.status_code, sent.text) == (200, "<b> küche.mp4")
    assert sent.headers["content-type"].startswith("text/plain")
    (video,) = server.taken
    assert video.path.parent == uploads.folder
    assert video.path.read_bytes() == content


def test_refusals_are_one_sentence(server: Server, uploads: Uploads) -> None:
    text = server.client.post("/upload/tab", content=b"no video", headers={"x-file-name": "a.mp4"})
    assert text.status_code == 415
    assert text.text.startswith("a.mp4 is no video that can be used: ")
    large = server.client.post("/upload/tab", content=bytes(10**6 + 1))
    assert (large.status_code, large.headers["connection"]) == (413, "close")
    assert "larger than 1 MB" in large.text
    pieces = server.client.post("/upload/tab", content=(bytes(10**5) for _ in range(20)))
    assert pieces.status_code == 413
    server.door.receiving = True
    assert server.client.post("/upload/tab", content=b"x").status_code == 409
    assert not server.taken
    assert not list(uploads.folder.iterdir())


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "192.168.1.2:8080", ""])
def test_another_name_is_not_answered(server: Server, host: str) -> None:
    answer = server.client.get("/media/video", headers={"host": host})
    assert answer.status_code == 421


@pytest.mark.parametrize(
    ("origin", "status"),
    [(HERE, 200), ("http://evil.example", 403), ("null", 403), ("http://127.0.0.1:9", 403)],
)
def test_another_site_is_not_answered(server: Server, origin: str, status: int) -> None:
    answer = server.client.get("/media/video", headers={"origin": origin})
    assert answer.status_code == status
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_answers_keep_a_browser_to_this_server(server: Server) -> None:
    headers = server.client.get("/assets/page.js").headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "http:" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"


def test_only_uploads_may_be_large(server: Server) -> None:
    assert server.client.post("/_nicegui/other", content=bytes(BODY_BYTES)).json() == BODY_BYTES
    assert server.client.post("/_nicegui/other", content=bytes(BODY_BYTES + 1)).status_code == 413


@pytest.mark.parametrize(
    ("site", "mode", "dest", "status"),
    [
        ("same-origin", "no-cors", "video", 200),
        ("none", "navigate", "document", 200),  # typed, or a bookmark
        ("cross-site", "navigate", "document", 200),  # a link
        ("cross-site", "navigate", "iframe", 403),
        ("cross-site", "no-cors", "image", 403),
        ("same-site", "no-cors", "empty", 403),  # another port of this machine
    ],
)
def test_pages_of_others_do_not_ask_unseen(
    server: Server, site: str, mode: str, dest: str, status: int
) -> None:
    """A browser sends no Origin with such requests."""
    headers = {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": dest}
    assert server.client.get("/media/video", headers=headers).status_code == status
