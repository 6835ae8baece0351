"""Videos to clips: RGB frames by their presentation times, sampled at a fixed rate, in a stream.

Times are seconds from the start of the file as a player shows it. Frame k of the samples is the
frame on the screen at k / fps: the last one whose presentation time is not after it.
`mktn.features.pictures` says what is done about odd files.
"""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from mktn.features.pictures import Decoded, Picture, VideoError, pictures

__all__ = [
    "FRAME_RATE_POLICY", "Clip", "Decoded", "Frame", "Resize", "VideoError", "duration_s",
    "read_clips", "read_frames", "sample_frames",
]  # fmt: skip

FRAME_RATE_POLICY = "the frame on the screen at k/fps"
# A time in a container is rounded to its time base: this much early is still the same frame.
TIME_TOLERANCE_S = 1e-4

# (height, width) of the source -> (height, width) of the frames wanted
Resize = Callable[[int, int], tuple[int, int]]


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

    All have the size of the first, also where the file changes it. Raises VideoError where the
    file is missing, empty, not a video, damaged or cut short.
    """
    for picture, size in _sized(path, resize, Decoded()):
        yield Frame(picture.rgb(size), picture.start_s, picture.end_s)


def sample_frames(
    path: str | Path, fps: float, resize: Resize | None = None, seen: Decoded | None = None
) -> Iterator[tuple[float, np.ndarray, float]]:
    """(time_s, rgb (H,W,3) uint8, end_s of the video so far) at times k / fps.

    The frame shown at each time, whatever the file's own rate, also where that rate varies; a
    frame shown at two times is given twice. Only frames that are given are converted. `seen` is
    told what is decoded. Raises VideoError as `read_frames`.
    """
    index = 0
    for picture, size in _sized(path, resize, seen or Decoded()):
        rgb: np.ndarray | None = None
        while index == 0 or index / fps < picture.end_s - TIME_TOLERANCE_S:
            rgb = picture.rgb(size) if rgb is None else rgb
            yield index / fps, rgb, picture.end_s
            index += 1


def read_clips(
    path: str | Path,
    fps: float,
    clip: int = 16,
    stride: int = 8,
    resize: Resize | None = None,
    seen: Decoded | None = None,
) -> Iterator[Clip]:
    """Clips of `clip` samples at `fps`, one each `stride` samples, each with its time span.

    Clip i spans [i * stride / fps, (i * stride + clip) / fps) s, cut at the end of the video; a
    video shorter than a clip gives one clip, padded with its last frame, that spans the video.
    Samples after the last whole clip are left out. Holds one clip in memory. `seen` is told what
    is decoded. Raises VideoError.
    """
    held: list[np.ndarray] = []
    first, waiting = 0, None
    seen = seen or Decoded()
    for _, rgb, _ in sample_frames(path, fps, resize, seen):
        if waiting is not None:
            yield waiting  # a sample after it: the video goes on
            waiting = None
        held.append(rgb)
        if len(held) == clip:
            waiting = Clip(np.stack(held), first / fps, (first + clip) / fps)
            held, first = held[stride:], first + stride
    if waiting is not None:
        yield dataclasses.replace(waiting, end_s=min(waiting.end_s, seen.duration_s))
    elif first == 0:
        padded = held + [held[-1]] * (clip - len(held))
        yield Clip(np.stack(padded), 0.0, seen.duration_s)


def duration_s(path: str | Path) -> float:
    """The end of the last frame, in seconds, by decoding the whole file. Raises VideoError."""
    seen = Decoded()
    for _ in pictures(Path(path), seen):
        pass
    return seen.duration_s


def _sized(
    path: str | Path, resize: Resize | None, seen: Decoded
) -> Iterator[tuple[Picture, tuple[int, int]]]:
    size: tuple[int, int] | None = None
    for picture in pictures(Path(path), seen):
        if size is None:
            size = resize(*picture.size) if resize else picture.size
        yield picture, size
