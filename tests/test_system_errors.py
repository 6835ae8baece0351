"""What the machine refuses is one line and status 2; a bug stays a traceback."""

import errno
import os
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors import SafetensorError

from mktn import cli
from mktn.errors import UserError
from mktn.files import written_beside
from mktn.system_errors import disk_error, error_number, refused

TENSORSTORE = (
    'RESOURCE_EXHAUSTED: Error writing local file "/data/p.zarr/a/c/0": Failed writing: '
    '"/data/p.zarr/a/c/0.__lock": Failed to write 72 bytes to file 9: No space left on device '
    "[os_error_code='28']"
)
# What libraries have been seen to raise where a disk is full or cannot be written.
SEEN: list[tuple[BaseException, int]] = [
    (OSError(errno.ENOSPC, "No space left on device"), errno.ENOSPC),
    (OSError(errno.EDQUOT, "Disk quota exceeded", "/data/a"), errno.EDQUOT),
    (PermissionError(errno.EACCES, "Permission denied", "/data/a"), errno.EACCES),
    (PermissionError(errno.EPERM, "Operation not permitted", "/data/a"), errno.EPERM),
    (OSError("No space left on device (os error 28)"), errno.ENOSPC),
    (OSError("Read-only file system (os error 30): /data/a.parquet"), errno.EROFS),
    (OSError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No"), errno.ENOSPC),
    (
        pl.exceptions.ComputeError(
            "parquet: File out of specification: underlying IO error: No space left on device"
            " (os error 28)"
        ),
        errno.ENOSPC,
    ),
    (
        SafetensorError(
            "Error while serializing: I/O error: No space left on device (os error 28)"
        ),
        errno.ENOSPC,
    ),
    (ValueError(TENSORSTORE), errno.ENOSPC),
    (OSError(errno.EIO, "Input/output error", "/data/a"), errno.EIO),
]


@pytest.mark.parametrize(("error", "number"), SEEN, ids=lambda value: str(value)[:40])
def test_each_librarys_way_of_saying_it_is_one_line(error: BaseException, number: int) -> None:
    assert error_number(error) == number
    line = str(disk_error(error, "runs/model.safetensors"))
    assert "\n" not in line
    named = getattr(error, "filename", None) or "/data/" in str(error)
    assert ("/data/" if named else "runs/model.safetensors") in line
    assert ("MB free" in line) == (number in (errno.ENOSPC, errno.EDQUOT))


@pytest.mark.parametrize(
    "error",
    [
        ValueError("shapes (3,) and (4,) do not match"),
        KeyError("os error 28"),
        FileNotFoundError(errno.ENOENT, "No such file", "weights.pt"),
        AssertionError("out of memory is not what this says"),
        UserError("the disk is full (os error 28)"),
    ],
)
def test_a_bug_is_no_fault_of_the_machine(error: BaseException) -> None:
    assert refused(error, "train") is None


def test_memory_that_ran_out_names_what_to_lower() -> None:
    with pytest.raises(MemoryError) as of_numpy:
        np.empty(1 << 50)
    with pytest.raises(RuntimeError) as of_torch:
        torch.empty(1 << 48)
    for error in (of_numpy.value, of_torch.value, torch.OutOfMemoryError("CUDA out of memory.")):
        line = str(refused(error, "train"))
        assert "not enough memory" in line
        assert "loader.queries" in line
        assert "\n" not in line


@pytest.fixture
def step(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """A command `faulty` whose `run` a test sets."""
    module = types.ModuleType("faulty")
    module.add_arguments = lambda parser: None
    monkeypatch.setitem(sys.modules, "faulty", module)
    monkeypatch.setitem(cli.COMMANDS, "faulty", ("faulty", "fails"))
    return module


def raising(error: BaseException):
    def run(arguments: object) -> None:
        raise error

    return run


def test_the_command_ends_with_2_and_a_line_or_with_a_traceback(step, capsys) -> None:
    step.run = raising(OSError(errno.ENOSPC, "No space left on device"))
    assert cli.main(["faulty"]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("mktn faulty: ")
    assert "the disk is full" in shown
    assert shown.count("\n") == 1
    step.run = raising(KeyboardInterrupt())
    assert cli.main(["faulty"]) == 130
    assert capsys.readouterr().err == "mktn faulty: interrupted\n"
    step.run = raising(ValueError("a bug"))
    with pytest.raises(ValueError, match="a bug"):
        cli.main(["faulty"])


def test_a_full_standard_output_is_status_2() -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("/dev/full: a Linux device")
    run = "import sys; from mktn.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", run, "download", "--list"]
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert ended.returncode == 2
    assert "the disk is full" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_refused_write_names_the_target_and_leaves_what_stood_there(tmp_path: Path) -> None:
    target = tmp_path / "a.parquet"
    target.write_text("old")

    def write() -> None:
        with written_beside(target) as beside:
            beside.write_bytes(bytes(100_000))
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match=r"a\.parquet: the disk is full.*MB free") as told:
        write()
    assert "more than the 0.1 MB written" in str(told.value)
    assert ".part" not in str(told.value)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_of_several_files_the_one_that_was_begun_is_named(tmp_path: Path) -> None:
    def write() -> None:
        with written_beside(tmp_path / "a.csv") as beside, written_beside(tmp_path / "a.md"):
            beside.write_text("a")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match=r"a\.csv: the disk is full"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match="a file stands where a folder is needed"),
        written_beside(tmp_path / "file" / "a" / "b"),
    ):
        pass
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(UserError, match="permission denied"), written_beside(closed / "a" / "b"):
        pass
