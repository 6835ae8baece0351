"""What the user gives wrong, case by case: one line, status 2, nothing written."""

from pathlib import Path

import pytest

from tests.bad_input import cases_settings, cases_tables
from tests.bad_input.case import Case, refused_in_one_line

CASES = (*cases_settings.CASES, *cases_tables.CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_refused_in_one_line(
    case: Case, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case.spoil()
    refused_in_one_line(case.arguments, case.says, here, capsys)


def test_no_two_cases_have_one_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 60
