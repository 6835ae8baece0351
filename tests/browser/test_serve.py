"""`mktn serve` as people use it: upload, ask, look, play; and what the page must not do."""

import json
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

import mktn
from tests.browser.conftest import DESKTOP, PHONE, Watched
from tests.features.odd_files import numbered_frames, spoil, write_frames
from tests.serve.process import Served, served

HOSTILE = "<img src=x onerror=window.hacked=1>.mp4"
ASKED = ["the red ball spins", "a <b>star</b> <script>window.hacked=1</script> flashes"]


@pytest.fixture(scope="module")
def server(
    run_folder: Path,
    videos: list[Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    """It serves the tiny run, with two videos to choose from, and takes a megabyte."""
    folder = tmp_path_factory.mktemp("served")
    shelf = folder / "shelf"
    shelf.mkdir()
    (shelf / HOSTILE).write_bytes(videos[1].read_bytes())
    write_frames(shelf / "old.avi", numbered_frames(60), "mpeg4")
    with served(folder / "own", run_folder, "--videos", shelf, "--upload-mb", "1") as one:
        yield one


def load(watched: Watched, server: Served) -> Page:
    watched.page.goto(server.address)
    expect(watched.page.get_by_role("heading", level=1)).to_have_text("Find moments in a video")
    return watched.page


def upload(page: Page, path: Path, name: str) -> None:
    content = {"name": name, "mimeType": "video/mp4", "buffer": path.read_bytes()}
    page.get_by_label("Upload a video").set_input_files(content)


def ask(page: Page, sentences: list[str]) -> None:
    page.get_by_label("Sentences, one a line").fill("\n".join(sentences))
    page.get_by_role("button", name="Find moments").click()


def choose(page: Page, name: str) -> None:
    page.get_by_label("Choose a video").click()
    page.get_by_role("option", name=name, exact=True).click()


def state(page: Page) -> tuple[float, bool]:
    at_s, paused = page.evaluate("[player.currentTime, player.paused]")
    return at_s, paused


def refuse_harm(watched: Watched, server: Served) -> None:
    """No error, no request elsewhere, nothing run that was only to be read."""
    page = watched.page
    assert watched.errors == []
    allowed = (server.address, f"blob:{server.address}", "data:")
    assert [address for address in watched.asked if not address.startswith(allowed)] == []
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x], main b").count() == 0
    width = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width[0] <= width[1]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_a_video_is_sent_asked_about_and_played(
    opened: Callable[..., Watched], server: Served, videos: list[Path],
    grounder: mktn.Grounder, size: dict[str, int],
) -> None:  # fmt: skip
    watched = opened(size)
    page = load(watched, server)
    upload(page, videos[0], HOSTILE)
    expect(page.get_by_label("Choose a video")).to_have_value(HOSTILE)
    expect(page.locator("#player")).to_be_visible()
    ask(page, ASKED)
    rows = page.get_by_role("listitem")
    expect(rows).to_have_count(2)
    assert rows.get_by_role("heading").all_text_contents() == ASKED
    shown = [
        row.locator("button").evaluate_all(
            "all => all.map(one => [+one.dataset.startS, +one.dataset.endS])"
        )
        for row in rows.all()
    ]
    expected = grounder.ground(videos[0], ASKED, n=3)
    assert shown == [[[m.start_s, m.end_s] for m in answer.moments] for answer in expected]
    for answer, seconds in zip(expected, shown, strict=True):
        assert all(0 <= start < end <= answer.duration_s for start, end in seconds)
    # Words that nobody taught it are named.
    expect(page.get_by_text("words without a vector of their own")).to_contain_text("script")
    (first, *_), start_s, end_s = rows.first.locator("button").all(), *shown[0][0]
    page.evaluate("player.playbackRate = 4")
    if size == DESKTOP:
        first.click()
    else:
        first.tap()
    page.wait_for_function(f"player.currentTime > {start_s} && player.currentTime <= {end_s}")
    page.wait_for_function("player.paused")
    at_s, _ = state(page)
    assert at_s == pytest.approx(end_s, abs=0.05)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as JSON").click()
    told = json.loads(Path(download.value.path()).read_text())
    assert [answer["sentence"] for answer in told["answers"]] == ASKED
    assert told["videos"][0]["video"] == HOSTILE
    assert told["answers"][0]["moments"][0]["start_s"] == start_s
    refuse_harm(watched, server)


def test_it_is_used_by_keyboard(opened: Callable[..., Watched], server: Served) -> None:
    watched = opened()
    page = load(watched, server)
    page.get_by_label("Choose a video").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#player")).to_be_visible()
    page.get_by_label("Sentences, one a line").focus()
    page.keyboard.type("the red ball spins")
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    moment = page.get_by_role("button", name=re.compile("Play moment 2 of sentence 1, "))
    expect(moment).to_be_visible()
    for _ in range(2):
        page.keyboard.press("Tab")
    expect(moment).to_be_focused()
    start_s = float(moment.get_attribute("data-start-s") or "nan")
    page.keyboard.press("Enter")
    page.wait_for_function(f"player.currentTime >= {start_s} && !player.paused")
    refuse_harm(watched, server)


def test_what_is_refused_is_said_in_a_sentence(
    opened: Callable[..., Watched], server: Served, videos: list[Path],
    tmp_path: Path,
) -> None:  # fmt: skip
    before = set(server.written("temporary"))
    watched = opened(PHONE)
    page = load(watched, server)
    button = page.get_by_role("button", name="Find moments")
    button.click()
    said = page.get_by_role("alert")
    expect(said.filter(has_text="Choose a video or upload one first")).to_be_visible()
    (tmp_path / "text").write_text("these are notes")
    upload(page, tmp_path / "text", HOSTILE)
    expect(said.filter(has_text="is no video that can be used")).to_have_text(
        f"{HOSTILE} is no video that can be used: it is none of mp4, mov, WebM, mkv, avi, MPEG,"
        " flv and wmv."
    )
    assert watched.errors == [
        "Failed to load resource: the server responded with a status of 415 (Unsupported Media"
        " Type)"
    ]
    watched.errors.clear()
    (tmp_path / "large").write_bytes(bytes(10**6 + 1))
    upload(page, tmp_path / "large", "large.mp4")
    expect(said.filter(has_text="The file is larger than 1 MB")).to_be_visible()
    choose(page, HOSTILE)
    button.click()
    expect(said.filter(has_text="Type a sentence")).to_be_visible()
    ask(page, ["a ball", "..."])
    expect(said.filter(has_text="Sentence 2 has no word")).to_be_visible()
    assert set(server.written("temporary")) <= before
    shutil.copy(videos[0], tmp_path / "damaged")
    spoil(tmp_path / "damaged", list(range(10, 60)))
    upload(page, tmp_path / "damaged", "damaged.mp4")
    expect(page.get_by_label("Choose a video")).to_have_value("damaged.mp4")
    ask(page, ["the red ball spins"])
    expect(said.filter(has_text="damaged.mp4: video cannot be used")).to_be_visible()
    assert str(server.folder) not in page.content()
    refuse_harm(watched, server)


def test_what_browsers_do_not_play_is_played_from_a_copy(
    opened: Callable[..., Watched], server: Served
) -> None:
    watched = opened()
    page = load(watched, server)
    choose(page, "old.avi")
    expect(page.get_by_text("This is a copy of old.avi that browsers play.")).to_be_visible()
    page.wait_for_function("player.readyState >= 1")
    ask(page, ["the red ball spins"])
    moment = page.get_by_role("button", name=re.compile("Play moment 1 of sentence 1, "))
    moment.click()
    start_s = float(moment.get_attribute("data-start-s") or "nan")
    page.wait_for_function(f"player.currentTime >= {start_s}")
    refuse_harm(watched, server)


def test_tabs_do_not_see_each_other_and_leave_nothing(
    opened: Callable[..., Watched], server: Served, videos: list[Path],
) -> None:  # fmt: skip
    first, second = opened(), opened()
    for watched, name in ((first, "mine.mp4"), (second, "yours.mp4")):
        upload(load(watched, server), videos[0], name)
        expect(watched.page.get_by_label("Choose a video")).to_have_value(name)
    page = second.page
    page.get_by_label("Choose a video").click()
    names = page.get_by_role("option").all_text_contents()
    assert sorted(names) == sorted([HOSTILE, "old.avi", "yours.mp4"])
    page.keyboard.press("Escape")
    source = first.page.locator("#player").get_attribute("src") or ""
    (file,) = (path for path in server.written("temporary") if path.name in source)
    # One leaves in the middle of its question; the other is answered all the same.
    ask(first.page, ["the red ball spins"] * 20)
    first.page.close()
    ask(page, ["the red ball spins"])
    expect(page.get_by_role("listitem")).to_have_count(1)
    deadline = time.monotonic() + 15
    while file.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not file.exists()
    other = page.locator("#player").get_attribute("src") or ""
    assert page.request.get(server.address.rstrip("/") + other).ok
    gone = page.request.get(server.address.rstrip("/") + source)
    assert gone.status == 404
    refuse_harm(second, server)


def test_told_to_end_it_ends_and_nothing_is_left(
    opened: Callable[..., Watched], server: Served, videos: list[Path],
) -> None:  # fmt: skip
    """The last one: it ends the server of the others, which has said nothing since its address."""
    page = load(opened(), server)
    upload(page, videos[0], "mine.mp4")
    expect(page.locator("#player")).to_be_visible()
    assert server.written("temporary")
    ask(page, ["the red ball spins"])
    begun = time.monotonic()
    assert server.end(signal.SIGTERM) == (128 + signal.SIGTERM, "", "")
    assert time.monotonic() - begun < 10
    assert not list(server.folder.rglob("mktn-serve-*"))
    assert server.written() == []
