"""Clips start and end where the moment does, show what the video shows, and sound as it."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from mktn.errors import UserError
from mktn.features.video import read_frames
from mktn.grounder.clips import cut
from tests.features.numbered import number_in, write_numbered
from tests.features.odd_files import turn
from tests.serve.hostile_files import write_still_clock

TIMES_MS = [100 * i for i in range(60)]  # 6 s


def shown(path: Path) -> list[tuple[int, float, float]]:
    return [(number_in(frame.rgb), frame.start_s, frame.end_s) for frame in read_frames(path)]


@pytest.mark.parametrize(
    ("start_s", "end_s"), [(1.0, 2.0), (1.234, 3.777), (0.0, 0.05), (5.51, 6)]
)
def test_a_clip_is_exact(tmp_path: Path, start_s: float, end_s: float) -> None:
    video = write_numbered(tmp_path / "v.mp4", TIMES_MS)
    cut(video, start_s, end_s, tmp_path / "clip.mp4")
    found = shown(tmp_path / "clip.mp4")
    first = int(start_s * 10 + 1e-9)
    expected = [n for n in range(first, 60) if n / 10 < end_s]
    assert [number for number, _, _ in found] == expected
    for number, begins_s, ends_s in found:
        assert begins_s == pytest.approx(max(0.0, number / 10 - start_s), abs=1e-4)
        assert ends_s == pytest.approx(min(number / 10 + 0.1, end_s) - start_s, abs=1e-4)


def test_frames_of_uneven_lengths_and_turned_ones_stay_so(tmp_path: Path) -> None:
    times_ms = [0, 40, 500, 510, 1700, 1733, 2500]
    video = write_numbered(tmp_path / "v.mp4", times_ms)
    cut(video, 0.3, 2.0, tmp_path / "clip.mp4")
    found = shown(tmp_path / "clip.mp4")
    assert [number for number, _, _ in found] == [1, 2, 3, 4, 5]
    begins = [begins_s for _, begins_s, _ in found]
    assert begins == pytest.approx([0, 0.2, 0.21, 1.4, 1.433], abs=1e-4)
    assert found[-1][2] == pytest.approx(1.7, abs=1e-4)
    turn(video, "90")
    upright = next(iter(read_frames(video))).rgb
    cut(video, 0.0, 0.04, tmp_path / "turned.mp4")
    clip = next(iter(read_frames(tmp_path / "turned.mp4"))).rgb
    assert np.abs(upright.astype(int) - clip).mean() < 12


def test_sound_is_cut_with_the_picture(tmp_path: Path) -> None:
    video, rate = tmp_path / "v.mp4", 16_000
    with av.open(str(video), "w") as container:
        pictures = container.add_stream("libx264", rate=10)
        pictures.width = pictures.height = 64
        pictures.pix_fmt = "yuv420p"
        sound = container.add_stream("aac", rate=rate, layout="mono")
        for _ in range(40):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode())
        # Loud from 1.5 to 2.5 s.
        at_s = np.arange(4 * rate) / rate
        tone = np.sin(2 * np.pi * 440 * at_s) * ((at_s >= 1.5) & (at_s < 2.5))
        heard = av.AudioFrame.from_ndarray(tone[None].astype(np.float32), "fltp", "mono")
        heard.rate = rate
        container.mux(sound.encode(heard))
        container.mux(sound.encode())
    cut(video, 1.2, 3.0, tmp_path / "clip.mp4")
    there, here = loud_s(video), loud_s(tmp_path / "clip.mp4")
    assert there[1] - there[0] == pytest.approx(1.0, abs=0.01)
    assert here == pytest.approx([there[0] - 1.2, there[1] - 1.2], abs=0.005)


def loud_s(path: Path) -> list[float]:
    """When the sound becomes loud and ceases to be."""
    with av.open(str(path)) as container:
        frames = [(frame.time, frame.to_ndarray()[0]) for frame in container.decode(audio=0)]
        rate = container.streams.audio[0].rate
    loud = np.flatnonzero(np.abs(np.concatenate([values for _, values in frames])) > 0.3)
    return [float(frames[0][0] + place / rate) for place in (loud[0], loud[-1])]


def test_what_cannot_be_cut_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    video = write_numbered(tmp_path / "v.mp4", TIMES_MS)
    for start_s, end_s, path in ((7.0, 8.0, video), (2.0, 2.0, video), (0, 1, tmp_path / "no")):
        with pytest.raises(UserError, match=r"nothing to cut|no such file"):
            cut(path, start_s, end_s, tmp_path / "out" / "clip.mp4")
    assert not list((tmp_path / "out").iterdir())


class Enough(Exception):
    """Nobody waits for the clip any more."""


def test_a_clip_is_given_up_where_no_frame_is_ever_seen(tmp_path: Path) -> None:
    write_still_clock(tmp_path / "v.mkv", 500)
    told: list[float] = []

    def watch(at_s: float) -> None:
        told.append(at_s)
        if len(told) == 20:
            raise Enough

    with pytest.raises(Enough):
        cut(tmp_path / "v.mkv", 0.0, 10.0, tmp_path / "clip.mp4", watch)
    assert told == [0.0] * 20
    assert not (tmp_path / "clip.mp4").exists()


def test_a_clip_is_given_up_in_its_sound_too(tmp_path: Path) -> None:
    """Sound may be hours behind a picture of a second."""
    video = with_long_sound(tmp_path / "v.mp4")
    reached: list[float] = []

    def watch(at_s: float) -> None:
        reached.append(at_s)
        if at_s > 3:
            raise Enough

    with pytest.raises(Enough):
        cut(video, 0.0, 1e7, tmp_path / "clip.mp4", watch)
    assert 3 < reached[-1] < 3.1
    assert not (tmp_path / "clip.mp4").exists()


def with_long_sound(path: Path) -> Path:
    """Half a second of pictures and eight seconds of silence."""
    with av.open(str(path), "w") as target:
        stream = target.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        sound = target.add_stream("aac", rate=48_000, layout="mono")
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            frame.pts = number
            target.mux(stream.encode(frame))
        target.mux(stream.encode())
        for number in range(8 * 48):
            quiet = av.AudioFrame.from_ndarray(np.zeros((1, 1000), np.float32), "fltp", "mono")
            quiet.rate, quiet.pts, quiet.time_base = 48_000, 1000 * number, Fraction(1, 48_000)
            target.mux(sound.encode(quiet))
        target.mux(sound.encode())
    return path
