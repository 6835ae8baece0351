"""`mktn serve` as a process of its own, with folders of its own for whatever it may write."""

import contextlib
import dataclasses
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

PLACES = ("home", "work", "temporary")


@dataclasses.dataclass(frozen=True)
class Served:
    """Where it answers, and what it may have written to: home, work, temporary."""

    address: str
    folder: Path
    process: "subprocess.Popen[str]"

    def written(self, place: str = "") -> list[Path]:
        """All files in its folders, or in one of them."""
        return sorted(path for path in (self.folder / place).rglob("*") if path.is_file())

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Its status, and what it said since its first line."""
        self.process.send_signal(number)
        out, error = self.process.communicate(timeout=20)
        return self.process.returncode, out, error


@contextlib.contextmanager
def served(folder: Path, *given: str | Path) -> Iterator[Served]:
    """Start it on a free port, in `folder`; it is ended where the block has not."""
    for name in PLACES:
        (folder / name).mkdir(parents=True)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PYTEST")
    }
    environment |= {"HOME": str(folder / "home"), "TMPDIR": str(folder / "temporary")}
    environment |= {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "mktn", "serve", *map(str, given), "--port", "0"],
        cwd=folder / "work", env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"(http://127\.0\.0\.1:\d+/) \(Ctrl-C ends it\)\n", line)
        if found is None:
            process.kill()
            raise AssertionError(f"{line!r}, {process.communicate()[1]}")
        yield Served(found[1], folder, process)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
