"""What the page says of a moment."""

import pytest

pytest.importorskip("nicegui")

from nicegui import Client
from nicegui.page import page

from mktn.grounder.answers import Answer, Moment
from mktn.grounder.ground import table
from mktn.serve.answers_view import _row


def test_scores_are_those_that_mktn_ground_prints() -> None:
    answer = Answer("the red ball spins", "one.mp4", 10.0, (Moment(1.0, 2.0, 0.98765),))
    client = Client(page("/answers"), request=None)
    with client:
        _row(1, answer)
    said = [getattr(element, "_text", None) for element in client.elements.values()]
    spoken = [str(element.props.get("aria-label")) for element in client.elements.values()]
    assert "0.988" in table([answer], False)
    assert "0.988" in said
    assert any(words.endswith(", score 0.988") for words in spoken)
