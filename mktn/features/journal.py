"""What an interrupted part leaves on disk, so that the next job goes on where it stopped.

Beside the target `part-0.zarr` stands `.part-0.zarr.resume`: `identity.json` (what the rows depend
on), `store/` (the group being written), `state.json` (the videos that are whole on disk) and, with
a tail, one file for each video recorded since. Each is written beside and renamed, so a job
killed at any moment leaves whole files.
"""

import contextlib
import json
import os
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mktn.errors import UserError
from mktn.features.store_checksums import Sum, summed
from mktn.files import lock, write_json, write_text, written_beside
from mktn.process import leaving_s

Record = dict[str, Any]  # a row of the manifest


class PartJournal:
    """The resume folder of one part, locked for this process.

    identity: what the rows depend on, through JSON. `store` is the folder of the group. `state` is
    None when there is nothing to go on from, else the records of the videos that are on disk.
    `note` says in a line what was found. Raises UserError while another process has the folder.
    """

    def __init__(self, target: Path, identity: Mapping[str, Any]) -> None:
        self.folder = target.with_name(f".{target.name}.resume")
        self.store = self.folder / "store"
        self._tail = self.folder / "tail"
        self.folder.mkdir(parents=True, exist_ok=True)
        held = lock(self.folder / "lock", wait=False, wait_s=leaving_s())
        if held is None:
            raise UserError(
                "another process is writing this part", where=target,
                do="wait for it, or end it and run this again",
            )  # fmt: skip
        self._lock: int | None = held
        self.sums: dict[str, Sum] = {}
        wanted = json.loads(json.dumps(identity))
        self.state, self.note = self._found(wanted)
        for path in (*self.store.rglob("*.partial"), *self.store.rglob("*.__lock")):
            path.unlink()  # killed while Zarr or tensorstore wrote a file beside its target
        if self.state is None:
            self._clear()
            write_json(wanted, self.folder / "identity.json")
        self._tail.mkdir(exist_ok=True)

    def restart(self, why: str) -> None:
        """Forget all that was found: the part is made from its beginning."""
        self.state, self.note = None, f"started again: {why}"
        self._clear("identity.json")
        self._tail.mkdir()

    def _clear(self, *but: str) -> None:
        for path in self.folder.iterdir():
            if path.name not in ("lock", *but):
                shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _found(self, wanted: dict[str, Any]) -> tuple[list[Record] | None, str]:
        found = _read_json(self.folder / "identity.json")
        if found is None:
            return None, ""
        if found != wanted:
            keys = [key for key in {**found, **wanted} if found.get(key) != wanted.get(key)]
            return None, f"started again: the interrupted job had another {min(keys)}"
        state = _read_json(self.folder / "state.json")
        if state is None or not (self.store / "zarr.json").is_file():
            return None, ""
        self.sums = {name: (size, crc) for name, (size, crc) in state.get("sums", {}).items()}
        return list(state["videos"]), "going on where a job was interrupted"

    def damaged(self) -> str:
        """The first shard that is not as it was written: a node that died keeps what it likes."""
        for name, expected in self.sums.items():
            path = self.store / name
            if not path.is_file() or summed(path) != expected:
                return name
        return ""

    def save_state(self, rows: int, records: list[Record], sums: Mapping[str, Sum]) -> None:
        """The records in order, with so many rows on disk; those beyond stay in the tail.

        sums: of the shards that hold the rows.
        """
        whole = 0
        while whole < len(records) and _end(records[whole]) <= rows:
            whole += 1
        # Not indented, which is slow: it is written again with every shard.
        write_text(
            json.dumps({"videos": records[:whole], "sums": sums}), self.folder / "state.json"
        )
        for path in self._tail.glob("[0-9]*"):
            if path.name < _name(whole):
                path.unlink()

    def keep(self, index: int, record: Record, rows: Mapping[str, np.ndarray]) -> None:
        """Put the record number `index` and its rows into the tail."""
        with written_beside(self._tail / _name(index)) as beside, beside.open("wb") as stream:
            np.savez(stream, allow_pickle=False, record=np.array(json.dumps(record)), **rows)

    def kept(self, first: int) -> Iterator[tuple[Record, dict[str, np.ndarray]]]:
        """The records of the tail from number `first` on, each with its rows."""
        for index in range(first, first + len(list(self._tail.glob("[0-9]*")))):
            path = self._tail / _name(index)
            try:
                with np.load(path, allow_pickle=False) as arrays:
                    rows = {name: arrays[name] for name in arrays.files}
            except (OSError, ValueError, EOFError, zipfile.BadZipFile):
                return
            yield json.loads(str(rows.pop("record"))), rows

    def forget(self, first: int) -> None:
        """Remove the records of the tail from number `first` on."""
        for path in self._tail.glob("[0-9]*"):
            if path.name >= _name(first):
                path.unlink()

    def finish(self, target: Path) -> None:
        """Rename the whole store to `target`, in place of what stood there; the folder goes."""
        if target.exists():
            with written_beside(target) as beside:
                self.store.rename(beside)
        else:
            self.store.rename(target)
        shutil.rmtree(self.folder)
        self.close()

    def abandon(self) -> None:
        """Remove the folder: nothing of it is worth going on from."""
        shutil.rmtree(self.folder)
        self.close()

    def close(self) -> None:
        """Let other processes have the folder."""
        if self._lock is not None:
            os.close(self._lock)
        self._lock = None


def _end(record: Record) -> int:
    return int(record["offset"]) + int(record["rows"])


def _name(index: int) -> str:
    return f"{index:08d}.npz"


def _read_json(path: Path) -> dict[str, Any] | None:
    with contextlib.suppress(OSError, ValueError):
        value = json.loads(path.read_text(encoding="utf-8"))
        return value if isinstance(value, dict) else None
    return None
