"""The page behind a socket, from its first line to its end."""

import contextlib
import logging
import socket
import warnings
from typing import Any

import uvicorn
from fastapi import FastAPI
from nicegui import ui

from mktn.grounder.grounder import Grounder
from mktn.serve.guard import BODY_BYTES, Guard
from mktn.serve.hosts import address
from mktn.serve.page import Tab
from mktn.serve.routes import Doors, add_routes
from mktn.serve.service import Service
from mktn.serve.uploads import Uploads
from mktn.serve.videos import Shelf

RECONNECT_S = 5.0  # how long a tab that has gone may come back
LEAVE_S = 2  # for what is under way when the server ends


class _Server(uvicorn.Server):
    """Says where it is once it answers, and ends all jobs before it waits for connections."""

    def __init__(self, config: uvicorn.Config, where: str, service: Service) -> None:
        super().__init__(config)
        self._where, self._service = where, service

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        print(f"{self._where} (Ctrl-C ends it)", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._service.close()
        await super().shutdown(sockets=sockets)


def serve(
    grounder: Grounder, shelf: Shelf, uploads: Uploads, listening: socket.socket, host: str
) -> None:
    """Answer on `listening` until SIGINT, which is the way to end it, or SIGTERM."""
    service = Service(grounder, shelf, uploads)
    doors = Doors()
    # Without the pages of its own, which load scripts from elsewhere.
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    add_routes(app, doors, uploads)

    @ui.page("/", title="mktn")
    def page() -> None:
        Tab(service, doors)

    ui.run_with(
        app, title="mktn", language="en-US", reconnect_timeout=RECONNECT_S, tailwind=False,
        show_welcome_message=False, dark=False,
    )  # fmt: skip
    logging.getLogger("nicegui").setLevel(logging.ERROR)  # its warnings quote what clients send
    # Where the library looks for its server, it touches names that torch has given up.
    warnings.filterwarnings("ignore", "`torch", FutureWarning)
    guarded: Any = Guard(app, host)
    config = uvicorn.Config(
        guarded, log_level="error", access_log=False, server_header=False, proxy_headers=False,
        timeout_graceful_shutdown=LEAVE_S, lifespan="on", ws_max_size=BODY_BYTES,
    )  # fmt: skip
    where = address(host, listening.getsockname()[1])
    with contextlib.suppress(KeyboardInterrupt):
        _Server(config, where, service).run(sockets=[listening])
