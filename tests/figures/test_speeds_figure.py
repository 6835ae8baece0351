"""Figure 3b as a reader sees it: its words, its bars, and the same bytes each time."""

import re
from pathlib import Path

import pytest

from mktn.cli import main
from mktn.report.figure_data import COLUMNS

ROWS = (
    "MMN,FS,mmn,origin,charades,origin,VPS,200,190,230,21.63,63,0",
    "MMN,FS,mmn,origin,charades,cached,VPS,300,290,330,,63,0",
    "MMN,FS,mmn,origin,charades,multi_pair,VPS,700,690,730,,63,0",
    "MMN,FS,mmn,plus_mktn,charades,multi_pair,VPS,600,590,630,48.38,63,1",
)


def draw(folder: Path, name: str = "f") -> int:
    data = folder / "figure3b.csv"
    lines = [",".join(COLUMNS["3b"]), *(f"{row},one machine,synthetic" for row in ROWS)]
    data.write_text("\n".join(lines) + "\n")
    outputs = ("--svg", str(folder / f"{name}.svg"), "--png", str(folder / f"{name}.png"))
    return main(["figure", "--figure", "3b", "--data", str(data), *outputs])


def test_the_svg_has_text_as_text_and_says_its_source(tmp_path: Path) -> None:
    assert draw(tmp_path) == 0
    svg = (tmp_path / "f.svg").read_text()
    texts = re.findall(r"<text[^>]*>([^<]+)</text>", svg)
    assert {"MMN", "Charades-STA, measured", "Charades-STA, reported", "videos a second"} <= set(
        texts
    )
    assert any("source: synthetic" in text and "one machine" in text for text in texts)
    # As the table of the same speeds says it.
    assert "while these were measured: MMN +MKTN" in " ".join(texts)
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_figure_is_the_same_bytes(tmp_path: Path) -> None:
    assert draw(tmp_path, "one") == draw(tmp_path, "two") == 0
    for suffix in ("svg", "png"):
        assert (tmp_path / f"one.{suffix}").read_bytes() == (
            tmp_path / f"two.{suffix}"
        ).read_bytes()


def test_files_of_another_figure_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = ("--svg", str(tmp_path / "f.svg"), "--png", str(tmp_path / "f.png"))
    assert main(["figure", "--figure", "3b", *outputs]) == 2
    assert "--data: figure 3b is drawn from other files, found none" in capsys.readouterr().err
