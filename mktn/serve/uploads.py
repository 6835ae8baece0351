"""Videos that browsers send: received in pieces into a private folder, under names of ours."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from mktn.errors import UserError
from mktn.features.video import VideoError
from mktn.serve.videos import Video, new_token, refuse_no_video, shown_name

MEGABYTE = 10**6
FULL = 10  # uploads of the largest size that the folder holds at most
IDLE_S = 60.0  # without a byte an upload is given up; it holds room that others could have
A_TAB = 3  # videos that one tab keeps; a further one takes the place of the oldest


class Refused(Exception):
    """An upload that is not taken: the HTTP status, and why in a sentence."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Uploads:
    """The folder of uploads, which only this user can read and which is gone after `close`.

    most_bytes: of one upload.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        try:
            self.folder = Path(tempfile.mkdtemp(prefix="mktn-serve-"))
        except OSError as error:
            raise UserError(
                "no folder for uploads can be made", where=tempfile.gettempdir(), found=error,
                do="set TMPDIR to a folder with room",
            ) from error  # fmt: skip
        self._sizes: dict[str, int] = {}  # by token, also of those that are on their way
        self._looking = asyncio.Lock()

    async def receive(self, name: str, length: int | None, body: AsyncIterator[bytes]) -> Video:
        """Take an upload. name: for the eye alone; length: as announced, if it was.

        Raises Refused as soon as it is too large or there is no room, and where nothing of it
        decodes; nothing is left of it then, nor where the body breaks off.
        """
        if length is not None and length > self.most_bytes:
            raise self._too_large()
        token, shown = new_token(), shown_name(name)
        path = self.folder / token
        self._sizes[token] = 0
        try:
            # Only who runs this reads it.
            with os.fdopen(
                os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb"
            ) as out:
                async for piece in _in_time(body):
                    self._take(token, len(piece))
                    out.write(piece)
            try:
                async with self._looking:  # one at a time: each may need much memory
                    await asyncio.to_thread(refuse_no_video, path)
            except VideoError as error:
                raise Refused(415, f"{shown} is no video that can be used: {error}.") from error
        except OSError as error:
            self.remove(token)
            raise Refused(507, f"{shown} cannot be kept: {error.strerror}.") from error
        except BaseException:
            self.remove(token)
            raise
        return Video(token, shown, path)

    def _take(self, token: str, count: int) -> None:
        self._sizes[token] += count
        if self._sizes[token] > self.most_bytes:
            raise self._too_large()
        if sum(self._sizes.values()) > FULL * self.most_bytes:
            raise Refused(507, "There is no room for more videos now. Try it later.")

    def _too_large(self) -> Refused:
        most = self.most_bytes / MEGABYTE
        return Refused(413, f"The file is larger than {most:g} MB, which is the most taken here.")

    def remove(self, token: str) -> None:
        """Forget an upload; one that is being read is gone when that ends."""
        if self._sizes.pop(token, None) is not None:
            (self.folder / token).unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)


async def _in_time(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The pieces of a body; raises Refused where none comes for IDLE_S."""
    while True:
        try:
            async with asyncio.timeout(IDLE_S):
                piece = await anext(body)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            raise Refused(408, "The upload stood still for too long.") from error
        yield piece
