"""What one tab shows: a video, sentences, and the moments that answer them."""

import asyncio
import contextlib
from collections.abc import Callable

from nicegui import background_tasks, ui
from nicegui.element import Element

from mktn.datasets.video_ids import VIDEO_SUFFIXES
from mktn.errors import UserError
from mktn.serve.answers_view import show_answers
from mktn.serve.jobs import Cancelled, Ticket
from mktn.serve.routes import Door, Doors
from mktn.serve.service import (
    MOST_CHARACTERS,
    MOST_MOMENTS,
    MOST_SENTENCES,
    Answered,
    Playable,
    Service,
    sentences_of,
)
from mktn.serve.tag import Tag
from mktn.serve.uploads import A_TAB, MEGABYTE
from mktn.serve.videos import Video, new_token

MOMENTS = 3
HINT = (
    "Choose a video or upload one, and say in a sentence or several what happens in it. The"
    " moments that fit each sentence best appear here; a click plays one."
)
TELL_S = 0.3  # between two looks at how far a job is
MOST_TEXT = 2 * MOST_SENTENCES * MOST_CHARACTERS  # characters, with blank lines


class Tab:
    """The page in one tab; nothing of it is shared with another but the computing."""

    def __init__(self, service: Service, doors: Doors) -> None:
        self._service, self._doors = service, doors
        self._token = new_token()
        self._door = doors[self._token] = Door(self._take)
        self._client = ui.context.client
        self._uploaded: list[Video] = []
        self._listed = {video.token: video for video in service.shelf.videos()}
        self._video: Video | None = None
        self._asking: Ticket | None = None
        self._copying: Ticket | None = None
        self._answered: Answered | None = None
        self._build()
        self._client.on_delete(self._close)

    # What is shown

    def _build(self) -> None:
        ui.add_head_html('<link rel="stylesheet" href="/assets/page.css">')
        ui.add_head_html('<script src="/assets/page.js"></script>')
        ui.colors(primary="#1b4f72")
        config = self._service.grounder.parts.config
        with Tag("div").classes("m-page"):  # the library's main is around it
            with Tag("header"):
                Tag("h1", "Find moments in a video")
                run = f"{config['model']} {config['variant']}, trained on {config['dataset']}"
                Tag("p", f"{run} ({config['source']})").classes("m-quiet")
            with Tag("section").props("aria-label=Video").classes("m-video"):
                self._build_choice()
                self._build_player()
            with Tag("section").props("aria-label=Sentences").classes("m-sentences"):
                self._build_question()
            self._rows = Tag("section").props("aria-label=Answers").classes("m-answers")
            with self._rows:
                Tag("p", HINT).classes("m-quiet")

    def _build_choice(self) -> None:
        with Tag("div").classes("m-choice"):
            self._choice = (
                ui.select(
                    self._choices(), label="Video", with_input=True,
                    on_change=lambda event: self._choose(event.value),
                )
                .props('outlined dense options-dense behavior=menu aria-label="Choose a video"')
                .classes("m-choose")
            )  # fmt: skip
            most = self._service.uploads.most_bytes
            accepted = ",".join(["video/*", *sorted(VIDEO_SUFFIXES)])
            with Tag("label", "Upload a video").classes("m-upload"):
                upload = Tag("input").props(f'type=file id=upload accept="{accepted}"')
                upload.props(f"data-url=/upload/{self._token} data-most-bytes={most}")
        Tag(
            "p", f"Up to {most / MEGABYTE:g} MB. Uploads are removed when this tab is closed."
        ).classes("m-quiet m-small")
        Tag("progress").props("id=upload-progress max=1 value=0 aria-label=Upload hidden")
        Tag("p").props("id=upload-refused role=alert").classes("m-refused")

    def _build_player(self) -> None:
        with Tag("div").classes("m-screen") as self._screen:
            self._player = Tag("video").props(
                'id=player controls playsinline preload=auto aria-label="The video"'
            )
            self._player.on("error", self._not_played, args=[])
        self._screen.set_visibility(False)
        self._copy_note = Tag("p").props("role=status").classes("m-quiet")

    def _build_question(self) -> None:
        self._text = (
            ui.textarea(label="Sentences, one a line", placeholder="the red ball spins")
            .props(f"outlined autogrow maxlength={MOST_TEXT}")
            .classes("m-text")
        )
        with Tag("div").classes("m-ask"):
            self._moments = (
                ui.select(list(range(1, MOST_MOMENTS + 1)), value=MOMENTS, label="Moments each")
                .props('outlined dense options-dense behavior=menu aria-label="Moments each"')
                .classes("m-count")
            )
            self._button = ui.button("Find moments", on_click=self._ask).props(
                "no-caps unelevated"
            )
            self._stop = ui.button("Stop", on_click=self._cancel).props("no-caps flat")
            self._stop.set_visibility(False)
        self._state = Tag("p").props("role=status").classes("m-quiet")
        self._bar = Tag("progress").props('max=1 aria-label="Progress"')
        self._bar.set_visibility(False)
        self._refused = Tag("p").props("role=alert").classes("m-refused")

    def _choices(self) -> dict[str, str]:
        return {token: video.name for token, video in self._known().items()}

    def _known(self) -> dict[str, Video]:
        return self._listed | {video.token: video for video in self._uploaded}

    # Videos

    def _take(self, video: Video) -> None:
        """An upload has come; called from outside of the page's own events."""
        self._uploaded.append(video)
        old = self._uploaded.pop(0) if len(self._uploaded) > A_TAB else None
        with self._client:
            self._choice.set_options(self._choices(), value=video.token)
        if old is not None:
            self._forget(old)

    async def _choose(self, token: str | None) -> None:
        video = self._known().get(token or "")
        if video is None or video == self._video:
            return
        self._cancel()
        if self._copying is not None:
            self._copying.cancel()
        self._video, self._copying = video, None
        self._rows.clear()
        self._answered = None
        self._say("")
        try:
            playable = await asyncio.to_thread(self._service.as_it_is, video)
        except UserError as error:
            if self._video != video:
                return
            self._screen.set_visibility(False)
            self._copy_note.text = ""
            self._say(refused=str(error))
            return
        if self._video != video or self._client.is_deleted:
            return
        if playable is not None:
            self._copy_note.text = ""
            self._play(video, playable)
        else:
            self._start_copy(video)

    def _play(self, video: Video, playable: Playable) -> None:
        self._door.playing[video.token] = playable
        # A copy has the token of its video, which the browser has just given up.
        copied = "?copy" if playable.path != video.path else ""
        self._player.props["src"] = f"/media/{video.token}{copied}"
        self._player.update()
        self._screen.set_visibility(True)

    def _not_played(self) -> None:
        """The browser has no decoder for what others play, or the file is not what it says."""
        video = self._video
        if video is None or self._copying is not None:
            return
        self._start_copy(video)

    def _start_copy(self, video: Video) -> None:
        self._screen.set_visibility(False)
        ticket = self._copying = Ticket()
        background_tasks.create(self._copy(ticket, video), name="copy for playing")

    async def _copy(self, ticket: Ticket, video: Video) -> None:
        what = f"Browsers do not play {video.name} as it is. A copy that they play is being made"
        telling = asyncio.create_task(
            self._tell(ticket, lambda line: self._copy_note.set_text(f"{what}: {line}"))
        )
        try:
            playable = await self._service.copy(ticket, video)
        except Cancelled:
            return
        except UserError as error:
            if self._video == video:
                self._copy_note.text = f"{video.name} cannot be played here: {error}"
            return
        finally:
            telling.cancel()
        if self._video == video and self._token in self._doors:
            self._copy_note.text = f"This is a copy of {video.name} that browsers play."
            self._play(video, playable)

    # Questions

    async def _ask(self) -> None:
        if self._asking is not None:
            return
        self._rows.clear()
        self._answered = None
        self._say("")
        if self._video is None:
            self._say(refused="Choose a video or upload one first")
            return
        try:
            sentences = sentences_of((self._text.value or "")[: MOST_TEXT + 1])
        except UserError as error:
            self._say(refused=str(error))
            return
        moments = self._moments.value if self._moments.value in range(1, MOST_MOMENTS + 1) else 1
        await self._answer(self._video, sentences, moments)

    async def _answer(self, video: Video, sentences: list[str], moments: int) -> None:
        ticket = self._asking = Ticket()
        self._busy(True)
        telling = asyncio.create_task(self._tell(ticket, self._say, self._bar))
        says, refused = "", ""
        try:
            answered = await self._service.ask(ticket, video, sentences, moments)
        except Cancelled:
            says = "Stopped"
        except UserError as error:
            refused = str(error)
        except Exception:
            refused = "The server failed at this question. Its terminal says why."
            raise
        else:
            if self._video == video:
                self._answered = answered
        finally:
            telling.cancel()
            self._asking = None
            if not self._client.is_deleted:
                self._busy(False)
                self._say(says, refused)
        if self._answered is not None and not self._client.is_deleted:
            count = len(self._answered.answers)
            self._say(f"{count} sentence{'s' if count > 1 else ''} answered")
            with self._rows:
                show_answers(self._answered, video.name)

    async def _tell(
        self, ticket: Ticket, say: Callable[[str], object], bar: Element | None = None
    ) -> None:
        """Say how far a job is, until cancelled."""
        while not self._client.is_deleted:
            before = self._service.jobs.before(ticket)
            if before:
                say(f"waiting for {before} other{'s' if before > 1 else ''}")
            else:
                share = f", {ticket.share:.0%}" if ticket.share else ""
                say(f"watching the video{share}")
            if bar is not None:
                bar.props["value"] = round(ticket.share, 3)
                bar.update()
            await asyncio.sleep(TELL_S)

    def _say(self, state: str = "", refused: str = "") -> None:
        self._state.text = state[:1].upper() + state[1:]
        self._refused.text = refused

    def _busy(self, busy: bool) -> None:
        self._button.set_enabled(not busy)
        self._stop.set_visibility(busy)
        self._bar.set_visibility(busy)

    def _cancel(self) -> None:
        if self._asking is not None:
            self._asking.cancel()

    # The end

    def _forget(self, video: Video) -> None:
        self._door.playing.pop(video.token, None)
        self._service.forget(video)

    def _close(self) -> None:
        """The tab is gone: nobody waits for its jobs, and its uploads are removed."""
        self._doors.pop(self._token, None)
        for ticket in (self._asking, self._copying):
            if ticket is not None:
                ticket.cancel()
        for video in self._uploaded:
            with contextlib.suppress(OSError):
                self._service.forget(video)
