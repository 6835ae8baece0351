"""Decoding in worker processes: the same clips for any number of them, and no job that hangs."""

import dataclasses
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mktn.errors import UserError
from mktn.features.decoding import BUFFERS, ClipBatch, VideoEnd, decode
from mktn.features.video import Clip, Decoded, VideoError

Job = tuple[str, int]  # what the reader does, and how many clips it gives


@dataclasses.dataclass(frozen=True)
class Numbers:
    """Clips filled with their number; some jobs go wrong after their last clip."""

    folder: Path
    shape: tuple[int, int, int, int] = (2, 4, 4, 3)

    def __call__(self, job: Job, seen: Decoded) -> Iterator[Clip]:
        kind, count = job
        if kind == "unstarted":
            os._exit(3)
        for number in range(count):
            seen.advance()
            seen.duration_s = number + 1.0
            yield Clip(np.full(self.shape, number, np.uint8), number, number + 1.0)
        once = self.folder / kind
        if kind == "segfault" or (kind == "segfault once" and not once.exists()):
            once.touch()
            os.kill(os.getpid(), signal.SIGSEGV)
        if kind == "hang":
            time.sleep(60)
        if kind == "slow":
            for _ in range(8):
                time.sleep(0.2)
                seen.advance()
        if kind == "error":
            raise VideoError("no good")
        if kind == "bug":
            raise ZeroDivisionError


def run(
    jobs: list[Job], folder: Path, workers: int, timeout_s: float = 30.0, batch: int = 3
) -> tuple[dict[int, list[int]], dict[int, VideoEnd]]:
    """video -> the numbers of its clips, and its end."""
    clips: dict[int, list[int]] = {}
    ends: dict[int, VideoEnd] = {}
    for event in decode(Numbers(folder), jobs, batch, workers, timeout_s):
        if isinstance(event, ClipBatch):
            assert event.video not in ends
            numbers = event.frames[:, 0, 0, 0, 0].tolist()
            assert (event.frames == event.frames[:, :1, :1, :1, :1]).all()
            np.testing.assert_array_equal(event.span_s, [[n, n + 1] for n in numbers])
            clips.setdefault(event.video, []).extend(numbers)
        else:
            assert event.video not in ends
            ends[event.video] = event
    return clips, ends


JOBS = [("fine", n) for n in (1, 30, 3, 4, 7)] + [("error", 5), ("error", 0), ("fine", 20)]


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_all_clips_of_all_videos_whatever_the_number_of_workers(workers, tmp_path):
    clips, ends = run(JOBS, tmp_path, workers)
    for video, (kind, count) in enumerate(JOBS):
        assert ends[video] == VideoEnd(video, count, "", "no good" if kind == "error" else "")
        if kind == "fine":
            assert clips[video] == list(range(count))


def test_what_goes_wrong_in_one_video_does_not_touch_the_others(tmp_path):
    jobs = [("fine", 4), ("segfault", 7), ("fine", 5), ("segfault once", 8), ("hang", 3),
            ("bug", 2), ("slow", 3), ("fine", 12)]  # fmt: skip
    clips, ends = run(jobs, tmp_path, workers=1, timeout_s=1.0)
    errors = {video: end.error for video, end in ends.items() if end.error}
    assert errors == {
        1: "the decoder crashed (signal 11)",
        4: "no progress in decoding for 1 s",
        5: "the decoder crashed (exit status 1)",
    }
    for video in (0, 2, 3, 6, 7):  # a retry does not give a clip twice
        assert clips[video] == list(range(jobs[video][1]))


def test_no_more_is_decoded_than_the_buffers_hold(tmp_path):
    events = decode(Watched(tmp_path), [("fine", 100)], 2, 1, 30.0)
    next(events)
    time.sleep(0.5)
    assert len(list(tmp_path.iterdir())) <= 2 * BUFFERS + 1
    assert len([e for e in events if isinstance(e, ClipBatch)]) == 49
    assert len(list(tmp_path.iterdir())) == 100


class Watched(Numbers):
    """Leaves a file for each clip."""

    def __call__(self, job: Any, seen: Decoded) -> Iterator[Clip]:
        for clip in super().__call__(job, seen):
            (self.folder / f"{clip.start_s}").touch()
            yield clip


class Unpicklable(Numbers):
    """Ends the process before it begins."""

    def __setstate__(self, state: Any) -> None:
        os._exit(7)


def test_a_worker_that_cannot_start_is_one_line(tmp_path):
    with pytest.raises(UserError, match="decode_workers: the decoding process does not start"):
        list(decode(Unpicklable(tmp_path), [("fine", 1)], 2, 1, 30.0))


def test_the_processes_end_with_the_iteration(tmp_path):
    events = decode(Numbers(tmp_path), [("fine", 100)] * 3, 2, 2, 30.0)
    next(events)
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    before = children.read_text().split()
    events.close()
    assert len(children.read_text().split()) <= len(before) - 2
