"""`mktn html-page`: Markdown of tables as one HTML file that asks nobody for anything.

Snakemake's report shows HTML and pictures, and lets a reader only save Markdown and csv.
"""

import argparse
import html
from pathlib import Path

from mktn.datasets.annotations import read_text
from mktn.errors import UserError
from mktn.files import write_text

# Tables scroll in boxes of their own, so that a page is as wide as a phone; what a row is about
# stays in sight.
STYLE = """
body { margin: 0; padding: 1rem; font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a;
  background: #fff; overflow-wrap: break-word; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.15rem; } h3 { font-size: 1rem; }
p, ul { max-width: 46rem; }
code, pre { font-size: .9em; } pre { overflow-x: auto; background: #f4f4f4; padding: .7rem; }
.table { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: separate; border-spacing: 0; font-size: .85rem;
  font-variant-numeric: tabular-nums; border-top: 2px solid #333; border-bottom: 2px solid #333; }
th, td { padding: .25rem .6rem; text-align: left; vertical-align: bottom; white-space: nowrap; }
th { border-bottom: 1px solid #333; } th, td { background: #fff; }
tbody tr:nth-child(even) td { background: #f4f4f4; }
th:first-child, td:first-child { position: sticky; left: 0; }
@media (max-width: 600px) { body { padding: .7rem; } th, td { padding: .25rem .4rem; }
  th:first-child, td:first-child { white-space: normal; min-width: 5rem; max-width: 8rem; } }
"""
# Whatever the Markdown holds, nothing runs and nothing is fetched.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `mktn html-page`."""
    parser.add_argument("--markdown", required=True, type=Path, help="tables, or a page of them")
    parser.add_argument("--html", required=True, type=Path, help="output")


def run(arguments: argparse.Namespace) -> None:
    """Write the page; its title is the first heading."""
    text = read_text(arguments.markdown)
    first = text.partition("\n")[0]
    if not first.startswith("# "):
        raise UserError(
            "page has no heading",
            where=arguments.markdown,
            found=repr(first[:60]),
            expected="`# ` and a title in the first line",
            do="give the Markdown that mktn wrote",
        )
    write_text(as_html(text, first.removeprefix("# ")), arguments.html)
    print(f"{arguments.html}")


def as_html(markdown: str, title: str) -> str:
    """One HTML document of a Markdown text with tables."""
    from markdown import Markdown

    body = Markdown(extensions=["tables", "fenced_code", "sane_lists"]).convert(markdown)
    body = body.replace("<table>", '<div class="table"><table>')
    body = body.replace("</table>", "</table></div>")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )
