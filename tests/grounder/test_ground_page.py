"""docs/ground.md: each command runs, and says what it should, in a tiny pipeline's folder."""

import importlib.util
import json
import re
import shutil
from pathlib import Path

import pytest

from mktn.cli import main
from mktn.config import fill
from mktn.grounder.unseen_bench import UnseenSettings
from tests.docs.pages import text_of, typed_commands

ROOT = Path(__file__).resolve().parents[2]
TEXT = text_of("docs/ground.md")
COMMANDS = [words[1:] for words in typed_commands("docs/ground.md")]
EXTRACTED = "data/synthetic/features/charades/c3d"
PYTHON = re.findall(r"^```python\n(.*?)^```", TEXT, re.M | re.S)


@pytest.fixture(scope="module")
def folder(pipeline: Path, videos: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's names in the folder of a tiny pipeline."""
    here = tmp_path_factory.mktemp("page")
    for name in ("runs", "data"):
        (here / name).symlink_to(pipeline / name)
    for video, name in zip(videos, ("kitchen", "garden", "hall"), strict=False):
        shutil.copy(video, here / f"{name}.mp4")
    return here


def test_every_command_runs(
    folder: Path, videos: list[Path], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(folder)
    asked = [words for words in COMMANDS if words[0] != "bench"]
    assert [words[0] for words in asked].count("ground") == 5
    assert [words[0] for words in asked].count("export") == 1
    for words in asked:
        # The tiny data have another id and, on this flavour, another backbone than the default.
        tiny = {"0AXFY": videos[0].stem, "data/synthetic/features/charades/i3d": EXTRACTED}
        given = [tiny.get(word, word) for word in words]
        if importlib.util.find_spec("matplotlib") is None and "--plot" in given:
            place = given.index("--plot")
            del given[place : place + 2]
        assert main(given) == 0, words
        said = capsys.readouterr()
        assert "bundle: " in said.out if words[0] == "export" else "1. the red ball" in said.out
    assert json.loads((folder / "answers.json").read_text())["answers"]
    assert len(list((folder / "clips").glob("kitchen-1-1.mp4"))) == 1


def test_the_python_runs(
    folder: Path, bundle_folder: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(folder)
    if not (folder / "bundle").exists():
        (folder / "bundle").symlink_to(bundle_folder)
    (code,) = PYTHON
    exec(code, {})  # as a reader would
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" [(")[0] for line in lines] == ["the red ball spins", "a star flashes"]


def test_the_benchmarks_take_these_settings() -> None:
    """That they run is in tests/grounder/test_unseen_bench.py, at a small size."""
    found = [words for words in COMMANDS if words[0] == "bench"]
    assert len(found) == 2
    for words in found:
        assert words[1] == "ground"
        given = words[words.index("--settings") + 1] if "--settings" in words else "{}"
        fill(UnseenSettings, json.loads(given))


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (ROOT / "docs" / target).exists(), target
