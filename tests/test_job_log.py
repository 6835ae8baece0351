"""`mktn --log FILE`: what a job says is in its log, and a failure says its end and where it is."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mktn.job_log import ended, failed_jobs, failure, last_lines, split_log

# A command of mktn that does what the test says, in a process of its own.
COMMAND = """
import sys, types
from mktn import cli
from mktn.errors import UserError
step = types.ModuleType("step")
step.add_arguments = lambda parser: None
exec(sys.argv[2], step.__dict__ | {"UserError": UserError, "step": step})
sys.modules["step"] = step
cli.COMMANDS["step"] = ("step", "a step")
sys.exit(cli.main([f"--log={sys.argv[1]}", "step"]))
"""


def start(log: Path, body: str, **environment: str) -> subprocess.Popen[str]:
    code = "def run(arguments):\n" + "".join(f"    {line}\n" for line in body.splitlines())
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(log), f"{code}step.run = run"],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_output_of_every_kind_goes_into_the_log_and_nothing_to_the_terminal(
    tmp_path: Path,
) -> None:
    log = tmp_path / "logs" / "step.log"
    body = "import os, subprocess, sys\nprint('one')\nprint('two', file=sys.stderr)\n"
    body += "os.write(1, b'three\\n')\nsubprocess.run(['echo', 'four'], check=True)"
    assert finish(start(log, body)) == (0, "", "")
    assert log.read_text().splitlines()[:4] == ["one", "two", "three", "four"]
    assert ended(log) == 0
    assert last_lines(log, 1) == ["four"]


def test_a_users_mistake_is_its_one_line_and_the_path(tmp_path: Path) -> None:
    log = tmp_path / "step.log"
    body = "for i in range(50): print('line', i)\nraise UserError('broken', where='a.txt')"
    status, out, err = finish(start(log, body))
    assert (status, out) == (2, "")
    assert err.splitlines() == ["mktn step: a.txt: broken", f"mktn step: the log is {log}"]
    assert ended(log) == 2


def test_a_failure_of_ours_is_the_last_lines_and_the_path(tmp_path: Path) -> None:
    log = tmp_path / "step.log"
    body = "for i in range(50): print('line', i)\nraise RuntimeError('no such thing')"
    status, _, err = finish(start(log, body))
    lines = err.splitlines()
    assert status == 1
    assert lines[0] == f"mktn step: exit status 1; the end of its log {log}:"
    assert len(lines) == 21
    assert lines[-1] == "    RuntimeError: no such thing"
    assert "Traceback (most recent call last):" in log.read_text()
    assert "line 0" not in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_job_that_is_stopped_says_by_what(tmp_path: Path, number: signal.Signals) -> None:
    log = tmp_path / "step.log"
    process = start(log, "import time\nprint('working')\ntime.sleep(60)")
    wait_for(log, "working\n")
    process.send_signal(number)
    status, _, err = finish(process)
    assert status == 128 + number
    assert f"stopped by {number.name}; the end of its log {log}:\n    working\n" in err
    assert ended(log) == 128 + number


def test_a_killed_job_is_found_by_its_log_and_shown_once(tmp_path: Path) -> None:
    since = time.time() - 60
    log = tmp_path / "train" / "killed.log"
    process = start(log, "import time\nprint('working')\ntime.sleep(60)")
    wait_for(log, "working\n")
    process.kill()
    assert finish(process) == (-signal.SIGKILL, "", "")
    failed = tmp_path / "train" / "failed.log"
    finish(start(failed, "raise UserError('broken')"))
    finish(start(tmp_path / "train" / "good.log", "print('fine')"))
    slurm = tmp_path / "slurm" / "rule_train" / "7.log"  # SLURM's own: no mktn ends it
    slurm.parent.mkdir(parents=True)
    slurm.write_text("srun: error\n")
    here = [*failed_jobs(tmp_path, since, told=True)]
    assert len(here) == 1
    assert here[0].startswith(f"{log}: its job was killed")
    assert "    working\n" in here[0]
    elsewhere = [*failed_jobs(tmp_path, since, told=False)]
    assert len(elsewhere) == 2
    assert elsewhere[0] == f"mktn step: broken\nmktn train: the log is {failed}\n"
    assert not [*failed_jobs(tmp_path, time.time() + 60, told=False)]
    assert not [*failed_jobs(tmp_path / "absent", since, told=False)]


def test_a_child_process_dies_of_sigterm_as_ever(tmp_path: Path) -> None:
    body = "import multiprocessing, time\n"
    body += "child = multiprocessing.get_context('fork').Process(target=time.sleep, args=(60,))\n"
    body += (
        "child.start(); time.sleep(0.2); child.terminate(); child.join(); print(child.exitcode)"
    )
    log = tmp_path / "step.log"
    assert finish(start(log, body))[0] == 0
    assert last_lines(log, 1) == [str(-signal.SIGTERM)]


def test_another_process_of_the_same_job_adds_to_the_log_and_says_nothing(tmp_path: Path) -> None:
    log = tmp_path / "step.log"
    assert finish(start(log, "print('first')"))[0] == 0
    assert finish(start(log, "print('second')\nraise SystemExit(3)", RANK="1")) == (3, "", "")
    assert last_lines(log) == ["first", "second"]


def test_a_log_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    status, out, err = finish(start(tmp_path, "print('never')"))
    assert (status, out) == (2, "")
    assert err == (
        f"mktn step: {tmp_path}: the log cannot be written, found Is a directory, "
        "expected a file\n"
    )


def test_bad_options_are_in_the_log_too(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    command = [sys.executable, "-c", "import sys; from mktn.cli import main; sys.exit(main())"]
    command += ["--log", str(log), "group", "--nonsense"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert len(run.stderr.splitlines()) == 2
    assert "mktn group: the following arguments are required: --pairs" in log.read_text()


def test_a_log_of_another_program_breaks_nothing(tmp_path: Path) -> None:
    log = tmp_path / "odd.log"
    log.write_bytes(b"\xff\xfe\x00 bytes\n" * 10_000 + b"the end")
    assert last_lines(log, 1) == ["the end"]
    assert ended(log) is None
    assert "the end" in failure(log, "step", 1)


def test_only_a_leading_log_is_taken() -> None:
    assert split_log(["--log", "a", "train", "--run", "x"]) == (Path("a"), ["train", "--run", "x"])
    assert split_log(["--log=a", "train"]) == (Path("a"), ["train"])
    assert split_log(["train", "--log", "a"]) == (None, ["train", "--log", "a"])
    assert split_log([]) == (None, [])


def wait_for(log: Path, text: str) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if log.exists() and text in log.read_text():
            return
        time.sleep(0.02)
    raise AssertionError(f"{text} never came into {log}")
