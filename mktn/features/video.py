"""Videos to clips: RGB frames by their presentation times, sampled at a fixed rate, in a stream.

Times are seconds from the start of the file as a player shows it. Frame k of the samples is the
frame on the screen at k / fps: the last one whose presentation time is not after it.
"""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np

# A time in a container is rounded to its time base: this much early is still the same frame.
TIME_TOLERANCE_S = 1e-4
# A stream may announce slightly more than it holds; a truncated file lacks more than both.
MISSING_S, MISSING_SHARE = 0.5, 0.1

# (height, width) of the source -> (height, width) of the frames wanted
Resize = Callable[[int, int], tuple[int, int]]


class VideoError(Exception):
    """A video that cannot be used, and why, in one line for the manifest."""


@dataclasses.dataclass(frozen=True)
class Frame:
    """One picture: rgb (H,W,3) uint8, on the screen during [start_s, end_s)."""

    rgb: np.ndarray
    start_s: float
    end_s: float


@dataclasses.dataclass(frozen=True)
class Clip:
    """Consecutive samples: frames (clip,H,W,3) uint8, covering [start_s, end_s)."""

    frames: np.ndarray
    start_s: float
    end_s: float


def read_frames(path: str | Path, resize: Resize | None = None) -> Iterator[Frame]:
    """All frames of the best video stream in presentation order, with their exact times.

    Raises VideoError where the file is missing, empty, not a video, damaged or cut short.
    """
    for picture in _pictures(Path(path)):
        yield Frame(picture.rgb(resize), picture.start_s, picture.end_s)


def sample_frames(
    path: str | Path, fps: float, resize: Resize | None = None
) -> Iterator[tuple[float, np.ndarray, float]]:
    """(time_s, rgb (H,W,3) uint8, end_s of the video so far) at times k / fps.

    The frame shown at each time, whatever the file's own rate, also where that rate varies; a
    frame shown at two times is given twice. Only frames that are given are converted. Raises
    VideoError as `read_frames`.
    """
    index = 0
    for picture in _pictures(Path(path)):
        rgb: np.ndarray | None = None
        while index == 0 or index / fps < picture.end_s - TIME_TOLERANCE_S:
            rgb = picture.rgb(resize) if rgb is None else rgb
            yield index / fps, rgb, picture.end_s
            index += 1


def read_clips(
    path: str | Path, fps: float, clip: int = 16, stride: int = 8, resize: Resize | None = None
) -> Iterator[Clip]:
    """Clips of `clip` samples at `fps`, one each `stride` samples, each with its time span.

    Clip i spans [i * stride / fps, (i * stride + clip) / fps) s, cut at the end of the video; a
    video shorter than a clip gives one clip, padded with its last frame, that spans the video.
    Samples after the last whole clip are left out. Holds one clip in memory. Raises VideoError.
    """
    held: list[np.ndarray] = []
    first, video_s, waiting = 0, 0.0, None
    for _, rgb, end_s in sample_frames(path, fps, resize):
        video_s = end_s
        if waiting is not None:
            yield waiting  # a sample after it: the video goes on
            waiting = None
        held.append(rgb)
        if len(held) == clip:
            waiting = Clip(np.stack(held), first / fps, (first + clip) / fps)
            held, first = held[stride:], first + stride
    if waiting is not None:
        yield dataclasses.replace(waiting, end_s=min(waiting.end_s, video_s))
    elif first == 0:
        padded = held + [held[-1]] * (clip - len(held))
        yield Clip(np.stack(padded), 0.0, video_s)


def duration_s(path: str | Path) -> float:
    """The end of the last frame, in seconds, by decoding the whole file. Raises VideoError."""
    end_s = 0.0
    for picture in _pictures(Path(path)):
        end_s = picture.end_s
    return end_s


@dataclasses.dataclass(frozen=True)
class _Picture:
    """A decoded frame before its conversion to RGB."""

    frame: Any  # av.VideoFrame
    start_s: float
    end_s: float

    def rgb(self, resize: Resize | None) -> np.ndarray:
        """(H,W,3) uint8; turned upright first where the file says so."""
        turns = round(self.frame.rotation / 90) % 4
        height, width = self.frame.height, self.frame.width
        if resize is not None:
            height, width = resize(width, height) if turns % 2 else resize(height, width)
            height, width = (width, height) if turns % 2 else (height, width)
        picture = self.frame.reformat(
            width=width, height=height, format="rgb24", interpolation="BILINEAR"
        )
        return np.ascontiguousarray(np.rot90(picture.to_ndarray(), turns))


def _pictures(path: Path) -> Iterator[_Picture]:
    """Each frame once the next one says when it ends; the last by its own duration."""
    if not path.is_file():
        raise VideoError("no such file")
    if path.stat().st_size == 0:
        raise VideoError("empty file")
    try:
        with av.open(str(path)) as container:
            stream = container.streams.best("video")
            if stream is None:
                raise VideoError("no video stream")
            stream.codec_context.thread_type = "NONE"  # threads belong to the configuration
            yield from _timed(container, stream)
    except (av.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise VideoError(f"does not decode: {' '.join(reason.split())}") from error


def _timed(container: Any, stream: Any) -> Iterator[_Picture]:
    zero_s = (container.start_time or 0) / av.time_base
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    usual_s = 1 / rate if rate else 0.0
    previous: tuple[Any, float] | None = None
    for frame in container.decode(stream):
        if frame.time is None:
            if previous is not None and not usual_s:
                raise VideoError("frames carry no time and the stream no rate")
            time_s = 0.0 if previous is None else previous[1] + usual_s
        else:
            time_s = frame.time - zero_s
        if previous is not None:
            if time_s <= previous[1]:
                continue  # a time that does not advance is never on the screen
            yield _Picture(*previous, time_s)
            usual_s = usual_s or time_s - previous[1]
        previous = (frame, time_s)
    if previous is None:
        raise VideoError("no frame decodes")
    frame, time_s = previous
    last_s = float(frame.duration * frame.time_base) if frame.duration else usual_s
    end_s = time_s + (last_s or 1.0)
    announced_s = float(stream.duration * stream.time_base) if stream.duration else 0.0
    if end_s < announced_s - max(MISSING_S, MISSING_SHARE * announced_s):
        raise VideoError(f"cut short: {end_s:.2f} s of the {announced_s:.2f} s it announces")
    yield _Picture(frame, time_s, end_s)
