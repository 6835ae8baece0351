"""A real http server on this machine whose answers a test decides, and a registry of its files."""

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from mktn.cli import main
from mktn.datasets.registry import COLUMNS

SCHEMA = Path(__file__).parents[2] / "workflow" / "schemas" / "sources.schema.yaml"
QUICK = {"backoff_s": 0.01, "connect_s": 2.0, "read_s": 0.3, "attempts": 3, "longest_wait_s": 2.0}

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers GET with what `server.answers[path]` does; keeps the requests' ranges."""

    server: "Server"

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Range")))
        answer = self.server.answers.get(self.path)
        if answer is None:
            self.send_error(404)
        else:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                answer(self)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass

    def head(self, status: int, **headers: object) -> None:
        """Send the status and headers, `_` for `-` in their names."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def start(self) -> int:
        """The first byte that is asked for."""
        asked = self.headers.get("Range") or "bytes=0-"
        return int(asked.removeprefix("bytes=").rstrip("-"))


class Server(ThreadingHTTPServer):
    """`answers`: path -> what to do; `asked`: (path, Range) of every request so far."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, str | None]] = []

    def at(self, path: str) -> str:
        """The address of a path."""
        return f"http://127.0.0.1:{self.server_address[1]}{path}"


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def ranged(content: bytes, etag: str = '"one"', cut: int | None = None) -> Answer:
    """An honest server that knows Range and If-Range; each body is cut after `cut` bytes."""

    def answer(handler: Handler) -> None:
        start, status = handler.start(), 200
        if handler.headers.get("Range"):
            status = 206
            if handler.headers.get("If-Range", etag) != etag:
                start, status = 0, 200
        if start >= len(content):
            return handler.head(416, Content_Range=f"bytes */{len(content)}", Content_Length=0)
        headers = {"Content_Length": len(content) - start, "ETag": etag}
        if status == 206:
            headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        handler.head(status, **headers)
        handler.wfile.write(content[start : len(content) if cut is None else start + cut])

    return answer


def whole(content: bytes, status: int = 200, **headers: object) -> Answer:
    """The content with these headers, whatever range is asked for."""

    def answer(handler: Handler) -> None:
        handler.head(status, **{"Content_Length": len(content), **headers})
        handler.wfile.write(content)

    return answer


def in_turn(*answers: Answer) -> Answer:
    """One answer after the other, the last for ever."""
    left = list(answers)

    def answer(handler: Handler) -> None:
        (left.pop(0) if len(left) > 1 else left[0])(handler)

    return answer


def row(content: bytes | None = None, **cells: str) -> dict[str, str]:
    """A row of the registry; with `content` its checksum and length are known."""
    known = {"sha256": "", "bytes": ""}
    if content is not None:
        known = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": str(len(content))}
    usual = dict.fromkeys(COLUMNS, "") | {
        "name": "file",
        "dataset": "pretrained",
        "role": "annotations",
        "path": "pretrained/file.bin",
        "licence": "none stated",
        "form": "no",
        "status": "unverified",
        "source": "its page",
    }
    return usual | known | cells


def write_registry(folder: Path, *rows: dict[str, str]) -> Path:
    """`sources.tsv` with its schema beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "schemas").mkdir(exist_ok=True)
    (folder / "schemas" / SCHEMA.name).write_text(SCHEMA.read_text())
    lines = ["\t".join(COLUMNS), *("\t".join(cells.values()) for cells in rows)]
    path = folder / "sources.tsv"
    path.write_text("\n".join(lines) + "\n")
    return path


def download(folder: Path, *options: str, dataset: str = "pretrained", **settings: float) -> int:
    """`mktn download` of the registry in `folder` to `folder/out`, in a hurry."""
    told = ["--settings", json.dumps(QUICK | settings)]
    place = ["--registry", str(folder / "sources.tsv"), "--out", str(folder / "out")]
    return main(["download", "--dataset", dataset, *place, *told, *options])
