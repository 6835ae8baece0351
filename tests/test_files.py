"""What killed writers leave is removed, and writers of one target do not disturb each other."""

import os
import subprocess
import sys
from pathlib import Path

from mktn.files import _remove_left, written_beside

KILLED = """
import os, signal, sys
from mktn import files
if sys.argv[2] == "old":  # between the two renames of a folder
    os.replace = lambda *paths: os.kill(os.getpid(), signal.SIGKILL)
with files.written_beside(sys.argv[1]) as beside:
    beside.mkdir()
    (beside / "new").write_text("new")
    if sys.argv[2] == "part":
        os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(target: Path, when: str) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(target), when], check=False)
    _remove_left.cache_clear()  # each process looks at a folder once


def test_the_next_writer_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    killed(tmp_path / "store", "part")
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".store.")
    # Of a process that lives, and of another machine.
    living = left.with_suffix("").with_suffix(f".{os.getppid()}.part")
    elsewhere = tmp_path / ".store.another-machine.1.part"
    living.mkdir()
    elsewhere.mkdir()
    with written_beside(tmp_path / "table.csv") as beside:
        beside.write_text("a")
    assert {path.name for path in tmp_path.iterdir()} == {
        "table.csv", living.name, elsewhere.name
    }  # fmt: skip


def test_a_folder_moved_away_by_a_killed_writer_comes_back(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "new").write_text("old")
    killed(tmp_path / "store", "old")
    assert not (tmp_path / "store").exists()
    with written_beside(tmp_path / "table.csv") as beside:
        beside.write_text("a")
    assert (tmp_path / "store" / "new").read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"store", "table.csv"}


def test_two_writers_of_one_folder_leave_one_whole_folder(tmp_path: Path) -> None:
    code = """
import sys
from mktn.files import written_beside
for _ in range(200):
    with written_beside(sys.argv[1]) as beside:
        beside.mkdir()
        for name in "abc":
            (beside / name).write_text(name)
"""
    target = tmp_path / "store"
    command = [sys.executable, "-c", code, str(target)]
    writers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    said = [writer.communicate()[1] for writer in writers]
    assert said == ["", "", ""]
    assert {path.name: path.read_text() for path in target.iterdir()} == {n: n for n in "abc"}
    assert list(tmp_path.iterdir()) == [target]
