"""What was kept of a large file of word vectors, so that it is read once and not once a run."""

import hashlib
import zipfile
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np

from mktn.features import glove
from mktn.features.glove import GloveWords
from mktn.files import written_beside

SAMPLED_BYTES = 1 << 20  # hashed at the head and at the tail of the file


def scan(
    path: str | Path,
    vocabulary: Collection[str],
    cache: str | Path,
    say: Callable[[str], None] = print,
) -> GloveWords:
    """As `glove.scan`, but a `.txt` or `.zip` that was read before is not read again.

    `cache` is a folder that several data sets and jobs may share. An entry is an `.npz` named by
    the file's `identity` and by the words looked for, and holds the words found, their vectors,
    the words looked for, and the hash of the whole file. It serves every vocabulary
    within the words that were looked for; a word beyond them means another pass and another
    entry. Entries are never changed and are renamed when whole, so that jobs that run at the
    same time write what either would. Raises UserError as `glove.scan` does.
    """
    path, cache, wanted = Path(path), Path(cache), set(vocabulary)
    if path.suffix == ".npz" or not path.is_file():
        return glove.scan(path, wanted)
    entries = f"{path.stem}-{identity(path)}"
    for entry in sorted(cache.glob(f"{entries}-*.npz")):
        try:
            found = _load(entry, wanted)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            say(f"{entry}: not a whole cache entry, passed over ({error})")
            continue
        if found is not None:
            say(f"{path.name}: {len(found.words)} of {len(wanted)} words, read before: {entry}")
            return found
    found = glove.scan(path, wanted)
    looked_for = np.array(sorted(wanted), dtype=str)
    words_sha256 = hashlib.sha256("\n".join(looked_for).encode()).hexdigest()
    with (
        written_beside(cache / f"{entries}-{words_sha256[:12]}.npz") as beside,
        beside.open("wb") as stream,
    ):
        np.savez(
            stream,
            words=np.array(found.words, dtype=str),
            vectors=found.vectors,
            looked_for=looked_for,
            median_norm=found.median_norm,
            sha256=found.sha256,
        )
    say(f"{path.name}: {len(found.words)} of {len(wanted)} words, kept in {cache}")
    return found


def identity(path: Path) -> str:
    """16 hexadecimal digits of a file's name, size, time of change, first and last megabyte.

    What writes a file changes its time, also when name, size and both ends stay; a copy of the
    same file with another time is read once more, which costs time and no correctness.
    """
    stat = path.stat()
    digest = hashlib.sha256(f"{path.name}\0{stat.st_size}\0{stat.st_mtime_ns}\0".encode())
    with path.open("rb") as stream:
        digest.update(stream.read(SAMPLED_BYTES))
        stream.seek(max(stat.st_size - SAMPLED_BYTES, 0))
        digest.update(stream.read(SAMPLED_BYTES))
    return digest.hexdigest()[:16]


def _load(entry: Path, wanted: set[str]) -> GloveWords | None:
    """The entry's share of `wanted`, or None when some of them were not looked for."""
    with np.load(entry, allow_pickle=False) as arrays:
        if not wanted <= set(arrays["looked_for"].tolist()):
            return None
        words, vectors = arrays["words"].tolist(), arrays["vectors"]
        rows = [row for row, word in enumerate(words) if word in wanted]
        return GloveWords(
            [words[row] for row in rows],
            vectors[rows],
            float(arrays["median_norm"]),
            str(arrays["sha256"]),
        )
