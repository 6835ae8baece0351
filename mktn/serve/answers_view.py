"""Answers as rows: the sentence, and a line for each moment with its place in the video."""

from pathlib import PurePath

from nicegui import ui

from mktn.grounder.answers import Answer, Moment
from mktn.serve.service import Answered
from mktn.serve.tag import Tag


def show_answers(answered: Answered, name: str) -> None:
    """Rows in the element that is open, the notes before them, and a button for the JSON."""
    for note in answered.notes:
        Tag("p", note).classes("m-note")
    with Tag("ol").classes("m-rows"):
        for number, answer in enumerate(answered.answers, start=1):
            with Tag("li").classes("m-row"):
                _row(number, answer)
    with Tag("div").classes("m-below"):
        Tag(
            "p", "Scores rank the moments of one sentence; they do not compare sentences."
        ).classes("m-quiet m-small")
        file = f"{PurePath(name).stem or 'video'}-moments.json"
        ui.button(
            "Download as JSON",
            on_click=lambda: ui.download.content(answered.json, file, "application/json"),
        ).props("no-caps outline")


def _row(number: int, answer: Answer) -> None:
    Tag("h2", answer.sentence)
    for rank, moment in enumerate(answer.moments, start=1):
        _moment(number, rank, moment, answer.duration_s)
    if not answer.moments:
        Tag("p", "No moment.").classes("m-quiet")
        return
    with Tag("div").classes("m-axis").props("aria-hidden=true"):
        Tag("span")
        with Tag("span").classes("m-ends"):
            Tag("span", "0 s")
            Tag("span", f"{answer.duration_s:.1f} s")
        Tag("span", "moment").classes("m-seconds")
        Tag("span", "score").classes("m-score")


def _moment(number: int, rank: int, moment: Moment, duration_s: float) -> None:
    """A button as wide as the row: rank, timeline, seconds, score. It plays the moment."""
    start, end = moment.start_s, moment.end_s
    left = 100 * min(max(start / duration_s, 0.0), 1.0)
    width = 100 * min(max((end - start) / duration_s, 0.0), 1.0 - left / 100)
    said = (
        f"Play moment {rank} of sentence {number}, {start:.1f} to {end:.1f} seconds,"
        f" score {moment.score:.3f}"
    )
    button = (
        Tag("button").props("type=button").classes("m-moment" + (" m-best" if rank == 1 else ""))
    )
    button.props["aria-label"] = said
    button.props["data-start-s"], button.props["data-end-s"] = start, end
    with button:
        Tag("span", str(rank)).classes("m-rank")
        with Tag("span").classes("m-track"):
            Tag("span").classes("m-span").style(f"left: {left:.3f}%; width: {width:.3f}%")
        Tag("span", f"{start:.1f}\N{EN DASH}{end:.1f} s").classes("m-seconds")
        Tag("span", f"{moment.score:.3f}").classes("m-score")
