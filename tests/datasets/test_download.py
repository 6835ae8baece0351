"""Files from mirrors: verified, whole or not at all, once, and plain words when one is missing."""

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mktn.cli import main
from tests.datasets.http_server import (
    Handler,
    download,
    ranged,
    row,
    serving,
    whole,
    write_registry,
)

REGISTRY = Path(__file__).parents[2] / "workflow" / "sources.tsv"
FILES = {"train.json": b"{}", "val_1.json": b"[1]"}


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A mirror of two packed annotation files, and the registry that lists them without url."""
    folder = tmp_path / "mirror" / "activitynet_captions"
    folder.mkdir(parents=True)
    rows = []
    for name, content in FILES.items():
        path = f"activitynet_captions/{name}"
        rows.append(local(content, name=name.split(".")[0], path=path))
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    write_registry(tmp_path, *rows)
    return tmp_path / "mirror"


def local(content: bytes | None, **cells: str) -> dict[str, str]:
    """A row without an address."""
    usual = {"dataset": "activitynet", "status": "local", "note": "copy it from a colleague"}
    return row(content, **(usual | cells))


def copied(mirror: Path, *options: str) -> int:
    return download(mirror.parent, "--mirror", str(mirror), *options, dataset="activitynet")


def names(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_files_are_copied_plain_or_gz(mirror: Path) -> None:
    plain = mirror / "activitynet_captions" / "train.json"
    plain.write_bytes(b"{}")
    assert copied(mirror) == 0
    assert names(mirror.parent / "out") == ["train.json", "val_1.json.gz"]
    assert not (mirror.parent / "out.part").exists()


def test_a_missing_file_is_named_and_nothing_is_left(mirror, capsys) -> None:
    (mirror / "activitynet_captions" / "val_1.json.gz").unlink()
    assert copied(mirror) == 2
    error = capsys.readouterr().err
    assert f": {mirror}/activitynet_captions/val_1.json is not there; it has no public" in error
    assert "copy it from a colleague" in error
    assert error.count("\n") == 1
    assert not (mirror.parent / "out").exists()


@pytest.mark.parametrize("content", [gzip.compress(b"<html>"), b"not gzip", b"\x1f\x8b\x08cut"])
def test_another_content_is_refused_and_the_good_files_stay(mirror, capsys, content) -> None:
    assert copied(mirror) == 0
    (mirror / "activitynet_captions" / "val_1.json.gz").write_bytes(content)
    out = mirror.parent / "out"
    (out / "val_1.json.gz").unlink()
    assert copied(mirror) == 2
    assert "val_1.json" in capsys.readouterr().err
    assert names(out) == ["train.json.gz"]


def test_files_that_are_there_and_right_are_not_brought_again(mirror, capsys) -> None:
    assert copied(mirror) == 0
    capsys.readouterr()
    for file in mirror.rglob("*.gz"):
        file.unlink()
    assert copied(mirror) == 0
    assert "0 files brought" in capsys.readouterr().out


def test_a_wrong_file_in_place_is_replaced_by_the_right_one(mirror: Path) -> None:
    out = mirror.parent / "out"
    out.mkdir()
    (out / "train.json").write_bytes(b"damaged")
    assert copied(mirror) == 0
    # The damaged plain file would be read in place of the packed one.
    assert names(out) == ["train.json.gz", "val_1.json.gz"]


def test_a_wrong_file_beside_a_right_one_is_replaced(mirror: Path) -> None:
    assert copied(mirror) == 0
    out = mirror.parent / "out"
    (out / "train.json").write_bytes(b"damaged")
    assert (out / "train.json.gz").is_file()
    assert copied(mirror) == 0
    assert names(out) == ["train.json.gz", "val_1.json.gz"]


def test_a_mirror_that_is_not_there_is_no_mirror_that_lacks_a_file(mirror, capsys) -> None:
    nowhere = mirror.parent / "nowhere"
    for given in (str(nowhere), nowhere.as_uri()):
        assert download(mirror.parent, "--mirror", given, dataset="activitynet") == 2
        assert f"{nowhere}: no such folder; it has" in capsys.readouterr().err
    nowhere.mkdir()
    assert download(mirror.parent, "--mirror", str(nowhere), dataset="activitynet") == 2
    error = capsys.readouterr().err
    assert f": {nowhere}/activitynet_captions/train.json is not there; it has" in error
    assert "no such folder" not in error


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("known", [None, b"the file"])
def test_a_page_in_a_mirror_is_not_the_file(mirror, capsys, packed, known) -> None:
    path = "activitynet_captions/new.json"
    write_registry(mirror.parent, local(known, path=path))
    page = b"\n<!DOCTYPE html><html>please log in</html>"
    (mirror / (f"{path}.gz" if packed else path)).write_bytes(page)
    for given in (str(mirror), mirror.as_uri()):
        assert download(mirror.parent, "--mirror", given, dataset="activitynet") == 2
        assert "an HTML page in place of the file" in capsys.readouterr().err
    (mirror / f"{path}.gz").write_bytes(gzip.compress(page))
    (mirror / path).unlink(missing_ok=True)
    assert copied(mirror) == 2
    assert "an HTML page in place of the file" in capsys.readouterr().err
    assert not (mirror.parent / "sources.lock").exists()
    assert not (mirror.parent / "out").exists()


def test_a_page_that_is_meant_to_be_one_comes(mirror: Path) -> None:
    path = "activitynet_captions/licence.html"
    write_registry(mirror.parent, local(None, path=path))
    (mirror / path).write_bytes(b"<html>terms</html>")
    assert copied(mirror) == 0
    assert names(mirror.parent / "out") == ["licence.html"]


def test_what_was_not_known_before_is_not_called_verified(mirror: Path, capsys) -> None:
    path = "activitynet_captions/new.json"
    known = local(b"{}", name="train", path="activitynet_captions/train.json")
    write_registry(mirror.parent, known, local(None, path=path))
    (mirror / path).write_bytes(b"new")
    assert copied(mirror) == 0
    said = capsys.readouterr().out
    assert "2 files brought" in said
    assert "0 were there; 1 verified, 1 recorded (sha256 not known before)" in said
    assert copied(mirror) == 0
    assert "2 were there; 2 verified\n" in capsys.readouterr().out


def test_mirrors_are_tried_in_order_as_directory_and_file_address(mirror, tmp_path) -> None:
    first = tmp_path / "first" / "activitynet_captions"
    first.mkdir(parents=True)
    (first / "train.json").write_bytes(FILES["train.json"])
    second = mirror.as_uri()
    options = ["--mirror", str(tmp_path / "first"), "--mirror", second]
    assert download(tmp_path, *options, dataset="activitynet") == 0
    assert names(tmp_path / "out") == ["train.json", "val_1.json.gz"]


def test_without_a_dataset_the_output_is_a_mirror(mirror: Path, tmp_path: Path) -> None:
    common = ["download", "--registry", str(tmp_path / "sources.tsv")]
    options = ["--only", "train", "--mirror", str(mirror), "--out", str(tmp_path / "new")]
    assert main([*common, *options]) == 0
    assert names(tmp_path / "new") == ["activitynet_captions/train.json.gz"]
    other = ["--dataset", "activitynet", "--only", "train", "--out", str(tmp_path / "out")]
    assert main([*common, *other, "--mirror", str(tmp_path / "new")]) == 0
    assert names(tmp_path / "out") == ["train.json.gz"]


def test_only_what_has_the_roles_comes(mirror: Path, tmp_path: Path) -> None:
    labels = local(b"c", name="c", role="labels", path="activitynet_captions/labels/c.csv")
    (mirror / "activitynet_captions" / "labels").mkdir()
    (mirror / labels["path"]).write_bytes(b"c")
    write_registry(tmp_path, labels)
    assert copied(mirror) == 0
    assert names(tmp_path / "out") == []
    assert copied(mirror, "--roles", "annotations,labels") == 0
    assert names(tmp_path / "out") == ["labels/c.csv"]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"form": "yes", "status": "unverified"}, "it needs a form, an account or a browser"),
        ({"form": "yes", "status": "gone"}, "it is gone"),
    ],
)
def test_what_a_person_must_fetch_says_how_and_where_to_put_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cells: dict[str, str], words: str
) -> None:
    note = {"note": "ask its authors", "terms": "http://terms", "url": "http://127.0.0.1:9/never"}
    write_registry(tmp_path, local(None, path="activitynet_captions/f/c3d.hdf5", **note, **cells))
    assert download(tmp_path, dataset="activitynet") == 2
    error = capsys.readouterr().err
    target = tmp_path / "out" / "f" / "c3d.hdf5"
    for text in (words, "terms at http://terms", "ask its authors", f"put it at {target}"):
        assert text in error
    assert "127.0.0.1" not in error
    assert download(tmp_path, "--place", "M/{path}, then", dataset="activitynet") == 2
    error = capsys.readouterr().err
    assert error.endswith("put it at M/activitynet_captions/f/c3d.hdf5, then\n")
    assert str(tmp_path) not in error
    target.parent.mkdir(parents=True)
    target.write_bytes(b"by hand")
    assert download(tmp_path, dataset="activitynet") == 0
    assert json.loads((tmp_path / "sources.lock").read_text())["file"]["bytes"] == 7


def test_an_unknown_content_is_recorded_once_and_checked_ever_after(tmp_path, capsys) -> None:
    content = b"first"
    with serving() as server:
        write_registry(tmp_path, row(url=server.at("/file")))
        server.answers["/file"] = whole(content)
        assert download(tmp_path) == 0
        lock = json.loads((tmp_path / "sources.lock").read_text())["file"]
        assert lock["sha256"] == hashlib.sha256(content).hexdigest()
        assert lock["bytes"] == len(content)
        assert lock["url"] == server.at("/file")
        server.answers["/file"] = whole(b"other")
        (tmp_path / "out" / "file.bin").write_bytes(b"other")
        assert download(tmp_path) == 2
        error = capsys.readouterr().err
        assert f"is expected by {tmp_path / 'sources.lock'} since {lock['date']}" in error
        assert "where the new one is right, remove the entry file there" in error
        server.answers["/file"] = whole(b"longer than the first")
        assert download(tmp_path) == 2
        error = capsys.readouterr().err
        assert "the server says 21 bytes, 5 are expected by" in error
        assert error.count("remove the entry file there") == 2  # of the one there and the new one
        server.answers["/file"] = whole(content)
        assert download(tmp_path) == 0
        assert (tmp_path / "out" / "file.bin").read_bytes() == content
    assert json.loads((tmp_path / "sources.lock").read_text())["file"] == lock


def test_a_given_lock_holds_for_every_folder(tmp_path: Path, mirror: Path) -> None:
    write_registry(tmp_path, local(None, path="activitynet_captions/train.json"))
    options = ["--lock", str(tmp_path / "given.lock")]
    assert copied(mirror, *options) == 0
    (mirror / "activitynet_captions" / "train.json").write_bytes(b"{ }")
    (tmp_path / "out" / "train.json.gz").unlink()
    assert copied(mirror, *options) == 2
    assert not (tmp_path / "sources.lock").exists()


def test_a_broken_lock_is_refused(mirror: Path, capsys) -> None:
    (mirror.parent / "sources.lock").write_text('{"train": 1}')
    assert copied(mirror) == 2
    assert "lock file cannot be read" in capsys.readouterr().err


def test_a_killed_download_goes_on_from_where_it_was(tmp_path: Path) -> None:
    content = os.urandom(3_000)  # less than any buffer
    half = len(content) // 2

    def stops_halfway(handler: Handler) -> None:
        handler.head(200, Content_Length=len(content), ETag='"one"')
        handler.wfile.write(content[:half])
        time.sleep(30)

    def rest(handler: Handler) -> None:
        start = handler.start()
        span = f"bytes {start}-{len(content) - 1}/{len(content)}"
        handler.head(206, Content_Length=len(content) - start, Content_Range=span, ETag='"one"')
        handler.wfile.write(content[start:])

    with serving() as server:
        server.answers["/file"] = stops_halfway
        # Nothing is known of the file, so only its ETag allows to go on.
        write_registry(tmp_path, row(url=server.at("/file")))
        place = ["--registry", str(tmp_path / "sources.tsv"), "--out", str(tmp_path / "out")]
        python = [sys.executable, "-c", "import sys, mktn.cli; sys.exit(mktn.cli.main())"]
        process = subprocess.Popen([*python, "download", "--dataset", "pretrained", *place])
        part = tmp_path / "out.part" / "file.bin.part"
        try:
            until = time.monotonic() + 30
            while not (part.exists() and part.stat().st_size == half):
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.02)
            assert download(tmp_path) == 2  # the other process holds the folder
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert not (tmp_path / "out").exists()
        server.answers["/file"] = rest
        assert download(tmp_path) == 0
        assert server.asked == [("/file", None), ("/file", f"bytes={half}-")]
    assert (tmp_path / "out" / "file.bin").read_bytes() == content


def test_files_that_came_before_a_failure_are_not_fetched_twice(tmp_path: Path) -> None:
    with serving() as server:
        rows = [
            row(name.encode(), name=name, path=f"pretrained/{name}", url=server.at(f"/{name}"))
            for name in ("a", "b")
        ]
        write_registry(tmp_path, *rows)
        server.answers["/a"] = whole(b"a")
        assert download(tmp_path) == 2
        server.answers["/b"] = whole(b"b")
        assert download(tmp_path) == 0
        assert [path for path, _ in server.asked].count("/a") == 1
    assert names(tmp_path / "out") == ["a", "b"]


def test_a_full_disk_is_said_in_one_line(mirror: Path, capsys, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "x.part")

    monkeypatch.setattr("mktn.datasets.fetch.shutil.copyfile", full)
    assert copied(mirror) == 2
    assert "No space left on device" in capsys.readouterr().err


def test_a_bad_mirror_does_not_cost_what_has_come_over_http(mirror: Path, tmp_path: Path) -> None:
    content = bytes(100)
    path = "activitynet_captions/new.json"
    (mirror / path).write_bytes(b"damaged")
    part = tmp_path / "out.part" / "new.json.part"
    part.parent.mkdir()
    part.write_bytes(content[:60])
    with serving() as server:
        write_registry(
            tmp_path, row(content, dataset="activitynet", path=path, url=server.at("/f"))
        )
        server.answers["/f"] = ranged(content)
        assert copied(mirror) == 0
        assert server.asked == [("/f", "bytes=60-")]
    assert not (tmp_path / "out.part").exists()


def test_a_folder_that_cannot_be_made_is_said_in_one_line(mirror: Path, capsys) -> None:
    (mirror.parent / "out").write_text("a file in the way")
    assert copied(mirror) == 2
    error = capsys.readouterr().err
    assert f"{mirror.parent / 'out'}: a file cannot be written or read" in error
    assert error.count("\n") == 1


def test_a_link_to_another_disk_is_followed(mirror: Path) -> None:
    (mirror.parent / "disk" / "place").mkdir(parents=True)
    (mirror.parent / "out").symlink_to(mirror.parent / "disk" / "place")
    assert copied(mirror) == 0
    assert names(mirror.parent / "disk") == ["place/train.json.gz", "place/val_1.json.gz"]


def test_the_registry_names_the_shared_files(shared_data: Path, tmp_path: Path) -> None:
    for dataset in ("activitynet", "charades", "tacos"):
        options = ["--registry", str(REGISTRY), "--out", str(tmp_path / dataset)]
        options += ["--roles", "annotations,labels,splits,annotators,metadata"]
        assert (
            main(["download", "--dataset", dataset, "--mirror", str(shared_data), *options]) == 0
        )
    assert (tmp_path / "charades" / "charades_v1" / "license.txt").is_file()
    assert (tmp_path / "activitynet" / "labels" / "train_tsp_groundtruth.csv.gz").is_file()
    assert (tmp_path / "activitynet" / "cd_split" / "anet_test_ood.json.gz").is_file()
    assert not (tmp_path / "sources.lock").exists()


def test_the_files_of_other_partitions_and_annotators_come_by_their_roles(
    shared_data: Path, tmp_path: Path
) -> None:
    registry = Path(__file__).parents[2] / "workflow" / "sources.tsv"
    command = ("download", "--registry", str(registry), "--mirror", str(shared_data))
    counts = {"activitynet": (3, 4, 5), "charades": (4, 4, 3)}
    for dataset, expected in counts.items():
        out = tmp_path / dataset
        options = ("--dataset", dataset, "--roles", "splits,annotators", "--out", str(out))
        assert main([*command, *options]) == 0
        folders = ("cd_split", "cg_split", "human_reannotation")
        assert tuple(len(list((out / name).iterdir())) for name in folders) == expected
