"""Decoding: the right frame at the right time, and a reason for every file that will not do."""

import wave
from pathlib import Path

import av
import numpy as np
import pytest

from mktn.features.preprocessing import Preprocessing
from mktn.features.video import VideoError, duration_s, read_clips, read_frames, sample_frames
from tests.features.numbered import number_in, write_numbered

STEADY_MS = [125 * i for i in range(60)]
UNEVEN_MS = np.cumsum([0] + [40, 40, 250, 80, 10, 500, 33, 120] * 7).tolist()


@pytest.fixture(scope="module", params=["steady", "uneven"])
def numbered(request, tmp_path_factory):
    times_ms = {"steady": STEADY_MS, "uneven": UNEVEN_MS}[request.param]
    folder = tmp_path_factory.mktemp("videos")
    return write_numbered(folder / f"{request.param}.mp4", times_ms), np.asarray(times_ms) / 1e3


def test_every_frame_has_its_number_and_time(numbered):
    path, times_s = numbered
    frames = list(read_frames(path))
    assert [number_in(frame.rgb) for frame in frames] == list(range(len(times_s)))
    np.testing.assert_allclose([frame.start_s for frame in frames], times_s, atol=1e-3)
    assert [frame.end_s for frame in frames[:-1]] == [frame.start_s for frame in frames[1:]]
    assert frames[-1].end_s > frames[-1].start_s


@pytest.mark.parametrize("fps", [4.0, 8.0, 25.0])
def test_samples_show_the_frame_on_the_screen(numbered, fps):
    path, times_s = numbered
    samples = list(sample_frames(path, fps))
    for index, (time_s, rgb, _) in enumerate(samples):
        assert time_s == index / fps
        assert number_in(rgb) == np.flatnonzero(times_s <= time_s + 1e-3)[-1]
    assert (len(samples) - 1) / fps < duration_s(path) <= (len(samples) + 1) / fps


def test_clips_overlap_and_carry_their_times(numbered):
    path, _ = numbered
    clips = list(read_clips(path, 8.0, resize=lambda height, width: (40, 48)))
    samples = [number_in(rgb) for _, rgb, _ in sample_frames(path, 8.0)]
    assert len(clips) == (len(samples) - 16) // 8 + 1
    for index, clip in enumerate(clips):
        assert clip.frames.shape == (16, 40, 48, 3)
        assert [number_in(rgb) for rgb in clip.frames] == samples[8 * index : 8 * index + 16]
        assert clip.start_s == index
        assert clip.end_s == min(index + 2.0, duration_s(path))


def test_a_short_video_is_padded_with_its_last_frame(tmp_path):
    path = write_numbered(tmp_path / "short.mp4", [125 * i for i in range(5)])
    (clip,) = read_clips(path, 8.0)
    assert [number_in(rgb) for rgb in clip.frames] == [0, 1, 2, 3] + [4] * 12
    assert clip.start_s == 0
    assert clip.end_s == duration_s(path) < 0.7


def test_a_real_video(shared_data):
    path = shared_data / "sample_features" / "nasa_13013.mp4"
    frames = list(read_frames(path, lambda height, width: (27, 48)))
    starts_s = np.asarray([frame.start_s for frame in frames])
    assert len(frames) == 390
    np.testing.assert_allclose(np.diff(starts_s), 1001 / 30000, atol=1e-3)
    assert duration_s(path) == pytest.approx(13.013, abs=0.01)
    assert len(list(read_clips(path, 8.0))) == (105 - 16) // 8 + 1


def headless(path: Path) -> None:
    write_numbered(path, STEADY_MS)
    path.write_bytes(path.read_bytes()[900:])


def tailless(path: Path) -> None:
    write_numbered(path, STEADY_MS)
    path.write_bytes(path.read_bytes()[:-600])


def cut_short(path: Path) -> None:
    write_numbered(path, STEADY_MS, movflags="+faststart")
    with av.open(str(path)) as container:
        ends = [packet.pos + packet.size for packet in container.demux(video=0) if packet.size]
    path.write_bytes(path.read_bytes()[: ends[len(ends) // 2]])


def audio_only(path: Path) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))


BAD = {
    "empty file": lambda path: path.write_bytes(b""),
    "does not decode": lambda path: path.write_bytes(b"not a video" * 50),
    "no such file": lambda path: None,
    "no video stream": audio_only,
    "cut short": cut_short,
}


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_file_gives_its_reason_in_one_line(reason, tmp_path):
    path = tmp_path / "bad.mp4"
    BAD[reason](path)
    with pytest.raises(VideoError, match=reason) as caught:
        list(read_clips(path, 8.0))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", [headless, tailless])
def test_a_truncated_file_is_an_error(damage, tmp_path):
    damage(tmp_path / "bad.mp4")
    with pytest.raises(VideoError):
        list(read_clips(tmp_path / "bad.mp4", 8.0))


def test_preprocessing_resizes_crops_and_scales():
    recipe = Preprocessing(fps=8, resize=(32,), crop=24, mean=(10, 20, 30), scale=2)
    assert recipe.frame_size(64, 128) == (32, 64)
    assert recipe.frame_size(100, 50) == (64, 32)
    frames = np.zeros((16, 32, 40, 3), np.uint8)
    frames[:, 4, 8] = (110, 120, 130)
    values = recipe.to_input(frames)
    assert values.shape == (3, 16, 24, 24)
    np.testing.assert_array_equal(values[:, 0, 0, 0], [50, 50, 50])
    np.testing.assert_array_equal(values[:, 0, 1, 1], [-5, -10, -15])
    assert recipe.to_input(frames, mirrored=True)[0, 0, 0, -1] == 50
    swapped = Preprocessing(fps=8, resize=(128, 171), crop=24, channels="bgr", scale=1)
    assert swapped.frame_size(64, 128) == (128, 171)
    assert swapped.to_input(frames)[0, 0, 0, 0] == 130 - 127.5
