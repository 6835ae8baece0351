"""Locks on folders and files: one process at a time, and file systems that have no locks."""

import errno
import os
from pathlib import Path

import pytest

from mktn.files import lock, locked


@pytest.mark.parametrize("name", ["folder", "file"])
def test_what_one_holds_another_does_not_get(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with locked(tmp_path / name) as first:
        assert first
        with locked(tmp_path / name, wait=False) as second:
            assert not second
    descriptor = lock(tmp_path / name, wait=False)
    assert descriptor is not None
    os.close(descriptor)


@pytest.mark.parametrize("code", ["ENOSYS", "ENOLCK", "ENOTSUP", "EOPNOTSUPP"])
def test_a_file_system_without_locks_is_told_once_and_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch, code: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(getattr(errno, code), "Function not implemented")

    monkeypatch.setattr("mktn.files.fcntl.flock", refuse)
    for _ in range(2):
        with locked(tmp_path, wait=False) as held:
            assert held
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{tmp_path}: cannot be locked (Function not implemented)" in error


def test_another_failure_is_no_lock_held_by_others(tmp_path: Path, monkeypatch) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("mktn.files.fcntl.flock", broken)
    with pytest.raises(OSError, match="Input/output"), locked(tmp_path, wait=False):
        pass
