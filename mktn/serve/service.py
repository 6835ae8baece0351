"""Questions to answers, and files to what browsers play; all that computes, one job at a time."""

import contextlib
import dataclasses
import math
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import av

from mktn.datasets.sentences import tokens
from mktn.errors import UserError
from mktn.features.video import VideoError
from mktn.grounder.answers import Answer, EncodedVideo
from mktn.grounder.clips import cut
from mktn.grounder.ground import as_json, notes
from mktn.grounder.grounder import Grounder
from mktn.serve.jobs import Cancelled, Jobs, Ticket
from mktn.serve.uploads import Uploads
from mktn.serve.videos import Shelf, Video, media_type, without_paths

KEPT = 16  # videos that are remembered as they were seen, and copies for playing
LONGEST_UPLOAD_S = 3600.0
MOST_SENTENCES, MOST_CHARACTERS = 20, 300
MOST_MOMENTS = 10
FOREVER_S = 1e7  # later than any video ends


@dataclasses.dataclass(frozen=True)
class Playable:
    """A file that browsers play, and as what."""

    path: Path
    media_type: str


@dataclasses.dataclass(frozen=True)
class Answered:
    """Answers about one video; notes: lines on what was not understood; json: for a file."""

    video: Video
    duration_s: float
    answers: list[Answer]
    notes: list[str]
    json: str


def sentences_of(text: str) -> list[str]:
    """The sentences of a text, one a line. Raises UserError: none, too many, too long, no word."""
    lines = [line.strip() for line in text.splitlines()]
    found = [line for line in lines if line]
    if not found:
        raise UserError("Type a sentence that says what happens in the video")
    if len(found) > MOST_SENTENCES:
        raise UserError(
            f"{len(found)} sentences are more than are answered at once; keep {MOST_SENTENCES}"
        )
    for number, sentence in enumerate(found, start=1):
        if len(sentence) > MOST_CHARACTERS:
            raise UserError(f"Sentence {number} is longer than {MOST_CHARACTERS} characters")
        if not tokens(sentence):
            raise UserError(f"Sentence {number} has no word")
    return found


class Service:
    """A grounder with the videos that it is asked about."""

    def __init__(self, grounder: Grounder, shelf: Shelf, uploads: Uploads) -> None:
        self.grounder, self.shelf, self.uploads = grounder, shelf, uploads
        self.jobs, self.copies = Jobs(), Jobs()  # a question need not wait for what is played
        self._folder = uploads.folder / "copies"
        self._folder.mkdir(mode=0o700)
        # Each is filled by the thread of its jobs alone.
        self._seen: OrderedDict[tuple[str, int, int], EncodedVideo] = OrderedDict()
        self._played: OrderedDict[tuple[str, int, int], Playable] = OrderedDict()

    async def ask(
        self, ticket: Ticket, video: Video, sentences: list[str], moments: int
    ) -> Answered:
        """Answer sentences about a video jointly. Raises UserError, and Cancelled."""
        return await self.jobs.run(ticket, lambda: self._ask(ticket, video, sentences, moments))

    async def copy(self, ticket: Ticket, video: Video) -> Playable:
        """The video written again as browsers play it. Raises UserError, and Cancelled."""
        return await self.copies.run(ticket, lambda: self._copy(ticket, video))

    def _ask(self, ticket: Ticket, video: Video, sentences: list[str], moments: int) -> Answered:
        try:
            encoded = self._encoded(ticket, video)
            answers = self.grounder.ground(encoded, sentences, n=moments)
        except UserError as error:
            raise UserError(without_paths(error, video)) from error
        said = list(notes(self.grounder.parts, [encoded], answers))
        text = as_json(self.grounder, [encoded], answers)
        return Answered(video, encoded.duration_s, answers, said, text)

    def _encoded(self, ticket: Ticket, video: Video) -> EncodedVideo:
        version = video.version
        found = self._seen.pop(version, None)  # another thread may forget it at any time
        if found is None:
            found = self.grounder.encode(video.path, watch=self._watch(ticket, video))
            # The answers name the video as its owner does.
            found = dataclasses.replace(found, name=video.name)
        self._seen[version] = found
        while len(self._seen) > KEPT:
            self._seen.popitem(last=False)
        return found

    def _copy(self, ticket: Ticket, video: Video) -> Playable:
        version = video.version
        found = self._played.pop(version, None)
        if found is None:
            out = self._folder / f"{video.token}-{version[1]}.mp4"
            try:
                cut(video.path, 0.0, FOREVER_S, out, self._watch(ticket, video))
            except UserError as error:
                raise UserError(without_paths(error, video)) from error
            if ticket.cancelled:  # what was made of a video that is forgotten goes with it
                out.unlink(missing_ok=True)
                raise Cancelled
            found = Playable(out, "video/mp4")
        self._played[version] = found
        while len(self._played) > KEPT:
            _, oldest = self._played.popitem(last=False)
            oldest.path.unlink(missing_ok=True)
        return found

    def as_it_is(self, video: Video) -> Playable | None:
        """The file itself, where browsers play it. Raises UserError where it is no video."""
        try:
            kind = media_type(video.path)
        except VideoError as error:
            raise UserError(f"{video.name} is no video that can be used: {error}") from error
        return None if kind is None else Playable(video.path, kind)

    def forget(self, video: Video) -> None:
        """Remove an upload, and what was made of it."""
        self.uploads.remove(video.token)
        for kept in (self._seen, self._played):
            for version in [key for key in list(kept) if key[0] == video.token]:
                kept.pop(version, None)
        for path in self._folder.glob(f"{video.token}-*"):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """End what computes."""
        self.jobs.close()
        self.copies.close()

    def _watch(self, ticket: Ticket, video: Video) -> Callable[[float], None]:
        """Tells the ticket how far a job is; a small file may hold days, and others wait."""
        length_s = announced_s(video.path)
        uploaded = video.path.parent == self.uploads.folder

        def watch(at_s: float) -> None:
            if uploaded and at_s > LONGEST_UPLOAD_S:
                raise UserError(
                    f"{video.name} is longer than {LONGEST_UPLOAD_S / 60:g} minutes, which is the"
                    " most taken from a browser"
                )
            ticket.done(at_s / length_s)

        return watch


def announced_s(path: Path) -> float:
    """Seconds of a video by its own word, for a share of what is done; infinite without one."""
    with (
        contextlib.suppress(av.FFmpegError, OSError, UnicodeEncodeError),
        av.open(f"file:{path}", metadata_errors="replace") as container,
    ):
        if container.duration:
            return float(container.duration / av.time_base)
    return math.inf
