"""Moments cut out of a video, encoded again so that they start and end where they should.

A stream copy could start at key frames only. The first picture is the one on the screen when the
moment starts, each is shown as long as in the video, and the last one until the moment ends.
"""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from mktn.errors import UserError
from mktn.features.pictures import Decoded, Picture, VideoError, pictures
from mktn.files import written_beside

TICKS = 90_000  # a second
AUDIO = ("mono", "stereo")


def cut(
    video: Path,
    start_s: float,
    end_s: float,
    out: Path,
    watch: Callable[[float], None] | None = None,
) -> None:
    """Write [start_s, end_s) seconds of a video, with its sound, to the mp4 file `out`.

    watch: is told the second of the video that is reached; what it raises ends the work. Raises
    UserError where the video cannot be read, or has nothing there.
    """
    try:
        with (
            written_beside(out) as beside,
            av.open(str(beside), "w", format="mp4") as target,
        ):
            shown = _within(video, start_s, end_s, watch)
            first = next(shown, None)
            if first is None or end_s <= start_s:
                raise UserError(
                    "nothing to cut", where=video, found=f"{start_s:.2f} to {end_s:.2f} s"
                )
            with av.open(f"file:{video}", metadata_errors="replace") as source:
                sound = _Sound(source, target, start_s, end_s)
                _write_pictures(target, first, shown, start_s, end_s)
                sound.write(watch or (lambda at_s: None))
    except VideoError as error:
        raise UserError("video cannot be used", where=video, found=error) from error
    except av.FFmpegError as error:
        raise UserError("clip cannot be written", where=out, found=error) from error


class _Watched(Decoded):
    """Tells with each frame, also one that is never seen, which second is reached."""

    def __init__(self, watch: Callable[[float], None]) -> None:
        super().__init__()
        self._watch = watch

    def advance(self) -> None:
        super().advance()
        self._watch(self.duration_s)


def _within(
    video: Path, start_s: float, end_s: float, watch: Callable[[float], None] | None
) -> Iterator[Picture]:
    for picture in pictures(video, _Watched(watch or (lambda at_s: None))):
        if picture.start_s >= end_s:
            return
        if picture.end_s > start_s:
            yield picture


def _write_pictures(
    target: Any, first: Picture, others: Iterator[Picture], start_s: float, end_s: float
) -> None:
    height, width = (side - side % 2 or 2 for side in first.size)  # as yuv420p needs
    stream = target.add_stream("libx264", rate=30)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    stream.codec_context.time_base = Fraction(1, TICKS)
    # Without B-frames packets come in the order of the pictures, each with its own duration.
    stream.options = {"crf": "18", "preset": "veryfast", "bf": "0", "threads": "1"}
    stream.codec_context.thread_count = 1
    lengths: list[int] = []

    def mux(packets: list[Any]) -> None:
        for packet in packets:
            packet.time_base, packet.duration = Fraction(1, TICKS), lengths.pop(0)
            target.mux(packet)

    def frames() -> Iterator[Picture]:
        yield first
        yield from others

    for picture in frames():
        begins = round(TICKS * (max(picture.start_s, start_s) - start_s))
        ends = round(TICKS * (min(picture.end_s, end_s) - start_s))
        if ends <= begins:
            continue
        frame = av.VideoFrame.from_ndarray(picture.rgb((height, width)), format="rgb24")
        frame.pts, frame.time_base = begins, Fraction(1, TICKS)
        lengths.append(ends - begins)
        mux(stream.encode(frame))
    mux(stream.encode())


class _Sound:
    """The first sound of a video, cut to the sample. Its stream is added before anything is
    written."""

    def __init__(self, source: Any, target: Any, start_s: float, end_s: float) -> None:
        self._source, self._target = source, target
        self._zero_s = (source.start_time or 0) / av.time_base
        self._span_s = start_s, end_s
        self._from = source.streams.audio[0] if source.streams.audio else None
        if self._from is not None:
            channels = min(len(self._from.layout.channels), len(AUDIO)) or 1
            self._rate = min(self._from.rate or 48_000, 48_000)
            self._layout = AUDIO[channels - 1]
            self._to = target.add_stream("aac", rate=self._rate, layout=self._layout)

    def write(self, watch: Callable[[float], None]) -> None:
        if self._from is None:
            return
        start_s, end_s = self._span_s
        resampler = av.AudioResampler("fltp", self._layout, self._rate)
        for decoded in self._source.decode(self._from):
            watch(max(0.0, (decoded.time or 0.0) - self._zero_s))
            if decoded.time is None or decoded.time - self._zero_s >= end_s:
                break
            for frame in resampler.resample(decoded):
                at_s = float(frame.time or 0.0) - self._zero_s
                values = frame.to_ndarray()
                low = max(0, round((start_s - at_s) * self._rate))
                high = min(values.shape[1], round((end_s - at_s) * self._rate))
                if high <= low:
                    continue
                kept = av.AudioFrame.from_ndarray(values[:, low:high].copy(), "fltp", self._layout)
                kept.rate = self._rate
                kept.pts = round((at_s - start_s) * self._rate) + low
                kept.time_base = Fraction(1, self._rate)
                self._target.mux(self._to.encode(kept))
        self._target.mux(self._to.encode())
