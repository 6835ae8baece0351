"""Downloads from a real http server that does what servers do: cuts, lies, pages, busy answers."""

import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mktn.seeds import named_rng
from tests.datasets.http_server import (
    Handler,
    Server,
    download,
    in_turn,
    ranged,
    row,
    serving,
    whole,
    write_registry,
)

CONTENT = bytes(range(256)) * 400


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def known(tmp_path: Path, server: Server) -> Path:
    """A registry of one file of known content at /file."""
    write_registry(tmp_path, row(CONTENT, url=server.at("/file")))
    return tmp_path


@pytest.fixture
def unknown(tmp_path: Path, server: Server) -> Path:
    """A registry of one file whose content is not known."""
    write_registry(tmp_path, row(url=server.at("/file")))
    return tmp_path


def brought(folder: Path) -> bytes:
    return (folder / "out" / "file.bin").read_bytes()


def refused(folder: Path, capsys: pytest.CaptureFixture[str], **settings: float) -> str:
    """The one line that says why the file did not come; nothing is in OUT."""
    assert download(folder, **settings) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert not (folder / "out").exists()
    return error


def test_a_body_that_is_cut_goes_on_where_it_ended(known: Path, server: Server) -> None:
    server.answers["/file"] = ranged(CONTENT, cut=30_000)
    assert download(known) == 0
    assert brought(known) == CONTENT
    assert [asked for _, asked in server.asked] == [
        None,
        "bytes=30000-",
        "bytes=60000-",
        "bytes=90000-",
    ]
    assert not (known / "out.part").exists()


def test_a_server_that_ignores_ranges_starts_the_file_again(known: Path, server: Server) -> None:
    def cut(handler: Handler) -> None:
        handler.head(200, Content_Length=len(CONTENT))
        handler.wfile.write(CONTENT[:50_000])

    server.answers["/file"] = in_turn(cut, whole(CONTENT))
    assert download(known) == 0
    assert brought(known) == CONTENT
    assert server.asked[1] == ("/file", "bytes=50000-")


def test_a_body_that_never_ends_is_given_up_and_kept(known, server, capsys) -> None:
    def cut(handler: Handler) -> None:
        handler.head(200, Content_Length=len(CONTENT))
        handler.wfile.write(CONTENT[:50_000])

    server.answers["/file"] = cut
    assert "3 times in a row" in refused(known, capsys)
    assert (known / "out.part" / "file.bin.part").stat().st_size == 50_000


@pytest.mark.parametrize("said", [len(CONTENT) + 5, len(CONTENT) - 5])
def test_a_wrong_length_is_said(known: Path, server: Server, capsys, said: int) -> None:
    server.answers["/file"] = whole(CONTENT, Content_Length=said)
    error = refused(known, capsys)
    assert f"the server says {said} bytes, {len(CONTENT)} are expected" in error


def test_a_length_that_is_too_long_is_seen_where_nothing_is_known(unknown, server, capsys) -> None:
    server.answers["/file"] = whole(CONTENT, Content_Length=len(CONTENT) + 5)
    assert "3 times in a row" in refused(unknown, capsys)
    assert not (unknown / "sources.lock").exists()


def test_more_than_expected_without_a_length_is_refused(known, server, capsys) -> None:
    def endless(handler: Handler) -> None:
        handler.head(200)
        handler.wfile.write(CONTENT + b"more")

    server.answers["/file"] = endless
    assert f"more than the {len(CONTENT)} bytes" in refused(known, capsys)


@pytest.mark.parametrize(
    ("kind", "page"),
    [
        ("text/html; charset=utf-8", b"Please sign in"),
        ("application/octet-stream", b"\n<!DOCTYPE html><title>Sign in</title>"),
    ],
)
def test_a_page_in_place_of_the_file_is_refused(unknown, server, capsys, kind, page) -> None:
    server.answers["/file"] = whole(page, Content_Type=kind)
    assert "an HTML page came with status 200 in place of the file" in refused(unknown, capsys)
    assert len(server.asked) == 1
    assert not (unknown / "sources.lock").exists()


def test_a_page_does_not_spoil_what_came_before(known: Path, server: Server, capsys) -> None:
    part = known / "out.part" / "file.bin.part"
    part.parent.mkdir()
    part.write_bytes(CONTENT[:40_000])
    server.answers["/file"] = whole(b"<html>busy</html>", Content_Type="text/html")
    refused(known, capsys)
    assert part.read_bytes() == CONTENT[:40_000]


def test_a_corrupted_body_is_removed_and_the_next_mirror_tried(tmp_path, server) -> None:
    wrong = CONTENT[:-1] + b"x"
    addresses = {"url": server.at("/wrong"), "mirrors": server.at("/right")}
    write_registry(tmp_path, row(CONTENT, **addresses))
    server.answers["/wrong"] = whole(wrong, ETag='"w"')
    server.answers["/right"] = ranged(CONTENT)
    assert download(tmp_path) == 0
    assert brought(tmp_path) == CONTENT
    # The wrong bytes are not continued at the other address.
    assert server.asked == [("/wrong", None), ("/right", None)]


@pytest.mark.parametrize("coding", ["gzip", "x-gzip"])
def test_a_packed_file_that_is_called_encoded_comes_as_it_is(tmp_path, server, coding) -> None:
    packed = gzip.compress(CONTENT)
    write_registry(tmp_path, row(packed, path="pretrained/a.tar.gz", url=server.at("/file")))
    server.answers["/file"] = whole(packed, Content_Encoding=coding)
    assert download(tmp_path) == 0
    assert (tmp_path / "out" / "a.tar.gz").read_bytes() == packed


def test_another_file_that_comes_encoded_is_refused(known: Path, server: Server, capsys) -> None:
    packed = gzip.compress(CONTENT)
    server.answers["/file"] = whole(packed, Content_Encoding="gzip")
    assert "encoded (gzip)" in refused(known, capsys)


def test_when_all_fail_one_line_says_what_and_why(tmp_path, server, capsys) -> None:
    addresses = {
        "url": server.at("/wrong"),
        "mirrors": f"{server.at('/none')} http://127.0.0.1:9/",
    }
    write_registry(tmp_path, row(CONTENT, **addresses))
    server.answers["/wrong"] = whole(b"x" * len(CONTENT))
    error = refused(tmp_path, capsys)
    for words in (
        "1 of 1 files could not be brought",
        f"{server.at('/wrong')}: another content, sha256",
        f"{server.at('/none')}: status 404",
        "http://127.0.0.1:9/: no connection;",
        "get it from its page",
        f"put it at {tmp_path / 'out' / 'file.bin'}",
    ):
        assert words in error


def test_bytes_of_another_server_are_continued_where_the_content_is_known(known, server) -> None:
    server.answers["/file"] = ranged(CONTENT)
    part = known / "out.part" / "file.bin.part"
    part.parent.mkdir()
    part.write_bytes(CONTENT[:70_000])
    assert download(known) == 0
    assert brought(known) == CONTENT
    assert server.asked == [("/file", "bytes=70000-")]


def test_wrong_bytes_of_an_earlier_run_do_not_blame_the_server(known, server) -> None:
    server.answers["/file"] = ranged(CONTENT)
    part = known / "out.part" / "file.bin.part"
    part.parent.mkdir()
    part.write_bytes(b"?" * 70_000)
    assert download(known) == 0
    assert brought(known) == CONTENT
    assert server.asked == [("/file", "bytes=70000-"), ("/file", None)]


def test_unknown_bytes_of_another_server_are_not_continued(unknown, server) -> None:
    server.answers["/file"] = ranged(CONTENT)
    part = unknown / "out.part" / "file.bin.part"
    part.parent.mkdir()
    part.write_bytes(b"?" * 70_000)
    (part.parent / "file.bin.part.json").write_text(
        json.dumps({"url": "http://other/file", "etag": '"one"'})
    )
    assert download(unknown) == 0
    assert brought(unknown) == CONTENT


def test_a_file_that_changed_meanwhile_starts_again(unknown: Path, server: Server) -> None:
    old = b"?" * len(CONTENT)
    server.answers["/file"] = in_turn(ranged(old, '"old"', cut=50_000), ranged(CONTENT, '"new"'))
    assert download(unknown) == 0
    assert brought(unknown) == CONTENT
    assert server.asked[1] == ("/file", "bytes=50000-")


def test_a_whole_part_is_recognized_and_a_longer_one_dropped(known, server) -> None:
    server.answers["/file"] = ranged(CONTENT)
    part = known / "out.part" / "file.bin.part"
    for there in (CONTENT, CONTENT + b"more"):
        part.parent.mkdir()
        part.write_bytes(there)
        assert download(known) == 0
        assert brought(known) == CONTENT
        (known / "out" / "file.bin").unlink()
    ranges = [f"bytes={len(CONTENT)}-", f"bytes={len(CONTENT) + 4}-", None]
    assert [asked for _, asked in server.asked] == ranges


def test_another_range_than_asked_for_is_not_used(known: Path, server: Server) -> None:
    part = known / "out.part" / "file.bin.part"
    part.parent.mkdir()
    part.write_bytes(CONTENT[:50_000])
    span = f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"
    server.answers["/file"] = in_turn(
        whole(CONTENT, 206, Content_Range=span), whole(CONTENT, Content_Length=len(CONTENT))
    )
    assert download(known) == 0
    assert brought(known) == CONTENT


def test_a_busy_server_is_asked_again_when_it_said(known: Path, server: Server) -> None:
    times: list[float] = []

    def busy(handler: Handler) -> None:
        times.append(time.monotonic())
        handler.head(429, Retry_After=1, Content_Length=0)

    def ready(handler: Handler) -> None:
        times.append(time.monotonic())
        whole(CONTENT)(handler)

    server.answers["/file"] = in_turn(busy, ready)
    assert download(known) == 0
    assert times[1] - times[0] >= 1.0


def test_a_server_that_asks_for_too_long_a_wait_is_left(tmp_path, server) -> None:
    addresses = {"url": server.at("/busy"), "mirrors": server.at("/file")}
    write_registry(tmp_path, row(CONTENT, **addresses))
    server.answers["/busy"] = whole(b"", 429, Retry_After=3600)
    server.answers["/file"] = whole(CONTENT)
    assert download(tmp_path) == 0
    assert [path for path, _ in server.asked] == ["/busy", "/file"]


def test_an_overloaded_server_is_asked_again_and_then_left(known, server, capsys) -> None:
    server.answers["/file"] = in_turn(whole(b"", 503), whole(CONTENT))
    assert download(known) == 0
    (known / "out" / "file.bin").unlink()
    (known / "out").rmdir()
    server.asked.clear()
    server.answers["/file"] = whole(b"", 503)
    assert "status 503" in refused(known, capsys)
    assert len(server.asked) == 3


def test_redirects_are_followed(known: Path, server: Server) -> None:
    server.answers["/file"] = whole(b"", 302, Location="/elsewhere")
    server.answers["/elsewhere"] = ranged(CONTENT, cut=60_000)
    assert download(known) == 0
    assert brought(known) == CONTENT


def test_silence_and_a_trickle_are_cut(known: Path, server: Server, capsys) -> None:
    def silent(handler: Handler) -> None:
        handler.head(200, Content_Length=len(CONTENT))
        handler.wfile.write(CONTENT[:10])
        time.sleep(1)

    def trickle(handler: Handler) -> None:
        handler.head(200, Content_Length=len(CONTENT))
        for byte in CONTENT:
            handler.wfile.write(bytes([byte]))
            time.sleep(0.05)

    server.answers["/file"] = silent
    assert "no byte in time" in refused(known, capsys, attempts=1)
    server.answers["/file"] = trickle
    error = refused(known, capsys, attempts=1, stall_s=0.3)
    assert "bytes came in 0.3" in error


def test_a_mirror_may_be_an_http_folder_with_packed_files(known: Path, server: Server) -> None:
    import gzip

    packed = gzip.compress(CONTENT)
    server.answers["/base/pretrained/file.bin.gz"] = ranged(packed, cut=200)
    assert download(known, "--mirror", server.at("/base/")) == 0
    assert (known / "out" / "file.bin.gz").read_bytes() == packed


def test_a_host_that_is_not_there_is_tried_for_one_file_only(tmp_path, capsys) -> None:
    rows = [
        row(CONTENT, name=name, path=f"pretrained/{name}", url=f"http://127.0.0.1:9/{name}")
        for name in ("a", "b")
    ]
    write_registry(tmp_path, *rows)
    error = refused(tmp_path, capsys)
    assert "http://127.0.0.1:9/a: no connection;" in error
    assert "http://127.0.0.1:9/b: the host did not answer before" in error


def test_an_empty_body_is_no_file(unknown: Path, server: Server, capsys) -> None:
    server.answers["/file"] = whole(b"")
    assert "the body ends at 0 of unknown bytes" in refused(unknown, capsys)
    assert not (unknown / "sources.lock").exists()


def test_a_body_without_a_length_is_told_where_nothing_else_is_known(
    unknown: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    def unbounded(handler: Handler) -> None:
        handler.head(200)
        handler.wfile.write(CONTENT)

    server.answers["/file"] = unbounded
    assert download(unknown) == 0
    assert "its server gives no length" in capsys.readouterr().out


def test_progress_is_a_line_now_and_then_and_a_bar_on_a_terminal(
    known: Path, server: Server, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    server.answers["/file"] = ranged(CONTENT, cut=60_000)
    assert download(known, report_s=0.0) == 0
    assert "file: 102.4 kB of 102.4 kB" in capsys.readouterr().out
    (known / "out" / "file.bin").unlink()
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert download(known, report_s=0.0) == 0
    told = capsys.readouterr()
    assert "file: 0.00B" in told.err
    assert "of 102.4 kB" not in told.out


@pytest.mark.parametrize("seed", range(8))
def test_whatever_a_server_does_the_file_is_right_or_absent(known, server, seed: int) -> None:
    """Fifteen random answers, then honest ones; the known content comes in the end, or nothing."""
    rng = named_rng(0, "faults", seed)

    def garbled(handler: Handler) -> None:
        start = handler.start()
        span = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        handler.head(206, Content_Range=span, Content_Length=len(CONTENT) - start)
        handler.wfile.write(b"?" * (len(CONTENT) - start))

    faults = [
        lambda: ranged(CONTENT, cut=int(rng.integers(len(CONTENT)))),
        lambda: ranged(b"?" * len(CONTENT), '"two"', cut=int(rng.integers(len(CONTENT)))),
        lambda: whole(CONTENT[: rng.integers(1, len(CONTENT))]),
        lambda: whole(CONTENT, Content_Length=len(CONTENT) + 9),
        lambda: whole(b"<html>", Content_Type="text/html"),
        lambda: whole(b"", int(rng.choice([404, 416, 429, 500, 503]))),
        lambda: garbled,
    ]
    answers = [faults[rng.integers(len(faults))]() for _ in range(15)]
    server.answers["/file"] = in_turn(*answers, ranged(CONTENT))
    for _ in range(16):
        status = download(known, backoff_s=0.001)
        assert status in (0, 2)
        if status == 0:
            break
        assert not (known / "out").exists()
    assert status == 0
    assert brought(known) == CONTENT
