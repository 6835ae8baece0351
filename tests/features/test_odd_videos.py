"""Odd video files: each gives the right clips, or a reason in one line."""

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mktn.features.video import Decoded, VideoError, read_clips, read_frames, sample_frames
from tests.features import odd_files as odd
from tests.features.numbered import number_in

UPRIGHT = {
    "0": lambda rgb: rgb,
    "90": lambda rgb: np.rot90(rgb, -1),
    "180": lambda rgb: np.rot90(rgb, 2),
    "270": lambda rgb: np.rot90(rgb, 1),
    "mirrored": lambda rgb: rgb[:, ::-1],
    "upside down": lambda rgb: rgb[::-1],
    "90 mirrored": lambda rgb: rgb.swapaxes(0, 1),
    "270 mirrored": lambda rgb: np.rot90(rgb, 2).swapaxes(0, 1),
}


def samples(path: Path, seen: Decoded | None = None) -> list[int]:
    return [number_in(rgb) for _, rgb, _ in sample_frames(path, 8.0, seen=seen)]


@pytest.mark.parametrize("name", UPRIGHT)
def test_the_display_matrix_is_applied(name, tmp_path):
    wide = [rgb[:32] for rgb in odd.numbered_frames(4)]
    path = odd.write_frames(tmp_path / "v.mp4", wide)
    plain = [frame.rgb for frame in read_frames(path)]
    odd.turn(path, name)
    turned = [frame.rgb for frame in read_frames(path)]
    np.testing.assert_array_equal(turned, [UPRIGHT[name](rgb) for rgb in plain])
    asked = next(read_clips(path, 8.0, resize=lambda height, width: (2 * height, width)))
    height, width = turned[0].shape[:2]
    assert asked.frames.shape == (16, 2 * height, width, 3)


@pytest.mark.parametrize(
    ("suffix", "codec", "pix_fmt"),
    [
        ("mkv", "libx264", "yuv420p10le"), ("mkv", "ffv1", "gray"), ("mkv", "ffv1", "bgra"),
        ("avi", "mpeg4", "yuv420p"), ("avi", "mjpeg", "yuvj420p"), ("webm", "libvpx", "yuv420p"),
        ("mpg", "mpeg2video", "yuv420p"), ("ts", "libx264", "yuv420p"),
        ("flv", "libx264", "yuv420p"), ("mov", "mjpeg", "yuvj420p"),
    ],
)  # fmt: skip
def test_containers_and_pixel_formats(suffix, codec, pix_fmt, tmp_path):
    path = odd.write_frames(tmp_path / f"v.{suffix}", odd.numbered_frames(), codec, pix_fmt)
    assert samples(path) == list(range(40))


@pytest.mark.parametrize("size", [(1, 64), (64, 2), (63, 65), (2, 300), (33, 47)])
def test_odd_and_thin_pictures(size, tmp_path):
    height, width = size
    rgb = np.zeros((height, width, 3), np.uint8)
    rgb[:, width // 2 :] = 255
    path = odd.write_frames(tmp_path / "v.mkv", [rgb] * 3, "ffv1", "bgra")
    (frame, *_) = read_frames(path)
    np.testing.assert_array_equal(frame.rgb, rgb)
    clip = next(read_clips(path, 8.0, resize=lambda h, w: (32, 40)))
    assert clip.frames.shape == (16, 32, 40, 3)


def test_a_strip_that_would_be_scaled_to_too_many_pixels(tmp_path):
    path = odd.write_frames(tmp_path / "v.mkv", [np.zeros((1, 2000, 3), np.uint8)], "ffv1", "bgra")
    with pytest.raises(VideoError, match="too many pixels: 1 x 2000 to 256 x 512000"):
        list(read_clips(path, 8.0, resize=lambda h, w: (256, 256 * w // h)))


def test_pixels_are_taken_as_stored_whatever_their_aspect(tmp_path):
    path = odd.write_frames(
        tmp_path / "v.mkv", odd.numbered_frames(4), sample_aspect_ratio=Fraction(16, 9)
    )
    assert next(read_frames(path)).rgb.shape == (64, 64, 3)


def test_a_few_damaged_packets_are_borne_and_said(tmp_path):
    path = odd.write_steady(tmp_path / "v.mp4")
    odd.spoil(path, [20, 40])
    seen = Decoded()
    found = samples(path, seen)
    assert len(found) == 60
    assert found[:10] == list(range(10))
    assert seen.note == "2 of 60 packets do not decode"


def test_a_stream_that_starts_just_before_a_key_frame(tmp_path):
    odd.write_from_packet(tmp_path / "v.mkv", first=3, key_frames=4)
    found = samples(tmp_path / "v.mkv")
    assert found[:4] == [4, 4, 5, 6]  # the first picture stands in for the one before it


def test_another_frame_size_halfway(tmp_path):
    odd.write_joined(tmp_path / "v.ts", [64, 128], [0.0, 5.0])
    clips = list(read_clips(tmp_path / "v.ts", 8.0))
    assert {clip.frames.shape for clip in clips} == {(16, 64, 64, 3)}
    assert [number_in(clip.frames[0]) for clip in clips] == [0, 8, 16, 24, 32, 2, 10, 18]


def test_the_video_is_read_and_not_the_cover(tmp_path):
    odd.write_cover(tmp_path / "v.mp4", moving=True)
    assert samples(tmp_path / "v.mp4") == list(range(20))


NAMES = ["a:b", "%03d", "-x", "concat:a|b", "é 漢 #?&", "quo'te\nline", "*", "[a]", b"\xff\xfe"]


@pytest.mark.parametrize("name", NAMES)
def test_characters_in_the_name_of_a_file(name, tmp_path):
    path = tmp_path / f"{os.fsdecode(name)}.mp4"
    odd.write_steady(tmp_path / "v.mp4").rename(path)
    assert samples(path) == list(range(60))


def cut_matroska(path: Path) -> None:
    odd.cut(odd.write_frames(path, odd.numbered_frames(), "ffv1", "bgra"), 0.5)


def cut_flash(path: Path) -> None:
    made = odd.write_frames(path.with_suffix(".flv"), odd.numbered_frames())
    odd.cut(made, 0.7)
    made.rename(path)


def cut_avi(path: Path) -> None:
    made = odd.write_frames(path.with_suffix(".avi"), odd.numbered_frames(), "mpeg4")
    odd.cut(made, 0.8)
    made.rename(path)


def without_index(path: Path) -> None:
    odd.cut(odd.write_steady(path.with_suffix(".mp4")).rename(path), 0.5)


def badly_damaged(path: Path) -> None:
    odd.spoil(odd.write_steady(path.with_suffix(".mp4")).rename(path), list(range(10, 30)))


def first_frame_damaged(path: Path) -> None:
    odd.spoil(odd.write_steady(path.with_suffix(".mp4")).rename(path), [0])


BAD = {
    "cut short: 2.38 s of the 5.00 s": cut_matroska,
    "cut short: 2.62 s of the 5.25 s": cut_flash,
    "cut short: 1.50 s of the 5.00 s": cut_avi,
    "does not decode": without_index,
    "damaged: 20 of 60 packets": badly_damaged,
    "no frame decodes": first_frame_damaged,
    "no key frame at its start": lambda path: odd.write_from_packet(path, 3, 30),
    "frames go back in time": lambda path: odd.write_joined(path, [64, 64], [0.0, 0.0]),
    "times jump from 4.88 s": lambda path: odd.write_joined(path, [64, 64], [0.0, 9000.0]),
    "no video stream, only a cover picture": lambda path: odd.write_cover(path, moving=False),
    "no video stream": odd.write_sound,
}


@pytest.mark.parametrize("reason", BAD)
def test_what_cannot_be_used_gives_its_reason_in_one_line(reason, tmp_path):
    path = tmp_path / "bad.mkv"
    BAD[reason](path)
    with pytest.raises(VideoError, match=reason) as caught:
        list(read_clips(path, 8.0))
    assert "\n" not in str(caught.value)
