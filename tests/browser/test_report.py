"""The report of the tiny DAG, opened as a reviewer does: from a file, without a network."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import DESKTOP, PHONE, Watched
from tests.workflow.test_pipeline import ROOT, snakemake

# One system, as each peer is four more jobs with PyTorch; short measurements.
CONFIG = (
    "systems=[mktn]",
    "report={tables: [1, 3], pages: [efficiency]}",
    "efficiency={videos: 2, repeats: 2, warm_up_batches: 1, minutes: 0}",
)
STYLE = str(ROOT / "workflow" / "report" / "style.css")
TABLES = ("table1", "table3")
PAGES = ("efficiency", "provenance")
SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
Open = Callable[..., Watched]


@pytest.fixture(scope="module")
def made(finished: Path) -> Path:
    """The folder in which the report's contents and the report were made."""
    for options in ((), ("--report", "report.html", "--report-stylesheet", STYLE)):
        run = snakemake(finished, "report_contents", *options, "--config", *CONFIG)
        assert run.returncode == 0, run.stdout[-5000:]
    return finished


@pytest.fixture(scope="module")
def report(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report alone, as it is sent to somebody."""
    return Path(shutil.copy(made / "report.html", tmp_path_factory.mktemp("sent")))


def start(opened: Open, report: Path, size: dict[str, int]) -> Watched:
    watched = opened(size, offline=True)
    watched.page.goto(report.as_uri())
    expect(watched.page.locator("nav").first).to_be_visible()
    return watched


def check_watched(watched: Watched) -> None:
    assert watched.errors == []
    assert {re.split("[:,]", url)[0] for url in watched.asked} <= {"file", "data", "blob"}
    assert sum(url.startswith("file:") for url in watched.asked) == 1
    # Whatever was opened, the page itself is as wide as the window.
    wide = watched.page.evaluate("[document.documentElement.scrollWidth, visualViewport.width]")
    assert wide[0] <= wide[1] + 1


def held(page: Page) -> dict[str, dict[str, Any]]:
    """What the report holds, by path."""
    found: dict[str, dict[str, Any]] = page.evaluate("results")
    return found


def shown(page: Page) -> Locator:
    """Where a result is seen, beside or below the menu."""
    return page.locator("#app > div > div.grow")


def open_menu(page: Page, entry: str) -> None:
    page.locator("nav nav a").first.click()
    page.locator("nav li a", has_text=re.compile(f"^{re.escape(entry)}$")).click()


def test_every_table_figure_and_csv_is_in_it(opened: Open, report: Path, made: Path) -> None:
    paths = set(held(start(opened, report, DESKTOP).page))
    assert {f"results/{stem}.html" for stem in (*TABLES, *PAGES)} <= paths
    assert {f"results/{stem}.csv" for stem in (*TABLES, "efficiency", "figure3a")} <= paths
    assert {f"results/{stem}.tex" for stem in TABLES} <= paths
    drawn = {f"results/{path.name}" for path in (made / "results").glob("*.svg")}
    assert {"results/figure3a.svg", "results/figure_ablations.svg"} <= drawn
    assert {path for path in paths if path.endswith(".svg")} == drawn


@SIZES
def test_every_result_opens_by_a_click(
    size: dict[str, int], opened: Open, report: Path, made: Path
) -> None:
    watched = start(opened, report, size)
    page = watched.page
    by_category = page.evaluate(
        "Object.entries(categories).map(([k, v]) => [k, Object.values(v)])"
    )
    seen = []
    for category, groups in by_category:
        open_menu(page, category)
        paths = [path for group in groups for path in group]
        rows = page.locator("nav tbody tr")
        expect(rows).to_have_count(len(paths))
        for path in paths:
            (label,) = held(page)[path]["labels"].values()
            row = rows.filter(has=page.get_by_text(label, exact=True))
            eye = row.locator("a").first
            if path.endswith((".csv", ".tex")):
                with page.expect_download() as download:
                    eye.click()
                # Chromium drops the eleventh download of a second, which no person asks for.
                page.wait_for_timeout(150)
                assert download.value.path().read_bytes() == (made / path).read_bytes()
            else:
                eye.click()
                (check_page if path.endswith(".html") else check_figure)(page, label)
            seen.append(path)
    assert sorted(seen) == sorted(held(page))
    check_watched(watched)


def check_page(page: Page, label: str) -> None:
    """A page of tables: with rows, the table's own title, and no wider than its frame."""
    frame = shown(page).frame_locator("iframe")
    if label.startswith("Table"):
        expect(frame.locator("h1")).to_have_text(label)
    expect(frame.locator("h1")).to_be_visible()
    assert frame.locator("tbody tr").count() > 1
    expect(frame.locator("tbody tr").first).to_be_attached()
    assert frame.get_by_text("Source: synthetic").count() >= 1
    html = frame.locator("html")
    assert html.evaluate("e => e.scrollWidth <= e.clientWidth")
    inside = html.evaluate("e => e.clientHeight / window.innerHeight")
    assert inside > 0.9
    # Tables that are too wide scroll in their own boxes, to their last column.
    box = frame.locator(".table").first
    box.evaluate("e => e.scrollTo(e.scrollWidth, 0)")
    assert box.evaluate("e => e.scrollLeft + e.clientWidth >= e.scrollWidth - 1")


def check_figure(page: Page, label: str) -> None:
    """A figure: a picture that was read, all of its width to be seen."""
    picture = shown(page).locator("img")
    expect(picture).to_be_visible()
    assert picture.evaluate("e => e.decode().then(() => e.naturalWidth * e.naturalHeight)") > 0
    box, window = picture.bounding_box(), page.viewport_size
    assert box is not None
    assert window is not None
    assert box["width"] > 0.6 * min(window["width"], 800) - 24
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= window["width"]


@SIZES
def test_a_result_says_what_it_is_and_how_it_was_made(
    size: dict[str, int], opened: Open, report: Path
) -> None:
    watched = start(opened, report, size)
    page = watched.page
    open_menu(page, "Figures")
    row = page.locator("nav tbody tr", has_text="Figure 3a")
    row.locator("a").last.click()
    menu = page.locator("nav").first
    for said in ("Figure 3a of the MKTN paper", "Source: synthetic; training seeds: 0."):
        expect(menu.locator(".prose", has_text=said)).to_be_visible()
    menu.locator("li", has_text=re.compile("^figure_of_data$|figure")).locator("a").last.click()
    code = menu.locator(".source").first
    code.scroll_into_view_if_needed()
    expect(code).to_contain_text("mktn --log")
    check_watched(watched)


@SIZES
def test_description_workflow_and_statistics(
    size: dict[str, int], opened: Open, report: Path
) -> None:
    watched = start(opened, report, size)
    page = watched.page
    expect(shown(page).locator("h1")).to_have_text("Multi-pair temporal sentence grounding")
    expect(shown(page)).to_contain_text("not comparable with any published number")
    page.get_by_role("link", name="Tables of MKTN").last.click()
    expect(page.locator("nav tbody tr")).to_have_count(2)
    open_menu(page, "Workflow")
    graph = page.locator("#rulegraph canvas, #rulegraph svg.marks").first
    graph.scroll_into_view_if_needed()
    expect(graph).to_be_visible()
    rules = {node["rule"] for node in page.evaluate("rulegraph_spec.data[0].values")}
    assert {"train_full", "train_wo_opm", "evaluate", "table"} <= rules
    open_menu(page, "Statistics")
    for name in ("runtimes", "timeline"):
        diagram = page.locator(f"#{name} canvas").first
        diagram.scroll_into_view_if_needed()
        expect(diagram).to_be_visible()
    measured = page.evaluate("runtimes_spec.data.values")
    assert {"train_full", "evaluate", "table"} <= {one["rule"] for one in measured}
    check_watched(watched)


def test_the_menu_of_a_phone_makes_room(opened: Open, report: Path) -> None:
    page = start(opened, report, PHONE).page
    open_menu(page, "Tables of MKTN")
    page.locator("nav tbody tr").first.locator("a").first.click()
    menu, content = page.locator("nav").first.bounding_box(), shown(page).bounding_box()
    assert menu is not None
    assert content is not None
    assert menu["width"] == content["width"] == PHONE["width"]
    assert content["y"] >= menu["y"] + menu["height"] - 1
    assert content["height"] > 0.4 * PHONE["height"]
    page.locator("nav h1 a").click()
    expect(page.locator("nav").first).to_be_hidden()
    alone = shown(page).bounding_box()
    assert alone is not None
    assert alone["height"] == PHONE["height"]
    page.locator("#app a").first.click()
    expect(page.locator("nav").first).to_be_visible()


def test_no_folder_of_the_machine_is_told(made: Path, report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    assert str(made) not in text
    assert f"{Path.home()}/" not in text


def test_a_report_of_what_is_not_made_says_which_file(made: Path) -> None:
    table = made / "results" / "table3.html"
    away = table.rename(made / "away.html")
    try:
        given = ("report_contents", "--report", "other.html", "--config", *CONFIG)
        run = snakemake(made, *given)
    finally:
        away.rename(table)
    assert run.returncode != 0
    assert "File results/table3.html marked for report but does not exist." in run.stdout
    assert not (made / "other.html").exists()
