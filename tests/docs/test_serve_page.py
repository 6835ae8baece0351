"""Each `mktn serve` of the pages starts, says where it is, and ends at Ctrl-C."""

import shlex
import signal
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, commands
from tests.serve.process import served

SHOWN = sorted({c.text for page in PAGES for c in commands(page) if "mktn serve " in c.text})


@pytest.mark.parametrize("command", SHOWN)
def test_it_starts_and_ends(
    command: str, pipeline: Path, videos: list[Path], tmp_path: Path
) -> None:
    run = pipeline / "runs/synthetic/charades/mktn/full/seed0"
    stands = {"bundle": run, "RUN": run, "videos": videos[0].parent}
    given = [stands.get(word, word) for word in shlex.split(command)[2:]]
    with served(tmp_path / "served", *given) as page:
        assert page.address.startswith("http://127.0.0.1:")
        status, _, error = page.end(signal.SIGINT)
    assert status in (0, 128 + signal.SIGINT), error
    assert "Traceback" not in error
