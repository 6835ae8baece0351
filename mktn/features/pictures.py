"""A video file to its pictures, upright and with the times at which a player shows them.

Files in the wild are odd. What is done about it, so that each ends in pictures or in one line:
- time 0 is the start of the file, whichever stream starts first; where the picture starts later,
  the first one stands in from 0 on;
- a time that does not advance is never on the screen; where many go back the file is refused;
- a packet that does not decode is left out, and the picture before it stays, as in a player;
  above `MAX_DAMAGED_SHARE` the file is refused. The same for what a stream holds before its first
  key frame and for a file that is cut short, above `MISSING_S` and `MISSING_SHARE`;
- pixels are taken as stored, as the published features took them: no sample aspect ratio, no
  deinterlacing; only the display matrix (rotation and mirroring) is applied.
"""

import contextlib
import dataclasses
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.sidedata.sidedata import Type as SideData
from av.stream import Disposition
from av.video.reformatter import VideoReformatter

# A stream may announce slightly more than it holds; a truncated file lacks more than both.
MISSING_S, MISSING_SHARE = 0.5, 0.1
MAX_DAMAGED_SHARE = 0.05
MAX_STILL_S = 1800.0  # a picture that stands longer is a jump of the clock
MAX_PIXELS = 2**25  # 8K; a strip one pixel high would be scaled to many more


class VideoError(Exception):
    """A video that cannot be used, and why, in one line for the manifest."""


class Decoded:
    """What was seen of a file so far.

    packets and those damaged, frames and those that went back in time, duration_s up to the end of
    the last picture.
    """

    def __init__(self) -> None:
        self.packets = self.damaged = self.frames = self.backward = 0
        self.duration_s = 0.0

    def advance(self) -> None:
        """Called for each decoded frame; made to be overridden by who waits for progress."""
        self.frames += 1

    @property
    def note(self) -> str:
        """What was wrong and could be borne, in a line, or nothing."""
        said = []
        if self.damaged:
            said.append(f"{self.damaged} of {self.packets} packets do not decode")
        if self.backward:
            said.append(f"{self.backward} of {self.frames} frames go back in time")
        return ", ".join(said)


@dataclasses.dataclass(frozen=True)
class Picture:
    """A decoded frame on the screen during [start_s, end_s), before its conversion to RGB."""

    frame: Any  # av.VideoFrame
    start_s: float
    end_s: float
    scaler: Any  # VideoReformatter of the stream: a frame's own would be made anew each time

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) when upright."""
        height, width = self.frame.height, self.frame.width
        return (width, height) if self._turning()[0] else (height, width)

    def rgb(self, size: tuple[int, int]) -> np.ndarray:
        """(height, width, 3) uint8, upright, scaled to size. Raises VideoError."""
        transposed, down, right = self._turning()
        height, width = size[::-1] if transposed else size
        if max(height * width, self.frame.height * self.frame.width) > MAX_PIXELS:
            raise VideoError(
                f"too many pixels: {self.frame.height} x {self.frame.width} to {height} x {width}"
            )
        try:
            scaled = self.scaler.reformat(
                self.frame, width, height, "rgb24", interpolation="BILINEAR", threads=1
            )
            stored = scaled.to_ndarray()
        except (av.FFmpegError, ValueError) as error:
            raise VideoError(
                f"no conversion of {self.frame.height} x {self.frame.width} "
                f"{self.frame.format.name}: {_line(error)}"
            ) from error
        upright = stored.swapaxes(0, 1) if transposed else stored
        return np.ascontiguousarray(upright[::down, ::right])

    def _turning(self) -> tuple[bool, int, int]:
        """Whether rows become columns, then the steps (1 or -1) through rows and columns."""
        matrix = self.frame.side_data.get(SideData.DISPLAYMATRIX)
        if matrix is None:
            return False, 1, 1
        # x' = a x + c y, y' = b x + d y: from the stored to the upright picture
        a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix)[:36])
        if abs(b) + abs(c) > abs(a) + abs(d):
            return True, -1 if b < 0 else 1, -1 if c < 0 else 1
        return False, -1 if d < 0 else 1, -1 if a < 0 else 1


def pictures(path: Path, seen: Decoded) -> Iterator[Picture]:
    """The pictures of the best video stream, each once the next one says when it ends.

    Raises VideoError where the file is missing, empty, no video, damaged or cut short.
    """
    if not path.is_file():
        raise VideoError("no such file")
    if path.stat().st_size == 0:
        raise VideoError("empty file")
    try:
        # Without a protocol, a name with a colon would be taken for an address.
        with av.open(f"file:{path}", metadata_errors="replace") as container:
            stream = _best_stream(container)
            stream.codec_context.thread_type = "NONE"  # threads belong to the configuration
            yield from _timed(container, stream, seen)
    except UnicodeEncodeError as error:
        raise VideoError("the file's name is not UTF-8") from error
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"does not decode: {_line(error)}") from error


def _best_stream(container: Any) -> Any:
    """The stream a player would choose; a cover is no video."""
    moving = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not moving:
        covers = len(container.streams.video)
        raise VideoError("no video stream" + (", only a cover picture" if covers else ""))
    best = container.streams.best("video")
    return best if best in moving else max(moving, key=lambda s: s.width * s.height)


def _frames(container: Any, stream: Any, seen: Decoded) -> Iterator[Any]:
    for packet in container.demux(stream):
        seen.packets += packet.size > 0
        try:
            frames = packet.decode()
        except av.InvalidDataError:
            seen.damaged += 1
            continue
        for frame in frames:
            seen.advance()
            yield frame


def _timed(container: Any, stream: Any, seen: Decoded) -> Iterator[Picture]:
    zero_s = (container.start_time or 0) / av.time_base
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    usual_s = 1 / rate if rate else 0.0
    announced_s = _announced_s(container, stream)
    bearable_s = max(MISSING_S, MISSING_SHARE * announced_s)
    scaler = VideoReformatter()
    previous: tuple[Any, float] | None = None
    for frame in _frames(container, stream, seen):
        if frame.time is None:
            if previous is not None and not usual_s:
                raise VideoError("frames carry no time and the stream no rate")
            time_s = 0.0 if previous is None else previous[1] + usual_s
        else:
            time_s = frame.time - zero_s
        if previous is None:
            begins_s = float((stream.start_time or 0) * stream.time_base) - zero_s
            if time_s > max(begins_s, 0.0) + bearable_s:
                raise VideoError(f"no key frame at its start: no picture before {time_s:.2f} s")
        else:
            if time_s <= previous[1]:
                seen.backward += time_s < previous[1]
                continue
            if time_s > previous[1] + MAX_STILL_S:
                raise VideoError(f"times jump from {previous[1]:.2f} s to {time_s:.2f} s")
            seen.duration_s = time_s
            yield Picture(*previous, time_s, scaler)
            usual_s = usual_s or time_s - previous[1]
        previous = (frame, time_s)
    if previous is None:
        raise VideoError("no frame decodes")
    frame, time_s = previous
    last_s = float(frame.duration * frame.time_base) if frame.duration else usual_s
    end_s = time_s + (last_s or 1.0)
    if end_s < announced_s - bearable_s:
        raise VideoError(f"cut short: {end_s:.2f} s of the {announced_s:.2f} s it announces")
    if seen.damaged > MAX_DAMAGED_SHARE * seen.packets:
        raise VideoError(f"damaged: {seen.damaged} of {seen.packets} packets do not decode")
    if seen.backward > MAX_DAMAGED_SHARE * seen.frames:
        raise VideoError(f"{seen.backward} of {seen.frames} frames go back in time")
    seen.duration_s = end_s
    yield Picture(frame, time_s, end_s, scaler)


def _announced_s(container: Any, stream: Any) -> float:
    """Where the stream ends by the file's own word; 0 where it says nothing."""
    counted_s = 0.0
    if container.format.name == "avi" and stream.frames:
        # Of a cut file only the header says how much there was; a tick is a frame.
        counted_s = float(stream.frames * stream.time_base)
    if stream.duration:
        return max(float(stream.duration * stream.time_base), counted_s)
    # Matroska says it in a tag of the stream; for a whole file sound may be what lasts longest.
    tag = re.fullmatch(r"(\d+):(\d+):(\d+\.\d+)", stream.metadata.get("DURATION", ""))
    if tag:
        hours, minutes, seconds = map(float, tag.groups())
        return 3600 * hours + 60 * minutes + seconds
    says = container.format.name in ("flv", "matroska,webm")
    if says and len(container.streams) == 1:
        return (container.duration or 0) / av.time_base
    return 0.0


def _line(error: Exception) -> str:
    with contextlib.suppress(AttributeError):
        if error.strerror:  # type: ignore[attr-defined]
            return " ".join(error.strerror.split())  # type: ignore[attr-defined]
    return " ".join(str(error).split())
