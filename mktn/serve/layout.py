"""The elements of the page, without what they do."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from nicegui import ui

from mktn.datasets.video_ids import VIDEO_SUFFIXES
from mktn.serve.service import MOST_CHARACTERS, MOST_MOMENTS, MOST_SENTENCES
from mktn.serve.tag import Tag
from mktn.serve.uploads import MEGABYTE

MOMENTS = 3
MOST_TEXT = 2 * MOST_SENTENCES * MOST_CHARACTERS  # characters, with blank lines
HINT = (
    "Choose a video or upload one, and say in a sentence or several what happens in it. The"
    " moments that fit each sentence best appear here; a click plays one."
)
SELECT = "outlined dense options-dense behavior=menu"


@dataclasses.dataclass(frozen=True)
class Does:
    """What the page calls: with the token chosen, on an error of the player, and for the rest."""

    choose: Callable[[str | None], Any]
    not_played: Callable[[], Any]
    ask: Callable[[], Any]
    stop: Callable[[], Any]


class Layout:
    """The page's elements. run: what answers, in a line; upload: where files are sent to."""

    def __init__(
        self, run: str, choices: Mapping[str, str], upload: str, most_bytes: int, does: Does
    ) -> None:
        ui.add_head_html('<link rel="stylesheet" href="/assets/page.css">')
        ui.add_head_html('<script src="/assets/page.js"></script>')
        ui.colors(primary="#1b4f72")
        with Tag("div").classes("m-page"):  # the library's main is around it
            with Tag("header"):
                Tag("h1", "Find moments in a video")
                Tag("p", run).classes("m-quiet")
            with Tag("section").props("aria-label=Video").classes("m-video"):
                self._build_choice(choices, upload, most_bytes, does)
                self._build_player(does)
            with Tag("section").props("aria-label=Sentences").classes("m-sentences"):
                self._build_question(does)
            self.rows = Tag("section").props("aria-label=Answers").classes("m-answers")
            with self.rows:
                Tag("p", HINT).classes("m-quiet")

    def _build_choice(
        self, choices: Mapping[str, str], upload: str, most_bytes: int, does: Does
    ) -> None:
        with Tag("div").classes("m-choice"):
            self.choice = (
                ui.select(
                    dict(choices), label="Video", with_input=True,
                    on_change=lambda event: does.choose(event.value),
                )
                .props(f'{SELECT} aria-label="Choose a video"')
                .classes("m-choose")
            )  # fmt: skip
            accepted = ",".join(["video/*", *sorted(VIDEO_SUFFIXES)])
            with Tag("label", "Upload a video").classes("m-upload"):
                given = Tag("input").props(f'type=file id=upload accept="{accepted}"')
                given.props(f"data-url={upload} data-most-bytes={most_bytes}")
        most = f"Up to {most_bytes / MEGABYTE:g} MB."
        Tag("p", f"{most} Uploads are removed when this tab is closed.").classes("m-quiet m-small")
        Tag("progress").props("id=upload-progress max=1 value=0 aria-label=Upload hidden")
        Tag("p").props("id=upload-refused role=alert").classes("m-refused")

    def _build_player(self, does: Does) -> None:
        with Tag("div").classes("m-screen") as self.screen:
            self.player = Tag("video").props(
                'id=player controls playsinline preload=auto aria-label="The video"'
            )
            self.player.on("error", does.not_played, args=[])
        self.screen.set_visibility(False)
        self.copy_note = Tag("p").classes("m-quiet")

    def _build_question(self, does: Does) -> None:
        self.text = (
            ui.textarea(label="Sentences, one a line", placeholder="the red ball spins")
            .props(f"outlined autogrow maxlength={MOST_TEXT}")
            .classes("m-text")
        )
        with Tag("div").classes("m-ask"):
            self.moments = (
                ui.select(list(range(1, MOST_MOMENTS + 1)), value=MOMENTS, label="Moments each")
                .props(f'{SELECT} aria-label="Moments each"')
                .classes("m-count")
            )
            self._button = ui.button("Find moments", on_click=does.ask)
            self._button.props("no-caps unelevated")
            self._stop = ui.button("Stop", on_click=does.stop).props("no-caps flat")
        # Read aloud are results alone: a share that grows would be read without end.
        self._state = Tag("p").props("role=status").classes("m-quiet")
        self._progress = Tag("p").classes("m-quiet")
        self._bar = Tag("progress").props('max=1 aria-label="Progress"')
        self._refused = Tag("p").props("role=alert").classes("m-refused")
        self.busy(False)

    def show(self, address: str) -> None:
        """Put the video of this address into the player."""
        self.player.props["src"] = address
        self.player.update()
        self.screen.set_visibility(True)

    def say(self, state: str = "", refused: str = "") -> None:
        """One line on how it goes, and one on what does not."""
        self._state.text = state[:1].upper() + state[1:]
        self._refused.text = refused

    def busy(self, busy: bool) -> None:
        """Whether a question is being answered."""
        self._button.set_enabled(not busy)
        self._stop.set_visibility(busy)
        self._progress.text = ""
        self._bar.set_visibility(busy)

    def done(self, line: str, share: float) -> None:
        """How far the question is, in a line and as a share."""
        self._progress.text = line[:1].upper() + line[1:]
        self._bar.props["value"] = round(share, 3)
        self._bar.update()
