"""What one tab does: a video is chosen, sentences are asked, and the moments are shown."""

import asyncio
import contextlib
from collections.abc import Callable

from nicegui import background_tasks, ui

from mktn.errors import UserError
from mktn.serve.answers_view import show_answers
from mktn.serve.jobs import Cancelled, Jobs, Ticket
from mktn.serve.layout import MOST_TEXT, Does, Layout
from mktn.serve.routes import Door, Doors
from mktn.serve.service import MOST_MOMENTS, Answered, Playable, Service, sentences_of
from mktn.serve.uploads import A_TAB
from mktn.serve.videos import Video, new_token

TELL_S = 0.3  # between two looks at how far a job is


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
        config = service.grounder.parts.config
        run = f"{config['model']} {config['variant']}, trained on {config['dataset']}"
        self._shown = Layout(
            f"{run} ({config['source']})", self._choices(), f"/upload/{self._token}",
            service.uploads.most_bytes,
            Does(self._choose, self._not_played, self._ask, self._stop),
        )  # fmt: skip
        self._client.on_delete(self._close)

    def _known(self) -> dict[str, Video]:
        return self._listed | {video.token: video for video in self._uploaded}

    def _choices(self) -> dict[str, str]:
        return {token: video.name for token, video in self._known().items()}

    def _meant(self, video: Video) -> bool:
        """Whether this is still the video that is looked at."""
        return self._video == video and not self._client.is_deleted

    # Videos

    def _take(self, video: Video) -> None:
        """An upload has come; called from outside of the page's own events."""
        self._uploaded.append(video)
        old = self._uploaded.pop(0) if len(self._uploaded) > A_TAB else None
        with self._client:
            self._shown.choice.set_options(self._choices(), value=video.token)
        if old is not None:
            self._door.playing.pop(old.token, None)
            self._service.forget(old)

    async def _choose(self, token: str | None) -> None:
        video = self._known().get(token or "")
        if video is None or video == self._video:
            return
        self._stop()
        if self._copying is not None:
            self._copying.cancel()
        self._video, self._copying = video, None
        self._shown.rows.clear()
        self._shown.say()
        self._shown.copy_note.text = ""
        try:
            playable = await asyncio.to_thread(self._service.as_it_is, video)
        except UserError as error:
            if self._meant(video):
                self._shown.screen.set_visibility(False)
                self._shown.say(refused=str(error))
            return
        if not self._meant(video):
            return
        if playable is None:
            self._start_copy(video)
        else:
            self._play(video, playable)

    def _play(self, video: Video, playable: Playable) -> None:
        self._door.playing[video.token] = playable
        # A copy has the token of its video, which the browser has just given up.
        copied = "?copy" if playable.path != video.path else ""
        self._shown.show(f"/media/{video.token}{copied}")

    def _not_played(self) -> None:
        """The browser has no decoder for what others play, or the file is not what it says."""
        if self._video is not None and self._copying is None:
            self._start_copy(self._video)

    def _start_copy(self, video: Video) -> None:
        self._shown.screen.set_visibility(False)
        ticket = self._copying = Ticket()
        background_tasks.create(self._copy(ticket, video), name="copy for playing")

    async def _copy(self, ticket: Ticket, video: Video) -> None:
        what = f"Browsers do not play {video.name} as it is. A copy that they play is being made"

        def tell(line: str, _: float) -> None:
            self._shown.copy_note.text = f"{what}{line}"

        telling = asyncio.create_task(self._tell(self._service.copies, ticket, "", tell))
        try:
            playable = await self._service.copy(ticket, video)
        except Cancelled:
            return
        except UserError as error:
            if self._meant(video):
                self._shown.copy_note.text = f"{video.name} cannot be played here: {error}"
            return
        finally:
            telling.cancel()
        if self._meant(video):
            self._shown.copy_note.text = f"This is a copy of {video.name} that browsers play."
            self._play(video, playable)

    # Questions

    async def _ask(self) -> None:
        if self._asking is not None:
            return
        self._shown.rows.clear()
        self._shown.say()
        moments = self._shown.moments.value
        try:
            if self._video is None:
                raise UserError("Choose a video or upload one first")
            sentences = sentences_of((self._shown.text.value or "")[: MOST_TEXT + 1])
            if moments not in range(1, MOST_MOMENTS + 1):
                raise UserError(f"Choose 1 to {MOST_MOMENTS} moments each")
        except UserError as error:
            self._shown.say(refused=str(error))
            return
        await self._answer(self._video, sentences, moments)

    async def _answer(self, video: Video, sentences: list[str], moments: int) -> None:
        ticket = self._asking = Ticket()
        self._shown.busy(True)
        telling = asyncio.create_task(
            self._tell(self._service.jobs, ticket, "watching the video", self._shown.done)
        )
        says, refused = "", ""
        answered: Answered | None = None
        try:
            answered = await self._service.ask(ticket, video, sentences, moments)
            count = len(answered.answers)
            says = f"{count} sentence{'s' if count > 1 else ''} answered"
        except Cancelled:
            says = "stopped"
        except UserError as error:
            refused = str(error)
        except Exception:
            refused = "The server failed at this question. Its terminal says why."
            raise
        finally:
            telling.cancel()
            self._asking = None
            if not self._client.is_deleted:
                self._shown.busy(False)
                # Of another video than the one that is looked at now nothing is told.
                self._shown.say(*(says, refused) if self._meant(video) else ())
        if answered is not None and self._meant(video):
            with self._shown.rows:
                show_answers(answered, video.name)

    async def _tell(
        self, jobs: Jobs, ticket: Ticket, doing: str, tell: Callable[[str, float], None]
    ) -> None:
        """Say how far a job is, until cancelled."""
        while not self._client.is_deleted:
            before = jobs.before(ticket)
            share = f"{ticket.share:.0%}" if ticket.share else ""
            line = ", ".join(part for part in (doing, share) if part)
            if before:
                line = f"waiting for {before} other{'s' if before > 1 else ''}"
            tell(line if doing or not line else f": {line}", ticket.share)
            await asyncio.sleep(TELL_S)

    def _stop(self) -> None:
        if self._asking is not None:
            self._asking.cancel()

    def _close(self) -> None:
        """The tab is gone: nobody waits for its jobs, and its uploads are removed."""
        self._doors.pop(self._token, None)
        for ticket in (self._asking, self._copying):
            if ticket is not None:
                ticket.cancel()
        for video in self._uploaded:
            with contextlib.suppress(OSError):
                self._service.forget(video)
