"""Seeing a video can be ended at any frame of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mktn.features.video import Clip, Decoded
from mktn.grounder.own_video import _Watched


class Enough(Exception):
    """Nobody waits for the video any more."""


def test_a_video_is_given_up_where_no_clip_ever_comes() -> None:
    def standing(files: tuple[Path, ...], seen: Decoded) -> Iterator[Clip]:
        for _ in range(1000):
            seen.advance()
        yield from ()

    told: list[float] = []

    def watch(at_s: float) -> None:
        told.append(at_s)
        if len(told) == 20:
            raise Enough

    reader: Any = standing
    seen = Decoded()
    with pytest.raises(Enough):
        list(_Watched(reader, watch)((Path("v"),), seen))
    assert told == [0.0] * 20
    assert seen.frames == 20
