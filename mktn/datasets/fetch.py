"""One file of the registry: from the first of its places that gives the right content."""

import errno
import gzip
import shutil
import urllib.parse
import urllib.request
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from mktn.datasets.content import PAGE, Content, content_of, is_page
from mktn.datasets.http_client import TransferError, TransferSettings, new_session
from mktn.datasets.progress import Progress
from mktn.datasets.registry import SourceFile
from mktn.datasets.source_lock import SourceLock
from mktn.datasets.transfer import Transfer, known_beside


class NotBroughtError(Exception):
    """No place gave the file: the message says what was tried and why each failed."""


class Fetcher:
    """Brings files to a staging folder, each verified; remembers hosts that do not answer."""

    def __init__(
        self, mirrors: Sequence[str], lock: SourceLock, settings: TransferSettings
    ) -> None:
        self.mirrors, self.lock, self.settings = mirrors, lock, settings
        self.session = new_session(settings)
        self.unreachable: set[str] = set()
        self.recorded: set[str] = set()  # names of the files whose content was not known before

    def bring(self, file: SourceFile, folder: Path) -> Path:
        """The file in `folder`, as NAME or NAME.gz as its place has it.

        Tries the mirrors in their order, then the registry's addresses. Raises NotBroughtError
        with the reasons where all fail, OSError where the disk is full.
        """
        folder.mkdir(parents=True, exist_ok=True)
        right = None
        for path, wrong in self._forms(file, folder):
            if wrong is not None:
                path.unlink()
            right = right or (path if wrong is None else None)
        if right is not None:
            return right
        places = [(mirror, True) for mirror in self.mirrors]
        places += [(address, False) for address in file.addresses]
        tried = []
        for place, given in places:
            try:
                return self._from_place(file, place, given, folder)
            except TransferError as error:
                # What is local names its own path.
                tried.append(f"{place}: {error}" if _remote(place) else str(error))
        raise NotBroughtError("; ".join(tried) or "no address to try")

    def standing(self, file: SourceFile, folder: Path) -> tuple[Path | None, list[str]]:
        """The file where it stands in `folder` already and is right; else why it is not.

        Both NAME and NAME.gz must be right where both stand: readers take the plain one.
        """
        forms = list(self._forms(file, folder))
        why = [f"{path}: {wrong}" for path, wrong in forms if wrong is not None]
        return (forms[0][0] if forms and not why else None), why

    def _forms(self, file: SourceFile, folder: Path) -> Iterator[tuple[Path, str | None]]:
        """NAME and NAME.gz where they stand in `folder`, each with why it is not the file."""
        for path in (folder / file.file_name, folder / f"{file.file_name}.gz"):
            if path.is_file():
                yield path, self._verify(file, path, f"file:{path}")

    def _from_place(self, file: SourceFile, place: str, given: bool, folder: Path) -> Path:
        """From a mirror (`given`: a directory or an http base) or from an address of the file."""
        if not _remote(place):
            path = _local(place)
            if given and not path.is_dir():
                raise TransferError(f"{path}: no such folder")
            paths = [path / file.path, path / f"{file.path}.gz"] if given else [path]
            return self._copied(file, paths, folder)
        if not given:
            return self._fetched(file, place, folder / file.file_name)
        base = f"{place.rstrip('/')}/{urllib.parse.quote(file.path)}"
        try:
            return self._fetched(file, base, folder / file.file_name)
        except TransferError as error:
            if error.status != 404:
                raise
        return self._fetched(file, f"{base}.gz", folder / f"{file.file_name}.gz")

    def _copied(self, file: SourceFile, paths: list[Path], folder: Path) -> Path:
        found = next((path for path in paths if path.is_file()), None)
        if found is None:
            raise TransferError(f"{paths[0]} is not there")
        name = found.name if found.name == f"{file.file_name}.gz" else file.file_name
        # Not NAME.part: what has come over http stays until the file is whole.
        copy = folder / f"{name}.copy"
        try:
            shutil.copyfile(found, copy)
        except OSError as error:
            copy.unlink(missing_ok=True)
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise TransferError(f"{found}: cannot be read ({error.strerror})") from error
        try:
            return self._kept(file, copy, folder / name, str(found))
        except TransferError as error:
            raise TransferError(f"{found}: {error}") from error

    def _fetched(self, file: SourceFile, url: str, target: Path) -> Path:
        host = urllib.parse.urlsplit(url).netloc
        if host in self.unreachable:
            raise TransferError("the host did not answer before")
        part = target.with_name(f"{target.name}.part")
        packed = target.name != file.file_name
        expected = self._expected(file)
        progress = Progress(file.name, self.settings.report_s)
        transfer = Transfer(
            session=self.session,
            url=url,
            part=part,
            settings=self.settings,
            expected_bytes=None if packed or expected is None else expected.bytes or None,
            checked=expected is not None and bool(expected.sha256),
            progress=progress,
            expected_by=self._by_lock(file),
        )
        try:
            transfer.run()
            if not (transfer.bounded or transfer.checked):
                print(f"{file.name}: its server gives no length, a cut would not be seen: {url}")
            try:
                return self._kept(file, part, target, url)
            except TransferError:
                # The bytes that were there may be the wrong ones, so this address gets its turn.
                if not transfer.resumed:
                    raise
            transfer.run()
            return self._kept(file, part, target, url)
        except TransferError as error:
            if error.unreachable:
                self.unreachable.add(host)
            raise
        finally:
            progress.close()

    def _kept(self, file: SourceFile, part: Path, target: Path, origin: str) -> Path:
        """The verified part under its name; a wrong one is removed."""
        wrong = self._verify(file, part, origin, packed=target.name != file.file_name)
        if wrong is not None:
            _discard(part)
            raise TransferError(wrong)
        part.replace(target)
        _discard(target.with_name(f"{target.name}.part"))
        return target

    def _expected(self, file: SourceFile) -> Content | None:
        """What is known of the content: the registry's before the lock's."""
        if file.sha256:
            return Content(file.sha256, file.bytes or 0)
        locked = self.lock.entries.get(file.name)
        if locked is not None:
            return Content(locked.sha256, locked.bytes)
        return Content("", file.bytes) if file.bytes else None

    def _verify(
        self, file: SourceFile, path: Path, origin: str, packed: bool | None = None
    ) -> str | None:
        """Why the content is not the file's, or None; the first content is recorded."""
        packed = path.name == f"{file.file_name}.gz" if packed is None else packed
        try:
            found = content_of(path, packed)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            return PAGE if is_page(path, False) else f"cannot be unpacked ({error})"
        expected = self._expected(file) or Content("", 0)
        length_differs = expected.bytes not in (0, found.bytes)
        if found.sha256 == expected.sha256 and not length_differs:
            return None
        if is_page(path, packed) and not file.path.endswith(".html"):
            return PAGE
        by = self._by_lock(file)
        if length_differs:
            return f"another content, {found.bytes} bytes where {expected.bytes} are expected{by}"
        if expected.sha256:
            return (
                f"another content, sha256 {found.sha256} where {expected.sha256} is expected{by}"
            )
        self.lock.record(file.name, found.sha256, found.bytes, origin)
        self.recorded.add(file.name)
        print(f"{file.name}: first use, sha256 {found.sha256} recorded in {self.lock.path}")
        return None

    def _by_lock(self, file: SourceFile) -> str:
        """That the lock knows the content, and how to make it forget; "" where it does not."""
        locked = self.lock.entries.get(file.name)
        if file.sha256 or locked is None:
            return ""
        return (
            f" by {self.lock.path} since {locked.date} (where the new one is right, remove the"
            f" entry {file.name} there)"
        )


def _remote(place: str) -> bool:
    return place.startswith(("http://", "https://"))


def _local(place: str) -> Path:
    if not place.startswith("file:"):
        return Path(place)
    return Path(urllib.request.url2pathname(urllib.parse.urlsplit(place).path))


def _discard(part: Path) -> None:
    part.unlink(missing_ok=True)
    known_beside(part).unlink(missing_ok=True)
