"""A real browser without a window, and pages of it that tell what they asked for and said."""

import dataclasses
import os
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.grounder.conftest import grounder, pipeline, run_folder, videos

__all__ = ["browser", "grounder", "opened", "pipeline", "run_folder", "videos"]

# A browser of its own would look for updates and for the names of hosts.
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


@dataclasses.dataclass(frozen=True)
class Watched:
    """A page, with the addresses that it asked for and the errors of its console."""

    page: Page
    asked: list[str]
    errors: list[str]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=os.environ["MKTN_CHROMIUM"], args=list(OPTIONS)
        )
        yield started
        started.close()


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Watched]]:
    """Opens an empty page of a size; `offline` cuts it off from every network."""
    contexts = []

    def open_page(size: dict[str, int] = DESKTOP, offline: bool = False) -> Watched:
        phone = size["width"] < 600
        context = browser.new_context(
            viewport=size,
            is_mobile=phone,
            has_touch=phone,
            offline=offline,
        )
        contexts.append(context)
        watched = Watched(context.new_page(), [], [])
        watched.page.on("request", lambda request: watched.asked.append(request.url))
        watched.page.on("pageerror", lambda error: watched.errors.append(str(error)))
        watched.page.on(
            "console",
            lambda message: (
                watched.errors.append(message.text) if message.type == "error" else None
            ),
        )
        return watched

    yield open_page
    for context in contexts:
        context.close()
