"""Answers of the page are those of the Grounder, of videos that are seen once."""

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mktn.errors import UserError
from mktn.features.video import duration_s
from mktn.serve import service as module
from mktn.serve.jobs import Cancelled, Ticket
from mktn.serve.service import Service, sentences_of
from mktn.serve.videos import Video, media_type
from tests.features.odd_files import cut, numbered_frames, write_frames

ASKED = ["the red ball spins", "a star flashes"]


def test_sentences_are_the_lines() -> None:
    assert sentences_of("  the red ball spins \n\n a star flashes\r\n") == ASKED


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Type a sentence"),
        (" \n \n", "Type a sentence"),
        ("a ball\n" * 21, "21 sentences are more than are answered at once; keep 20"),
        ("a ball\n" + "a" * 301, "Sentence 2 is longer than 300 characters"),
        ("a ball\n...", "Sentence 2 has no word"),
    ],
)
def test_what_is_no_question_is_one_sentence(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        sentences_of(text)


def test_answers_name_the_video_and_no_folder(service: Service, videos: list[Path]) -> None:
    shown = list(service.shelf.videos())
    assert [video.path for video in shown] == videos
    answered = asyncio.run(service.ask(Ticket(), shown[0], ASKED, 2))
    assert [answer.sentence for answer in answered.answers] == ASKED
    assert [len(answer.moments) for answer in answered.answers] == [2, 2]
    told = json.loads(answered.json)
    assert told["videos"][0]["video"] == videos[0].name
    assert told["answers"][1]["moments"][0]["end_s"] == pytest.approx(answered.duration_s / 3)
    assert str(videos[0].parent) not in answered.json


def test_a_video_is_seen_once_until_it_changes(
    service: Service, videos: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in: Any = service.grounder
    seen = stand_in.seen
    monkeypatch.setattr(module, "KEPT", 2)
    ours = [Video(f"t{n}", f"{n}.mp4", tmp_path / f"{n}.mp4") for n in range(3)]
    for video, source in zip(ours, videos, strict=False):
        shutil.copy(source, video.path)

    def ask(video: Video) -> None:
        asyncio.run(service.ask(Ticket(), video, ASKED[:1], 1))

    ask(ours[0])
    ask(ours[0])
    assert len(seen) == 1
    shutil.copy(videos[1], ours[0].path)
    ask(ours[0])
    assert len(seen) == 2
    ask(ours[1])
    ask(ours[2])
    assert len(service._seen) == 2
    service.forget(ours[2])
    assert {token for token, *_ in service._seen} == {"t1"}


def test_what_is_wrong_with_a_video_is_said_without_its_place(
    service: Service, videos: list[Path], tmp_path: Path
) -> None:
    folder = tmp_path / "a  private place"
    folder.mkdir()
    video = Video("t", "kitchen.mp4", folder / "kitchen.mp4")
    shutil.copy(videos[0], video.path)
    cut(video.path, 0.5)
    with pytest.raises(UserError, match=r"^kitchen\.mp4: video cannot be used") as refused:
        asyncio.run(service.ask(Ticket(), video, ASKED, 1))
    assert "private" not in str(refused.value)
    video.path.write_text("these are notes")
    with pytest.raises(UserError, match=r"^kitchen\.mp4 is no video that can be used") as refused:
        service.as_it_is(video)
    assert "private" not in str(refused.value)
    video.path.unlink()
    with pytest.raises(UserError, match=r"kitchen\.mp4: the video is no longer there"):
        asyncio.run(service.ask(Ticket(), video, ASKED, 1))


def test_a_question_ends_when_nobody_waits_for_it(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    video, ticket = next(iter(service.shelf.videos())), Ticket()
    done, told = ticket.done, []

    def leaves(share: float) -> None:
        told.append(share)
        if share:
            ticket.cancel()
        done(share)

    monkeypatch.setattr(ticket, "done", leaves)
    with pytest.raises(Cancelled):
        asyncio.run(service.ask(ticket, video, ASKED, 1))
    assert len(told) == 2  # at its turn, and at the first clip
    assert not service._seen


def test_a_copy_that_is_done_when_nobody_waits_any_more_is_not_kept(
    service: Service, videos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tab was closed, and its uploads forgotten, at the last frame."""
    video, ticket = Video("t", "a.mp4", videos[0]), Ticket()

    def finished(video: Path, start_s: float, end_s: float, out: Path, watch: object) -> None:
        ticket.cancel()
        out.write_bytes(b"a copy")

    monkeypatch.setattr(module, "cut", finished)
    with pytest.raises(Cancelled):
        asyncio.run(service.copy(ticket, video))
    assert not list((service.uploads.folder / "copies").iterdir())
    assert not service._played


def test_an_upload_that_lasts_for_ever_is_not_watched_to_its_end(
    service: Service, videos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_UPLOAD_S", 0.9)
    shutil.copy(videos[0], service.uploads.folder / "token")
    video = Video("token", "kitchen.mp4", service.uploads.folder / "token")
    for work in (service.ask(Ticket(), video, ASKED, 1), service.copy(Ticket(), video)):
        with pytest.raises(UserError, match=r"kitchen\.mp4 is longer than 0\.015 minutes"):
            asyncio.run(work)
    assert not list((service.uploads.folder / "copies").iterdir())
    own = Video("own", "kitchen.mp4", videos[0])
    assert asyncio.run(service.ask(Ticket(), own, ASKED, 1)).answers


def test_what_browsers_do_not_play_is_written_again_for_them(
    service: Service, tmp_path: Path
) -> None:
    video = Video("t", "old.avi", tmp_path / "old.avi")
    write_frames(video.path, numbered_frames(20), "mpeg4")
    assert service.as_it_is(video) is None
    ticket = Ticket()
    copy = asyncio.run(service.copy(ticket, video))
    assert media_type(copy.path) == copy.media_type == "video/mp4"
    assert duration_s(copy.path) == pytest.approx(duration_s(video.path), abs=0.02)
    assert copy.path.parent.parent == service.uploads.folder
    assert asyncio.run(service.copy(Ticket(), video)) == copy
    service.forget(video)
    assert not copy.path.exists()
