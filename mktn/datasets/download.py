"""`mktn download`: published files from mirrors and their own addresses, each verified.

Files come to `OUT.part/` and move to OUT when all are there, so that OUT is never half new. What
an interrupted run has brought stays in `OUT.part/`, whole files and partial ones, for the next.
"""

import argparse
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from mktn.config import fill, read_settings
from mktn.datasets.by_hand import advice, at
from mktn.datasets.fetch import Fetcher, NotBroughtError
from mktn.datasets.http_client import TransferSettings
from mktn.datasets.listing import described, listing
from mktn.datasets.registry import (
    OWNERS,
    ROLES,
    SourceFile,
    read_registry,
    select,
)
from mktn.datasets.source_lock import SourceLock
from mktn.errors import UserError
from mktn.files import locked

REGISTRY = Path("workflow", "sources.tsv")
SHOWN = 3  # files whose failures are told in full


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `mktn download`."""
    parser.add_argument(
        "--registry", type=Path, help=f"table of the files; {REGISTRY} of the working directory"
    )
    parser.add_argument("--dataset", choices=OWNERS, help="whose files; without it of all")
    parser.add_argument(
        "--roles",
        help=f"which files: some of {','.join(ROLES)}, or all; annotations, and all in a list",
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="these files, whatever their role"
    )
    parser.add_argument(
        "--list",
        action="store_true",
        help="print the files and bring nothing; with --only of one file, all that is known of it",
    )
    parser.add_argument(
        "--mirror",
        action="append",
        default=[],
        help="a directory, or the address of one (file, http, https), tried first; repeatable",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="output: the dataset's folder; without --dataset, a mirror with a folder for each",
    )
    parser.add_argument(
        "--lock", type=Path, help="first contents of unknown files; sources.lock beside --out"
    )
    parser.add_argument(
        "--place",
        help="where a person is told to put files, {path} being their path in a mirror;"
        " without it their place in --out",
    )
    parser.add_argument("--settings", help="JSON, or a file: patience of the transfers")


def run(arguments: argparse.Namespace) -> None:
    """Bring the files that are not in OUT yet, or list them."""
    roles = _roles(arguments.roles or ("all" if arguments.list else "annotations"))
    registry = read_registry(arguments.registry or _registry_here())
    if arguments.list:
        files = select(registry, arguments.dataset, roles, arguments.only)
        if not files:
            whose = arguments.dataset or "the registry"
            print(f"no file of {whose} has one of the roles {arguments.roles}")
        elif arguments.only and len(files) == 1:
            print(described(files[0]))
        else:
            print(listing(files))
        return
    if arguments.out is None:
        raise UserError("where to put the files is not said", do="add --out FOLDER, or --list")
    if not (arguments.dataset or arguments.only):
        raise UserError(
            "which files is not said", do="add --dataset or --only; --list shows the names"
        )
    files = select(registry, arguments.dataset, roles, arguments.only)
    settings = fill(TransferSettings, read_settings(arguments.settings))
    # Of a link the target counts, so that files move within one file system.
    out = arguments.out.resolve()
    lock = SourceLock(arguments.lock or out.parent / "sources.lock")
    try:
        new, recorded = download(
            files, arguments.mirror, out, lock, settings, bool(arguments.dataset), arguments.place
        )
    except OSError as error:
        raise UserError(
            "a file cannot be written or read",
            where=error.filename or out,
            found=error.strerror or error,
            do="make room, or name another --out; what has come is kept and continued",
        ) from error
    whose = arguments.dataset or "all"
    there = len(files) - new
    first = f", {recorded} recorded (sha256 not known before)" if recorded else ""
    print(
        f"{whose}: {new} files brought to {arguments.out}, {there} were there;"
        f" {len(files) - recorded} verified{first}"
    )


def download(
    files: Sequence[SourceFile],
    mirrors: Sequence[str],
    out: Path,
    lock: SourceLock,
    settings: TransferSettings,
    one_dataset: bool,
    place: str | None = None,
) -> tuple[int, int]:
    """Bring `files` to `out`.

    Returns how many were not there already, and of how many the content was not known before.

    With `one_dataset`, the first folder of their paths is left out. A person is told to put files
    at `place`, as --place says. Raises UserError, one line,
    when some could not be brought; `out` is then as before and `OUT.part/` holds what came.
    """
    fetcher = Fetcher(mirrors, lock, settings)
    staging = out.with_name(f"{out.name}.part")
    staging.mkdir(parents=True, exist_ok=True)
    moves: list[tuple[SourceFile, Path, Path]] = []
    failures: list[tuple[SourceFile, str]] = []
    with locked(staging, wait=False) as held:
        if not held:
            raise UserError(
                "another download writes there",
                where=out,
                do="wait until it ends, or name another --out",
            )
        for file in files:
            inside = Path(*Path(file.path).parts[int(one_dataset) :]).parent
            present, wrong = fetcher.standing(file, out / inside)
            if present is not None:
                continue
            try:
                brought = fetcher.bring(file, staging / inside)
                moves.append((file, brought, out / inside))
            except NotBroughtError as error:
                failures.append((file, "; ".join([*wrong, str(error)])))
        if failures:
            _remove_empty(staging)
            raise _failed(failures, len(files), out, one_dataset, place)
        for file, brought, folder in moves:
            folder.mkdir(parents=True, exist_ok=True)
            # A wrong or older form of the file would be read in place of the new one.
            for form in (file.file_name, f"{file.file_name}.gz"):
                (folder / form).unlink(missing_ok=True)
            shutil.move(brought, folder / brought.name)
        _remove_empty(staging)
    return len(moves), len(fetcher.recorded)


def _registry_here() -> Path:
    if not REGISTRY.is_file():
        raise UserError(
            "no registry of sources is given, and the working directory has none",
            expected=f"{REGISTRY} there",
            do="run it in the repository's folder, or add --registry FILE",
        )
    return REGISTRY


def _roles(text: str) -> list[str] | None:
    if text == "all":
        return None
    roles = [role for role in text.split(",") if role]
    for role in roles:
        if role not in ROLES:
            raise UserError(
                "unknown role", where="--roles", found=repr(role), expected=f"some of {ROLES}, all"
            )
    return roles


def _failed(
    failures: list[tuple[SourceFile, str]],
    count: int,
    out: Path,
    one_dataset: bool,
    place: str | None,
) -> UserError:
    """One line: what was tried for each, why it failed, what to do."""
    told = []
    for file, why in failures[:SHOWN]:
        target = out / Path(*Path(file.path).parts[int(one_dataset) :])
        put = at(place, file.path) if place else target
        # A pipeline has its mirror in the configuration.
        other = "name another --mirror, or " if file.addresses and not place else ""
        told.append(f"{file.path}: {why}; {other}{advice(file)}; put it at {put}")
    more = f"; {len(failures) - SHOWN} more alike" if len(failures) > SHOWN else ""
    return UserError(
        f"{len(failures)} of {count} files could not be brought: {' | '.join(told)}{more}"
    )


def _remove_empty(staging: Path) -> None:
    """Remove the folders of the staging folder that hold nothing."""
    for folder, _, _ in os.walk(staging, topdown=False):
        if not os.listdir(folder):
            os.rmdir(folder)
