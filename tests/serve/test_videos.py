"""What may be asked about: names that are only shown, tokens, what browsers play."""

from pathlib import Path

import pytest

from mktn.errors import UserError
from mktn.features.pictures import Decoded, VideoError, pictures
from mktn.serve.videos import Shelf, media_type, refuse_no_video, shown_name
from tests.features.odd_files import numbered_frames, write_frames, write_sound
from tests.serve.hostile_files import write_large, write_still_clock


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("kitchen.mp4", "kitchen.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\videos\\kitchen.mp4", "kitchen.mp4"),
        ("<img src=x onerror=alert(1)>.mp4", "<img src=x onerror=alert(1)>.mp4"),
        ("a\x00b\x1b[31m\n.mp4", "a\ufffdb\ufffd[31m\ufffd.mp4"),
        ("\u202egp4.mp4", "\ufffdgp4.mp4"),
        ("", "video"),
        ("/", "video"),
        ("half \udc80.mp4", "half ?.mp4"),
    ],
)
def test_a_name_is_shown_without_folders_and_what_does_not_print(given: str, shown: str) -> None:
    assert shown_name(given) == shown


def test_a_long_name_keeps_its_suffix() -> None:
    assert len(shown_name("x" * 500)) <= 130
    assert shown_name("x" * 500 + ".webm").endswith("...webm")


def test_a_shelf_lists_videos_by_name_under_tokens_that_stay(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.webm", "notes.txt", ".hidden.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.mp4").mkdir()
    shelf = Shelf(tmp_path)
    first = list(shelf.videos())
    assert [video.name for video in first] == ["a.webm", "b.mp4"]
    assert all(len(video.token) >= 32 for video in first)
    (tmp_path / "c.mov").write_bytes(b"x")
    assert list(shelf.videos())[:2] == first
    assert {v.token for v in Shelf(tmp_path).videos()}.isdisjoint(v.token for v in first)


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        Shelf(tmp_path / "absent")
    assert not list(Shelf(None).videos())


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "plays"),
    [
        ("a.mp4", "libx264", "yuv420p", "video/mp4"),
        ("a.mov", "libx264", "yuv420p", "video/mp4"),
        ("a.mp4", "libx264", "yuv444p", None),
        ("a.mp4", "mpeg4", "yuv420p", None),
        ("a.avi", "mpeg4", "yuv420p", None),
        ("a.mkv", "libx264", "yuv420p", None),
        ("a.webm", "libvpx", "yuv420p", "video/webm"),
        ("a.mkv", "libvpx", "yuv420p", None),
    ],
)
def test_what_browsers_play(
    tmp_path: Path, name: str, codec: str, pix_fmt: str, plays: str | None
) -> None:
    write_frames(tmp_path / name, numbered_frames(4), codec, pix_fmt)
    assert media_type(tmp_path / name) == plays
    refuse_no_video(tmp_path / name)


def test_what_is_no_video_is_refused_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    for content in (b"", b"these are notes", b"<html>" * 500, bytes(4096)):
        path.write_bytes(content)
        with pytest.raises(VideoError):
            refuse_no_video(path)
    write_sound(path)
    with pytest.raises(VideoError):
        refuse_no_video(path)


def test_a_file_that_names_other_files_is_refused(tmp_path: Path) -> None:
    """A list of files would be followed, and show what lies beside it on this machine."""
    write_frames(tmp_path / "secret.mp4", numbered_frames(4))
    concat = tmp_path / "upload"
    concat.write_text("ffconcat version 1.0\nfile secret.mp4\n")
    playlist = tmp_path / "upload.mp4"
    playlist.write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nsecret.mp4\n#EXT-X-ENDLIST\n"
    )
    assert list(pictures(concat, Decoded()))  # by who does not look
    for path in (concat, playlist):
        with pytest.raises(VideoError, match="none of mp4"):
            refuse_no_video(path)


def test_a_shelf_leaves_out_what_cannot_be_looked_at(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / "circle.mp4").symlink_to("circle.mp4")
    (tmp_path / "nowhere.mp4").symlink_to(tmp_path / "absent" / "b.mp4")
    assert [video.name for video in Shelf(tmp_path).videos()] == ["a.mp4"]


def test_a_folder_that_cannot_be_listed_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(folder: Path) -> None:
        raise PermissionError(13, "Permission denied")

    shelf = Shelf(tmp_path)
    monkeypatch.setattr("os.scandir", closed)
    with pytest.raises(UserError, match="cannot be read"):
        Shelf(tmp_path)
    assert not list(shelf.videos())  # closed while the server runs


def test_a_file_of_frames_that_nobody_sees_is_given_up_soon(tmp_path: Path) -> None:
    path = tmp_path / "still"
    write_still_clock(path, 1500)
    with pytest.raises(VideoError, match="of the first 1000 frames none is ever seen"):
        refuse_no_video(path)


def test_a_picture_that_takes_too_much_memory_is_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_large(tmp_path / "large", 8192, 4098)
    assert (tmp_path / "large").stat().st_size < 10**6
    decoded: list[Path] = []
    monkeypatch.setattr("mktn.serve.videos.pictures", lambda path, seen: decoded.append(path))
    with pytest.raises(VideoError, match="too many pixels: 8192 x 4098"):
        refuse_no_video(tmp_path / "large")
    assert not decoded
