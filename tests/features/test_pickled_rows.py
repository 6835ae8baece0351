"""The published skip-thought tables: rows of a pickle, read without unpickling."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mktn.errors import UserError
from mktn.features.pickled_rows import PickledRows
from tests.features.published_skipthought import pickled


def test_the_pickled_tables_of_the_authors_are_read_without_unpickling(tmp_path: Path) -> None:
    table = np.random.default_rng(1).standard_normal((2345, 620)).astype("f4")
    path = tmp_path / "utable.npy"
    pickled(path, table)
    # What the test writes is what NumPy reads such files as; only here is anything unpickled.
    unpickled = np.load(path, allow_pickle=True, encoding="latin1")
    assert {row.shape for row in unpickled} == {(620,), (1, 620)}
    np.testing.assert_array_equal(np.stack([row.reshape(620) for row in unpickled]), table)
    rows = PickledRows(path, 620)
    assert rows.shape == table.shape
    chosen = [0, 2344, 999, 1000, 7, 7]
    np.testing.assert_array_equal(rows[chosen], table[chosen])
    assert rows[[3]].dtype == np.float32
    assert rows[[]].shape == (0, 620)


def test_pickled_tables_that_are_something_else_are_refused(tmp_path: Path) -> None:
    table = np.ones((40, 300), "f4")
    path = tmp_path / "utable.npy"
    pickled(path, table)
    whole = path.read_bytes()
    with pytest.raises(UserError, match=r"utable\.npy.*row 0 of 40 .*620 numbers of 4 bytes"):
        PickledRows(path, 620)
    for lost, message in ((1, "row 40 is cut short"), (500, "row 40"), (5000, "row 3. of 40")):
        path.write_bytes(whole[:-lost])
        with pytest.raises(UserError, match=message):
            PickledRows(path, 300)
    path.write_bytes(whole.replace(b"U\x01<", b"U\x01>"))
    with pytest.raises(UserError, match="expected little-endian float32"):
        PickledRows(path, 300)
    # A pickle that would run a command is looked at and never run.
    np.save(path, np.array([Evil(tmp_path / "ran")], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="row 0 of 1"):
        PickledRows(path, 300)
    assert not (tmp_path / "ran").exists()


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


CHILD = """
import re, sys
from pathlib import Path
from mktn.features.pickled_rows import PickledRows
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024
before = peak()
table = PickledRows(sys.argv[1], 620)
for row in range(0, table.shape[0], 20):
    table[[row]]
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="no /proc to read memory from")
def test_rows_all_over_a_table_do_not_bring_it_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "utable.npy"
    pickled(path, np.ones((80_000, 620), "f4"))  # 200 MB
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)], check=True, capture_output=True, text=True
    )
    assert float(child.stdout) < 60
