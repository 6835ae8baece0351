"""The HTML that the report shows of Markdown."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mktn.cli import main
from mktn.report.html_page import as_html

MARKDOWN = """# Table 9: <b>, & and others

**Source: synthetic.** One line.

- `origin`: one pair;
- `cached`: another.

## Charades-STA

| Model | R@1<br>ours | R@1<br>paper |
| --- | ---: | ---: |
| MKTN (`full`) | **41.7** [34, 49] | - |
| w/o 1 \\| 2 | 3 | 69.93 |
"""


class Cells(HTMLParser):
    """The text of each cell, by row."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True
        elif tag == "br" and self.inside:
            self.rows[-1][-1] += " "

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.rows[-1][-1] += data


def test_cells_are_those_of_the_markdown() -> None:
    parser = Cells()
    parser.feed(as_html(MARKDOWN, "t"))
    assert parser.rows == [
        ["Model", "R@1 ours", "R@1 paper"],
        ["MKTN (full)", "41.7 [34, 49]", "-"],
        ["w/o 1 | 2", "3", "69.93"],
    ]


def test_a_page_names_itself_and_scrolls_its_tables() -> None:
    html = as_html(MARKDOWN, "<b>")
    assert "<title>&lt;b&gt;</title>" in html
    assert html.count('<div class="table"><table>') == html.count("</table></div>") == 1
    assert "<li><code>origin</code>: one pair;</li>" in html


def test_a_page_asks_nobody_for_anything() -> None:
    html = as_html(MARKDOWN + "\n![picture](http://127.0.0.1/a.png)\n", "t")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    assert policy.group(1).startswith("default-src 'none'")
    assert "script" not in policy.group(1)


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    (tmp_path / "t.md").write_text(MARKDOWN, encoding="utf-8")
    words = ["html-page", "--markdown", str(tmp_path / "t.md"), "--html", str(tmp_path / "t.html")]
    assert main(words) == 0
    assert (tmp_path / "t.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_other_text_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    words = [
        "html-page",
        "--markdown",
        str(tmp_path / "t.csv"),
        "--html",
        str(tmp_path / "t.html"),
    ]
    assert main(words) == 2
    assert "page has no heading" in capsys.readouterr().err
    assert not (tmp_path / "t.html").exists()
