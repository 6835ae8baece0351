"""The command lines that the bad input spoils work as they stand."""

from pathlib import Path

import pytest

from mktn import cli
from tests.bad_input.world import COMMANDS, NOT_RUN, command_line


def test_every_subcommand_has_a_command_line() -> None:
    assert set(COMMANDS) == set(cli.COMMANDS)


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in NOT_RUN])
def test_it_works_unspoiled(command: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(command_line(command)) == 0, capsys.readouterr().err
