"""Rows to seconds, and row counts that can or cannot be true."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mktn.errors import UserError
from mktn.features.clip_times import ClipTimes, even_spans_s, read_frame_rates

clips = st.builds(
    ClipTimes, st.integers(1, 64), st.integers(1, 64), st.floats(1, 60, allow_nan=False)
)


def test_spans_are_those_of_the_clips_and_end_with_the_video() -> None:
    spans_s = ClipTimes(16, 8, 8.0).spans_s(4, 4.5)
    np.testing.assert_allclose(spans_s, [[0, 2], [1, 3], [2, 4], [3, 4.5]])
    assert spans_s.dtype == np.float32


def test_a_row_that_starts_after_the_end_has_no_span() -> None:
    assert len(ClipTimes(1, 1, 1.0).spans_s(5, 4.0)) == 4


@given(clips, st.floats(1, 500))
def test_a_true_rate_is_never_refused(times: ClipTimes, duration_s: float) -> None:
    frames = duration_s * times.fps
    left_out = (int(frames) - times.clip) // times.stride + 1
    padded = math.ceil(int(frames) / times.stride)
    for rows in (left_out, padded):
        if rows > 0:
            assert not times.wrong(rows, duration_s)


@given(st.integers(1, 32), st.integers(1, 32), st.sampled_from([0.5, 0.8, 0.9, 1.1, 1.25, 2]))
def test_a_wrong_rate_of_a_long_video_is_refused(clip: int, stride: int, ratio: float) -> None:
    # Of 6,000 frames or more, the ends of a video are below one in a hundred.
    duration_s, fps = 600.0, 25.0
    rows = int((duration_s * fps * ratio - clip) // stride) + 1
    assert ClipTimes(clip, stride, fps).wrong(rows, duration_s)
    assert not ClipTimes(clip, stride, fps * ratio).wrong(rows, duration_s)


def test_a_short_video_has_room_for_its_ends() -> None:
    # 20 frames, clips of 16 every 8: one whole clip, three with padding.
    times = ClipTimes(16, 8, 10.0)
    assert [times.wrong(rows, 2.0) for rows in range(1, 8)] == [False] * 3 + [True] * 4


def test_even_spans_cover_the_video() -> None:
    np.testing.assert_allclose(even_spans_s(3, 6.0), [[0, 2], [2, 4], [4, 6]])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("video_id,rfps\nv_a,25\n", "lacks a column, found video_id, rfps"),
        ("name,fps\nv_a,25\n", "lacks a column, found name, fps"),
        ("video_id,fps\nv_a,0\n", "'v_a': no frame rate, found 0"),
        ("video_id,fps\nv_a,fast\n", "'v_a': no frame rate, found fast"),
        ("video_id,fps\nv_a,25\nv_a,30\n", "'v_a': no frame rate, found 30"),
        ("video_id,fps,duration_s\nv_a,25,\nv_b,25,long\n", "'v_b': no duration, found long"),
    ],
)
def test_a_table_without_rates_is_refused(tmp_path, text: str, line: str) -> None:
    path = tmp_path / "fps.csv"
    path.write_text(text)
    with pytest.raises(UserError, match=line):
        read_frame_rates(path, "fps")


@pytest.mark.parametrize("column", ["video_id", "video", "video-name", "filename"])
def test_ids_of_digits_keep_their_leading_zeros(tmp_path, column: str) -> None:
    path = tmp_path / "fps.csv"
    suffix = ".mp4" if column == "filename" else ""
    path.write_text(f"{column},fps,duration_s\n0012{suffix},25,10\n0900{suffix},30,\n")
    assert read_frame_rates(path, "fps") == {"0012": (25.0, 10.0), "0900": (30.0, None)}
