"""`sources.lock`: what a file without a known checksum was when it was first used."""

import dataclasses
import datetime
import json
from pathlib import Path

from mktn.errors import UserError
from mktn.files import locked, write_json


@dataclasses.dataclass(frozen=True)
class Locked:
    """The first content of a file: where it came from and when (UTC)."""

    sha256: str
    bytes: int
    url: str
    date: str


class SourceLock:
    """The lock file: name -> first content. UserError where the file is broken."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.entries = self._read()

    def record(self, name: str, sha256: str, count: int, url: str) -> None:
        """Write down the first content of `name`, beside what other runs have written."""
        date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with locked(self.path.parent):
            self.entries = self._read() | {name: Locked(sha256, count, url, date)}
            content = {key: dataclasses.asdict(self.entries[key]) for key in sorted(self.entries)}
            write_json(content, self.path)

    def _read(self) -> dict[str, Locked]:
        if not self.path.exists():
            return {}
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            return {name: Locked(**entry) for name, entry in content.items()}
        except (OSError, ValueError, TypeError, AttributeError) as error:
            raise UserError(
                "lock file cannot be read",
                where=self.path,
                found=error,
                expected="name: {sha256, bytes, url, date}",
                do="mend it, or remove it to trust the files once more",
            ) from error
