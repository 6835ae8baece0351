"""Reading a large file of word vectors: megabytes a second, and the memory it takes."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mktn.errors import UserError

# The whole of what is measured, in a process of its own: /proc says the most it ever held.
CHILD = """
import json, re, sys, time
from pathlib import Path
from mktn.features import glove_cache
path, cache, step, count = sys.argv[1:]
wanted = [f"w{i * int(step)}" for i in range(int(count))]
started = time.perf_counter()
found = glove_cache.scan(path, wanted, cache, lambda line: None)
seconds = time.perf_counter() - started
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(json.dumps({"found": len(found.words), "seconds": seconds, "peak_kb": int(peak[1])}))
"""
POOL = 997  # different vectors in the file


@dataclass(frozen=True)
class WordsSettings:
    """The file that is made and how much of it is wanted."""

    megabytes: int = 2000  # of the text file
    dimension: int = 300
    vocabulary: int = 13784  # words wanted: as many as ActivityNet Captions has
    folder: str = ""  # where the file is made, and removed; a temporary folder by default

    def __post_init__(self) -> None:
        for name in ("megabytes", "dimension", "vocabulary"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected at least 1")


def summary(row: dict[str, Any]) -> str:
    """A row in words."""
    speed = f"{row['mb_per_s']:.0f} MB/s, " if row["mb_per_s"] else "from the cache, "
    return (
        f"{row['pass']:>5}: {row['file_mb']:.0f} MB in {row['seconds']:.2f} s, {speed}"
        f"at most {row['peak_rss_mb']:.0f} MB of memory; {row['found']} words of {row['lines']}"
    )


def run(settings: WordsSettings) -> Iterator[dict[str, Any]]:
    """Make the file, read it, and read it again through the cache; a row for each pass.

    Raises UserError where the machine does not say what a process holds.
    """
    if not Path("/proc/self/status").is_file():
        raise UserError("memory cannot be measured", where="/proc/self/status", expected="Linux")
    with tempfile.TemporaryDirectory(dir=settings.folder or None) as folder:
        path = Path(folder) / "glove.txt"
        lines = make_file(path, settings.megabytes * 1_000_000, settings.dimension)
        size_mb = path.stat().st_size / 1e6
        step = max(lines // settings.vocabulary, 1)
        count = min(settings.vocabulary, lines)
        for name in ("first", "again"):
            arguments = [str(path), str(Path(folder) / "cache"), str(step), str(count)]
            child = subprocess.run(
                [sys.executable, "-c", CHILD, *arguments],
                check=True,
                capture_output=True,
                text=True,
            )
            measured = json.loads(child.stdout)
            yield {
                "pass": name,
                "file_mb": round(size_mb, 1),
                "lines": lines,
                "found": measured["found"],
                "seconds": round(measured["seconds"], 3),
                # The second pass reads the cache: what it saves is in its seconds.
                "mb_per_s": round(size_mb / measured["seconds"], 1) if name == "first" else None,
                "peak_rss_mb": round(measured["peak_kb"] * 1024 / 1e6, 1),
            }


def make_file(path: Path, size: int, dimension: int) -> int:
    """A GloVe text file of at least `size` bytes, words w0, w1, ...; returns its lines."""
    drawn = np.random.default_rng(0).standard_normal((POOL, dimension)) * 0.4
    numbers = [" ".join(f"{x:.5g}" for x in row).encode() + b"\n" for row in drawn]
    lines = written = 0
    with path.open("wb", buffering=1 << 22) as stream:
        while written < size:
            written += stream.write(b"w%d %b" % (lines, numbers[lines % POOL]))
            lines += 1
    return lines
