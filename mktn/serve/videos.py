"""Videos that can be asked about, known to the browser by tokens that nobody can guess."""

import contextlib
import dataclasses
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from mktn.datasets.video_ids import VIDEO_SUFFIXES
from mktn.errors import UserError
from mktn.features.pictures import MAX_PIXELS, pictures
from mktn.features.video import Decoded, VideoError

LONGEST = 120  # characters of a name
MOST_UNSEEN = 1000  # frames
# Containers that hold what they play. Playlists and the like name other files, of this machine
# too, whatever the file is called.
CONTAINERS = "mov,matroska,avi,mpegts,mpeg,mpegvideo,flv,asf"
MP4_SOUND, WEBM_SOUND = ("aac", "mp3"), ("opus", "vorbis")


def new_token() -> str:
    """24 random bytes as text for an address."""
    return secrets.token_urlsafe(24)


def shown_name(name: str) -> str:
    """A file's name as it is shown: without folders and what does not print, and not too long.

    Only for the eye: nothing is opened or written by it.
    """
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    text = last.encode("utf-8", "replace").decode("utf-8")
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text).strip()
    stem, suffix = os.path.splitext(text)
    most = LONGEST - len(suffix)
    return (
        f"{stem[:most].rstrip()}...{suffix}" if len(stem) > most > 0 else text[:LONGEST] or "video"
    )


@dataclasses.dataclass(frozen=True)
class Video:
    """A file, its name as it is shown, and the token that a browser knows it by."""

    token: str
    name: str
    path: Path

    @property
    def version(self) -> tuple[str, int, int]:
        """Another one where the file was replaced. Raises UserError where it is gone."""
        try:
            stat = self.path.stat()
        except OSError as error:
            raise UserError("the video is no longer there", where=self.name) from error
        return self.token, stat.st_mtime_ns, stat.st_size


class Shelf:
    """The videos of a folder. A file keeps its token for as long as the server runs."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._tokens: dict[str, str] = {}
        if folder is None:
            return
        if not folder.is_dir():
            raise UserError("no such folder", where=folder, expected="a folder with videos")
        try:
            os.scandir(folder).close()
        except OSError as error:
            raise UserError("cannot be read", where=folder, found=error.strerror) from error

    def videos(self) -> Iterator[Video]:
        """What is in the folder now, by name; files that are named as videos are."""
        if self._folder is None or not self._folder.is_dir():
            return
        names = []
        # A link in a circle, or into a folder that is closed, must not take the page with it.
        with contextlib.suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    names += [entry.name] if entry.is_file() else []
        for name in sorted(names):
            if os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES:
                token = self._tokens.setdefault(name, new_token())
                yield Video(token, shown_name(name), self._folder / name)


class _Impatient(Decoded):
    """Ends where many frames are decoded and none of them is seen: the clock stands."""

    def advance(self) -> None:
        super().advance()
        if self.frames > MOST_UNSEEN:
            raise VideoError(f"of the first {MOST_UNSEEN} frames none is ever seen")


def refuse_no_video(path: Path) -> None:
    """Raise VideoError where no picture of a file of somebody else can be decoded.

    A decoder takes the memory that a file asks for: one that asks for much is not decoded.
    """
    only = {"format_whitelist": CONTAINERS, "protocol_whitelist": "file"}
    if path.stat().st_size == 0:
        raise VideoError("empty file")
    try:
        with av.open(f"file:{path}", metadata_errors="replace", options=only) as container:
            sizes = [(stream.width, stream.height) for stream in container.streams.video]
    except av.FFmpegError as error:
        raise VideoError("it is none of mp4, mov, WebM, mkv, avi, MPEG, flv and wmv") from error
    for width, height in sizes:
        if width * height > MAX_PIXELS:
            raise VideoError(f"too many pixels: {width} x {height}")
    next(pictures(path, _Impatient()))


def media_type(path: Path) -> str | None:
    """What browsers play the file as; None where most do not: it is written again for them.

    They play H.264 of 8 bits in mp4, and VP8, VP9 and AV1 in WebM. Raises VideoError.
    """
    try:
        with av.open(f"file:{path}", metadata_errors="replace") as container:
            if not container.streams.video:
                raise VideoError("no video stream")
            picture = container.streams.video[0].codec_context
            sound = [stream.codec_context.name for stream in container.streams.audio]
            if "mp4" in container.format.name.split(","):
                plain = picture.name == "h264" and picture.pix_fmt in ("yuv420p", "yuvj420p")
                return "video/mp4" if plain and _all_in(sound, MP4_SOUND) else None
            if container.format.name == "matroska,webm" and _is_webm(path):
                plain = picture.name in ("vp8", "vp9", "av1", "libdav1d")
                return "video/webm" if plain and _all_in(sound, WEBM_SOUND) else None
    except (av.FFmpegError, OSError, UnicodeEncodeError) as error:
        raise VideoError(f"does not decode: {getattr(error, 'strerror', error)}") from error
    return None


def _all_in(names: list[str], known: tuple[str, ...]) -> bool:
    return all(name.removesuffix("float") in known for name in names)


def _is_webm(path: Path) -> bool:
    with path.open("rb") as file:
        return b"webm" in file.read(64)  # the DocType; Matroska is written with the same format


def without_paths(error: Exception, *videos: Video) -> str:
    """What is wrong, with names in place of this machine's paths."""
    said: Any = str(error)
    for video in videos:
        said = said.replace(" ".join(str(video.path).split()), video.name)
        said = said.replace(" ".join(str(video.path.parent).split()), "the folder")
    return str(said)
