"""docs/serve.md: its commands serve the tiny bundle, and its limits are those of the code."""

import re
import shlex
import shutil
import signal
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from mktn.serve import serve, service, uploads
from tests.serve.process import served

pytest.importorskip("nicegui")

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")
COMMANDS = [shlex.split(line) for line in re.findall(r"^    mktn serve (.*)$", TEXT, re.M)]


def fetched(address: str, **headers: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers)) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_commands_serve_until_ctrl_c(
    bundle_folder: Path, videos: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "videos").mkdir()
    shutil.copy(videos[0], tmp_path / "videos" / "kitchen.mp4")
    here = {"bundle": bundle_folder, "videos": tmp_path / "videos"}
    assert [words[0] for words in COMMANDS] == ["bundle", "bundle"]
    longest = max(COMMANDS, key=len)
    assert all(set(words) <= set(longest) for words in COMMANDS)
    with served(tmp_path / "own", *(here.get(word, word) for word in longest)) as server:
        status, page = fetched(server.address)
        assert status == 200
        assert "kitchen.mp4" in page
        assert "Up to 50 MB" in page
        assert "https:" not in page
        assert str(tmp_path) not in page
        assert fetched(server.address, Host="evil.example")[0] == 421
        assert fetched(server.address, Origin="http://evil.example")[0] == 403
        for path in ("docs", "openapi.json", "media/kitchen.mp4", "media/..%2f..%2fetc%2fpasswd"):
            assert fetched(server.address + path)[0] == 404, path
        assert server.end(signal.SIGINT) == (0, "", "")
        assert server.written() == []


def test_the_limits_are_those_of_the_code() -> None:
    assert f"bounds an upload ({serve.UPLOAD_MB})" in TEXT
    assert f"127.0.0.1:{serve.PORT}/ (Ctrl-C ends it)" in TEXT
    asked = f"{service.MOST_SENTENCES} at once, of {service.MOST_CHARACTERS} characters each"
    assert asked in TEXT
    assert service.LONGEST_UPLOAD_S == 3600
    assert "more than an hour" in TEXT
    assert uploads.A_TAB == 3
    assert "A tab keeps three" in TEXT


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (Path(__file__).resolve().parents[2] / "docs" / target).exists(), target
