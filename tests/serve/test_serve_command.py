"""`mktn serve` says in one line why it does not serve."""

import importlib.util
import socket
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from mktn.cli import main
from mktn.grounder.grounder import Grounder


def refused(capsys: pytest.CaptureFixture[str], *given: str) -> str:
    assert main(["serve", *given]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    return error


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--port", "70000"], "--port: value refused, found 70000, expected 0 to 65535"),
        (["--port", "-1"], "--port: value refused"),
        (["--upload-mb", "0"], "--upload-mb: value refused, found 0, expected >= 1"),
        (["--threads", "0"], "--threads: value refused"),
        (["--videos", "absent"], "absent: no such folder"),
        (["--port", "0"], "absent-run: no such folder"),
        (["--host", "no.such.host.invalid", "--port", "0"], "cannot listen there"),
    ],
)
def test_a_mistake_is_one_line(
    given: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if "--host" in given:
        assert main(["serve", "absent-run", *given]) == 2
        note, error = capsys.readouterr().err.splitlines()
        assert "whoever reaches this machine over the network can open the page" in note
        assert says in error
        return
    assert says in refused(capsys, "absent-run", *given)


def test_a_port_in_use_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = refused(capsys, "absent-run", "--port", str(port))
    assert f"http://127.0.0.1:{port}/: the port is in use" in error
    assert "name another one, or 0 for a free one: --port" in error


def test_without_the_library_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec

    def without(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "nicegui" else found(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    error = refused(capsys, "absent-run")
    assert "NiceGUI is not installed" in error
    assert "pip install 'nicegui>=3.0'" in error


def test_a_run_that_sees_no_new_video_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Blind:
        class parts:
            backbone = None
            without = "the run's video features were imported: no backbone of it can see a video"

    monkeypatch.setattr(Grounder, "load", lambda *given, **named: Blind())
    monkeypatch.chdir(tmp_path)
    error = refused(capsys, "run", "--port", "0")
    assert "run: the run's video features were imported" in error
    assert not list(tmp_path.iterdir())
