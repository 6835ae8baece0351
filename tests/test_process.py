"""A command ends with the process that the environment names, and as SIGTERM tells it to."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mktn.process import ENDS_WITH, is_alive

# A step that has begun to write and would go on for a minute, as `mktn` runs it.
WRITING = """
import sys, time, types
from mktn import cli
from mktn.files import written_beside

def run(arguments):
    with written_beside(sys.argv[1]) as beside:
        beside.write_text("half")
        print("writing", flush=True)
        time.sleep(60)

sys.modules["step"] = types.ModuleType("step")
sys.modules["step"].add_arguments = lambda parser: None
sys.modules["step"].run = run
cli.COMMANDS["step"] = ("step", "writes")
sys.exit(cli.main(["step"]))
"""


def writer(target: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITING, str(target)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


@pytest.mark.parametrize("pidfd", [True, False])
def test_a_command_ends_with_the_process_that_started_the_shell_that_started_it(
    tmp_path: Path, pidfd: bool
) -> None:
    # As below Snakemake: the shell stands between and lives on.
    code = WRITING if pidfd else "import os; del os.pidfd_open\n" + WRITING
    (tmp_path / "step.py").write_text(code)
    shell = f"{sys.executable} {tmp_path / 'step.py'} {tmp_path / 'a'}; echo ended $?"
    starter = (
        "import os, subprocess, time; "
        f"os.environ[{ENDS_WITH!r}] = str(os.getpid()); "
        f"subprocess.Popen({shell!r}, shell=True, executable='/bin/sh'); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", starter], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    process.kill()
    assert process.stdout.readline() == f"ended {128 + signal.SIGTERM}\n"
    process.stdout.close()
    process.wait()
    assert [path.name for path in tmp_path.iterdir()] == ["step.py"]


def test_a_command_that_no_environment_binds_outlives_its_starter(tmp_path: Path) -> None:
    starter = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {WRITING!r}, "
    starter += f"{str(tmp_path / 'a')!r}]); import time; time.sleep(60)"
    environment = {k: v for k, v in os.environ.items() if k != ENDS_WITH}
    process = subprocess.Popen(
        [sys.executable, "-c", starter], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    process.kill()
    process.wait()
    time.sleep(0.5)
    (left,) = tmp_path.iterdir()
    pid = int(left.name.split(".")[-2])
    assert is_alive(pid)
    os.kill(pid, signal.SIGTERM)
    process.stdout.read()  # until it has ended
    process.stdout.close()
    assert list(tmp_path.iterdir()) == []


def test_sigterm_leaves_nothing_half_written(tmp_path: Path) -> None:
    process = writer(tmp_path / "a", {})
    process.terminate()
    process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_is_one_line(tmp_path: Path) -> None:
    process = writer(tmp_path / "a", {})
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert (process.returncode, said) == (130, "mktn step: interrupted\n")
    assert list(tmp_path.iterdir()) == []
