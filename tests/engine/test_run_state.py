"""state.json: what a training says of itself, however it ends, and what others may read there."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mktn.engine.run_state import (
    BEAT_S,
    NAME,
    SILENT_S,
    RunState,
    StateFile,
    alive,
    best_of,
    read_state,
    silence_s,
)
from mktn.errors import UserError

LOG = [
    {"epoch": 0, "val_mIoU": 20.0, "seconds": 10.0},
    {"epoch": 1, "val_mIoU": None, "seconds": 20.0},
    {"epoch": 2, "val_mIoU": 30.0, "seconds": 30.0},
    {"epoch": 3, "val_mIoU": 30.0, "seconds": 20.0},
]


def test_it_says_what_runs_how_far_it_is_and_where(tmp_path: Path) -> None:
    with StateFile(tmp_path, 8) as told:
        first = read_state(tmp_path)
        assert (first.state, first.epoch, first.epochs, first.best) == ("running", 0, 8, None)
        assert first.pid == os.getpid()
        assert alive(first, time.time()) is True
        told.follow(LOG, 0.25)
        then = read_state(tmp_path)
        assert (then.epoch, then.share, then.epoch_s) == (4, 0.25, 20.0)
        assert (then.best, then.best_epoch) == (30.0, 2)
    assert read_state(tmp_path).state == "done"


def test_within_an_epoch_it_gives_a_sign_now_and_then_only(tmp_path: Path) -> None:
    with StateFile(tmp_path, 8) as told:
        told.follow([], 0.5)
        assert read_state(tmp_path).share == 0.0
        told.state.updated -= BEAT_S
        told.follow([], 0.6)
        assert read_state(tmp_path).share == 0.6


@pytest.mark.parametrize(
    ("error", "state", "said"),
    [
        (UserError("broken", where="a.txt"), "failed", "a.txt: broken"),
        (RuntimeError("out of\nmemory"), "failed", "RuntimeError: out of memory"),
        (SystemExit(143), "interrupted", None),
        (KeyboardInterrupt(), "interrupted", None),
    ],
)
def test_how_it_ended(tmp_path: Path, error: BaseException, state: str, said: str | None) -> None:
    with pytest.raises(type(error)), StateFile(tmp_path, 8):
        raise error
    found = read_state(tmp_path)
    assert (found.state, found.error) == (state, said)


def test_a_killed_process_is_not_alive(tmp_path: Path) -> None:
    code = "import sys, time; from mktn.engine.run_state import StateFile\n"
    code += "with StateFile(sys.argv[1], 8): print('in', flush=True); time.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "in\n"
    state = read_state(tmp_path)
    assert state.pid == process.pid
    assert alive(state, time.time()) is True
    process.send_signal(signal.SIGKILL)
    until = time.monotonic() + 20
    while alive(state, time.time()) and time.monotonic() < until:
        time.sleep(0.01)
    assert alive(state, time.time()) is False  # not waited for yet: a zombie
    process.communicate()
    assert read_state(tmp_path).state == "running"
    assert alive(state, time.time()) is False


def test_another_process_with_the_number_or_another_boot_is_not_it(tmp_path: Path) -> None:
    with StateFile(tmp_path, 8):
        state = read_state(tmp_path)
    now = time.time()
    assert alive(state, now) is True
    assert alive(dataclasses.replace(state, pid_started="1"), now) is False
    assert alive(dataclasses.replace(state, boot="another"), now) is False


def test_on_another_host_the_age_of_the_last_sign_tells() -> None:
    state = RunState("running", 8, host="elsewhere", updated=1000.0)
    assert alive(state, 1000 + SILENT_S - 1) is None
    assert alive(state, 1000 + SILENT_S + 1) is False
    slow = dataclasses.replace(state, epoch_s=3600.0)
    assert alive(slow, 1000 + 7100) is None
    assert alive(slow, 1000 + 7300) is False
    assert silence_s(slow, 1000 + 7300) == 7300


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"format": 1, "state": "run',
        "[]",
        "null",
        '{"format": 2, "state": "running", "epochs": 8}',
        '{"format": 1, "state": "sleeping", "epochs": 8}',
        '{"format": 1, "state": "running"}',
        '{"format": 1, "state": "running", "epochs": "8"}',
        '{"format": 1, "state": "running", "epochs": 8, "pid": {"a": 1}}',
        '{"format": 1, "state": "running", "epochs": 8, "updated": NaN}',
        '{"format": 1, "state": "running", "epochs": 8, "unknown": 1}',
        "[" * 100_000,
    ],
)
def test_files_of_others_are_as_none(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    assert read_state(tmp_path) is None


def test_odd_things_in_its_place_are_as_none(tmp_path: Path) -> None:
    assert read_state(tmp_path / "absent") is None
    (tmp_path / NAME).write_bytes(b"\xff\xfe\x00")
    assert read_state(tmp_path) is None
    (tmp_path / NAME).unlink()
    (tmp_path / NAME).mkdir()
    assert read_state(tmp_path) is None
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / NAME).rmdir()
    (tmp_path / NAME).symlink_to("pipe")
    assert read_state(tmp_path) is None


def test_where_it_cannot_be_written_the_training_goes_on(tmp_path: Path, capsys) -> None:
    (tmp_path / "run").write_text("a file")
    with StateFile(tmp_path / "run", 8) as told:
        told.follow(LOG, 0.0)
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "state.json: not written" in error


def test_only_the_first_of_several_processes_writes(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("RANK", "1")
    with StateFile(tmp_path, 8):
        assert not (tmp_path / NAME).exists()


def test_scores_that_are_none_or_no_number_are_not_the_best() -> None:
    assert best_of([]) == (None, None)
    assert best_of([{"epoch": 0, "val_mIoU": None}]) == (None, None)
    rows = [{"epoch": 0, "val_mIoU": float("nan")}, {"epoch": 1, "val_mIoU": 3.0}]
    assert best_of(rows) == (3.0, 1)


def test_it_is_json_with_a_format(tmp_path: Path) -> None:
    with StateFile(tmp_path, 8):
        pass
    assert json.loads((tmp_path / NAME).read_text())["format"] == 1
