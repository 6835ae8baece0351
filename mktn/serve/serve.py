"""`mktn serve`: a page on this machine for questions about videos."""

import argparse
import contextlib
import errno
import importlib.util
import os
import socket
import sys
from pathlib import Path

from mktn.errors import UserError
from mktn.grounder.export import add_places, places_of
from mktn.grounder.grounder import Grounder
from mktn.serve.hosts import LOOPBACK, address, is_loopback
from mktn.serve.uploads import MEGABYTE, Uploads
from mktn.serve.videos import Shelf

PORT, UPLOAD_MB = 8080, 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `mktn serve`."""
    parser.add_argument("model", type=Path, metavar="RUN_OR_BUNDLE", help="a run, or a bundle")
    parser.add_argument("--videos", type=Path, metavar="DIR", help="videos to choose from")
    parser.add_argument("--port", type=int, default=PORT, help=f"0 takes a free one ({PORT})")
    parser.add_argument(
        "--host", default=LOOPBACK,
        help="another address than this machine's own: then others reach the page too",
    )  # fmt: skip
    parser.add_argument(
        "--upload-mb", type=int, default=UPLOAD_MB, metavar="MB",
        help=f"largest video taken from a browser ({UPLOAD_MB})",
    )  # fmt: skip
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    parser.add_argument("--threads", type=int, default=1, help="of torch")
    add_places(parser)


def run(arguments: argparse.Namespace) -> None:
    """Serve until Ctrl-C or SIGTERM; what was uploaded is removed then."""
    _refuse(arguments)
    shelf = Shelf(arguments.videos)
    with contextlib.closing(_listening(arguments.host, arguments.port)) as listening:
        grounder = Grounder.load(
            arguments.model, device=arguments.device, threads=arguments.threads,
            places=places_of(arguments), batch=arguments.batch,
        )  # fmt: skip
        if grounder.parts.backbone is None:
            raise UserError(grounder.parts.without, where=arguments.model, do="serve another run")
        with contextlib.closing(Uploads(arguments.upload_mb * MEGABYTE)) as uploads:
            # The library would keep files of its own in the working directory.
            os.environ["NICEGUI_STORAGE_PATH"] = str(uploads.folder / "storage")
            from mktn.serve.server import serve

            serve(grounder, shelf, uploads, listening, arguments.host)


def _refuse(arguments: argparse.Namespace) -> None:
    """Mistakes that show before anything is loaded."""
    for name in ("upload_mb", "threads"):
        if getattr(arguments, name) < 1:
            raise UserError(
                "value refused", where=f"--{name.replace('_', '-')}",
                found=getattr(arguments, name), expected=">= 1",
            )  # fmt: skip
    if not 0 <= arguments.port <= 65535:
        raise UserError(
            "value refused", where="--port", found=arguments.port, expected="0 to 65535"
        )
    if importlib.util.find_spec("nicegui") is None:
        raise UserError(
            "NiceGUI is not installed, which makes the page", do="pip install 'nicegui>=3.0'"
        )
    if not is_loopback(arguments.host):
        print(
            f"mktn serve: --host {arguments.host}: whoever reaches this machine over the network"
            " can open the page, see the videos of --videos and upload others; no password is"
            " asked and nothing is encrypted",
            file=sys.stderr,
        )


def _listening(host: str, port: int) -> socket.socket:
    """A socket that is bound, so that a port in use is said before a model is loaded."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        raise UserError(
            "the port is in use" if in_use else "cannot listen there",
            where=address(host, port), found="" if in_use else error.strerror or error,
            do="name another one, or 0 for a free one: --port" if in_use else "",
        ) from error  # fmt: skip
