"""The page of programs, trainings and configuration."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mktn.cli import main
from mktn.provenance import code_sha256

RUN: dict[str, Any] = {
    "source": "synthetic", "dataset": "charades", "model": "mktn", "variant": "full", "seed": 3,
    "selected": 24, "torch": "2.15.0",
    "features": {"backbone": "i3d", "width": 0.125, "weights_sha256": "fde4eef0a92f", "fps": 8.0,
                 "clip": 16, "stride": 8, "patches": 4, "patch_grid": [2, 2],
                 "origin": "extracted", "code_sha256": "5c36d9a9bd1282bc"},
    "text": {"code_sha256": "70a3c77d5972cc3d"},
}  # fmt: skip


def page(folder: Path, configuration: object, *runs: dict[str, Any]) -> str:
    paths = []
    for number, run in enumerate(runs):
        paths.append(folder / f"{number}.json")
        paths[-1].write_text(json.dumps(run), encoding="utf-8")
    words = ["provenance", "--configuration", json.dumps(configuration)]
    words += ["--markdown", str(folder / "p.md"), "--runs", *map(str, paths)]
    assert main(words) == 0
    return (folder / "p.md").read_text(encoding="utf-8")


def test_each_training_is_told_by_its_own_record(tmp_path: Path) -> None:
    text = page(tmp_path, {"source": "synthetic"}, RUN, {**RUN, "seed": 4})
    sha256 = hashlib.sha256((tmp_path / "0.json").read_bytes()).hexdigest()[:8]
    features = "i3d width 0.125, weights fde4eef0, 8 fps, clips of 16 every 8, 2x2 patches"
    assert (
        f"| mktn `full` | Charades-STA | 3 | 24 | 2.15.0 | {features}, extracted"
        f" | 5c36d9a9, 70a3c77d | {sha256} |" in text
    )
    assert "| mktn `full` | Charades-STA | 4 |" in text
    assert "**Source: synthetic.**" in text


def test_versions_are_those_that_run(tmp_path: Path) -> None:
    text = page(tmp_path, {"source": "own"})
    assert f"| torch | {torch.__version__.partition('+')[0]}" in text
    assert f"| code of mktn | {code_sha256('')} |" in text
    assert "No training." in text


def test_no_folder_of_the_machine_is_told(tmp_path: Path) -> None:
    files = ["/srv/x/weights.pth", "relative/weights.pth"]
    own = {"table": "~/kitchen.csv", "fps": 8}
    mine = {"mirror": "/home/somebody/mirror", "own": own, "per_dataset": {"a": {"files": files}}}
    text = page(tmp_path, {"source": "own", **mine})
    assert "mirror: '.../mirror'" in text
    assert ".../weights.pth" in text
    assert "relative/weights.pth" in text
    for secret in ("somebody", "~", "/srv", str(tmp_path)):
        assert secret not in text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--configuration", "[1]"), "configuration cannot be read"),
        (("--configuration", "{"), "configuration cannot be read"),
        (("--configuration", "{}", "--runs", "none.json"), "file cannot be read"),
        (("--configuration", "{}", "--runs", "other.json"), "not the configuration of a run"),
    ],
)
def test_mistakes_are_one_line(
    words: tuple[str, ...],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other.json").write_text('{"source": "synthetic"}', encoding="utf-8")
    assert main(["provenance", *words, "--markdown", "p.md"]) == 2
    line = capsys.readouterr().err.strip()
    assert told in line
    assert "\n" not in line
    assert not Path("p.md").exists()
