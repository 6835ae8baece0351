"""The watch on pages sees what it must: requests and errors."""

from collections.abc import Callable

from tests.browser.conftest import Watched


def test_requests_and_errors_of_a_page_are_seen(opened: Callable[..., Watched]) -> None:
    watched = opened(offline=True)
    watched.page.set_content(
        "<img src='http://127.0.0.1:9/absent.png'><script>nowhere();</script>"
    )
    watched.page.wait_for_load_state()
    assert "http://127.0.0.1:9/absent.png" in watched.asked
    assert any("nowhere" in error for error in watched.errors)
