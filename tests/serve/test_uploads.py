"""Uploads: bounded while they come, checked by decoding, under names of ours, gone at the end."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from mktn.serve.uploads import Refused, Uploads
from mktn.serve.videos import Video
from tests.features.odd_files import numbered_frames, write_frames


def receive(
    uploads: Uploads, pieces: Iterable[bytes], name: str = "a.mp4", length: int | None = None
) -> Video:
    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return asyncio.run(uploads.receive(name, length, body()))


@pytest.fixture
def content(tmp_path: Path) -> bytes:
    write_frames(tmp_path / "whole.mp4", numbered_frames(6))
    return (tmp_path / "whole.mp4").read_bytes()


def test_a_video_is_kept_whole_where_only_its_owner_reads_it(
    uploads: Uploads, content: bytes
) -> None:
    video = receive(uploads, [content[:100], content[100:]], "../../kitchen.mp4", len(content))
    assert video.name == "kitchen.mp4"
    assert video.path == uploads.folder / video.token
    assert video.path.read_bytes() == content
    assert stat.S_IMODE(os.stat(video.path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(uploads.folder).st_mode) == 0o700
    uploads.remove(video.token)
    assert not list(uploads.folder.iterdir())


def test_a_limit_is_held_while_pieces_come(uploads: Uploads) -> None:
    taken = 0

    def endless() -> Iterable[bytes]:
        nonlocal taken
        while True:
            taken += 10**5
            yield bytes(10**5)

    with pytest.raises(Refused, match=r"larger than 1 MB") as refused:
        receive(uploads, endless(), length=5)  # it lies
    assert refused.value.status == 413
    assert taken == 11 * 10**5
    assert not list(uploads.folder.iterdir())


def test_an_announced_length_is_refused_at_once(uploads: Uploads) -> None:
    def never() -> Iterable[bytes]:
        raise AssertionError("it was read")
        yield b""

    with pytest.raises(Refused, match="larger than 1 MB"):
        receive(uploads, never(), length=10**6 + 1)


def test_all_uploads_together_are_bounded(uploads: Uploads, content: bytes) -> None:
    uploads.most_bytes = len(content)
    videos = [receive(uploads, [content]) for _ in range(10)]
    with pytest.raises(Refused, match="no room") as refused:
        receive(uploads, [content])
    assert refused.value.status == 507
    uploads.remove(videos[0].token)
    receive(uploads, [content])


def test_what_is_no_video_is_one_sentence_and_leaves_nothing(uploads: Uploads) -> None:
    with pytest.raises(Refused) as refused:
        receive(uploads, [b"these are ", b"notes"], "<b>notes</b>.mp4")
    assert refused.value.status == 415
    said = str(refused.value)
    assert said == (
        "b>.mp4 is no video that can be used: it is none of mp4, mov, WebM, mkv, avi, MPEG, flv"
        " and wmv."
    )
    assert str(uploads.folder) not in said
    assert not list(uploads.folder.iterdir())


def test_a_body_that_breaks_off_leaves_nothing(uploads: Uploads, content: bytes) -> None:
    def broken() -> Iterable[bytes]:
        yield content[:200]
        raise ConnectionResetError

    with pytest.raises((ConnectionResetError, Refused)):
        receive(uploads, broken())
    assert not list(uploads.folder.iterdir())
    assert not uploads._sizes


def test_an_upload_that_stands_still_is_given_up(
    uploads: Uploads, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mktn.serve.uploads.IDLE_S", 0.05)

    async def body() -> AsyncIterator[bytes]:
        yield content[:100]
        await asyncio.sleep(10)
        yield content[100:]

    with pytest.raises(Refused, match="stood still") as refused:
        asyncio.run(uploads.receive("a.mp4", len(content), body()))
    assert refused.value.status == 408
    assert not list(uploads.folder.iterdir())
