"""The registry of sources: every file is there, and a broken row is named by line and column."""

from pathlib import Path

import pytest

from mktn.cli import main
from mktn.datasets import DATASETS
from mktn.datasets.registry import COLUMNS, SourceFile, read_registry, rows_sha256
from mktn.errors import UserError
from tests.datasets.http_server import row, write_registry

REGISTRY = Path(__file__).parents[2] / "workflow" / "sources.tsv"
SHA256 = "0" * 64


@pytest.fixture(scope="module")
def files() -> dict[str, SourceFile]:
    return {file.name: file for file in read_registry(REGISTRY)}


def test_benchmarks_and_pretrained_parts_are_all_there(files) -> None:
    roles = {dataset: set() for dataset in (*DATASETS, "pretrained")}
    for file in files.values():
        roles[file.dataset].add(file.role)
    for dataset in DATASETS:
        assert {"annotations", "features", "videos"} <= roles[dataset]
    assert {"labels", "splits", "annotators"} <= roles["activitynet"]
    assert {"splits", "annotators"} <= roles["charades"]
    assert roles["pretrained"] == {"word_vectors", "sentence_vectors", "weights"}
    names = {file.file_name for file in files.values()}
    assert {
        "sub_activitynet_v1-3.c3d.hdf5",
        "tall_c3d_features.hdf5",
        "vgg_rgb_features.hdf5",
        "glove.6B.zip",
        "glove.840B.300d.zip",
        "c3d.pickle",
        "rgb_imagenet.pt",
        "rgb_charades.pt",
    } <= names
    assert sum(file.role == "sentence_vectors" for file in files.values()) == 7


def test_every_file_has_a_way_and_small_ones_a_checksum(files) -> None:
    for file in files.values():
        assert file.addresses or file.note
        if file.role in ("annotations", "labels", "splits", "annotators"):
            assert file.sha256
            assert file.bytes


def test_repository_files_are_pinned_to_a_commit(files) -> None:
    addresses = [a for file in files.values() for a in (file.url, *file.mirrors)]
    raw = [a for a in addresses if a.startswith("https://raw.githubusercontent.com/")]
    assert len(raw) > 40
    for address in raw:
        commit = address.split("/")[5]
        assert len(commit) == 40
        assert set(commit) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("cells", "column", "expected"),
    [
        ({"name": "Two Words"}, "name", "lower-case"),
        ({"dataset": "msrvtt"}, "dataset", "one of activitynet"),
        ({"role": "stuff"}, "role", "one of annotations"),
        ({"path": "../escape"}, "path", "without '..'"),
        ({"path": "a/../../escape"}, "path", "without '..'"),
        ({"path": "/etc/passwd"}, "path", "without '..'"),
        ({"url": "ftp://x/y"}, "url", "http, https or file"),
        ({"mirrors": "http://x  http://y"}, "mirrors", "one blank"),
        ({"sha256": "abc"}, "sha256", "64 hexadecimal"),
        ({"bytes": "4 MB"}, "bytes", "number of bytes"),
        ({"form": "maybe"}, "form", "yes"),
        ({"status": "fine"}, "status", "verified"),
        ({"status": "verified"}, "sha256", "a sha256 where"),
        ({"url": ""}, "url", "an address where no form is needed"),
        ({"status": "gone"}, "note", "what to do"),
        ({"form": "yes"}, "note", "what to do"),
        ({"source": ""}, "source", "the page"),
    ],
)
def test_a_broken_cell_is_named(tmp_path: Path, cells, column, expected) -> None:
    good = row(url="http://x/y")
    other = row(url="http://x/z", name="other", path="a/b")
    path = write_registry(tmp_path, good, other | cells)
    with pytest.raises(UserError) as error:
        read_registry(path)
    assert f"sources.tsv, line 3, {column}: value refused" in str(error.value)
    assert expected in str(error.value)


def test_names_and_paths_are_there_once(tmp_path: Path) -> None:
    good = row(url="http://x/y")
    for again, what in ((good | {"path": "a/b"}, "name"), (good | {"name": "b"}, "path")):
        with pytest.raises(UserError, match=f"{what} is there twice"):
            read_registry(write_registry(tmp_path, good, again))


def test_other_columns_and_short_rows_are_refused(tmp_path: Path) -> None:
    path = write_registry(tmp_path, row(url="http://x/y"))
    text = path.read_text()
    path.write_text(text.replace("sha256\t", "", 1))
    with pytest.raises(UserError, match=r"line 1: other columns"):
        read_registry(path)
    for broken in (text.rstrip("\n").rpartition("\t")[0] + "\n", text.rstrip("\n") + "\tmore\n"):
        path.write_text(broken)
        with pytest.raises(UserError, match=f"line 2: another number.*expected {len(COLUMNS)}"):
            read_registry(path)
    path.write_text(text)
    (tmp_path / "schemas" / "sources.schema.yaml").unlink()
    with pytest.raises(UserError, match="schema cannot be read"):
        read_registry(path)
    with pytest.raises(UserError, match="registry cannot be read"):
        read_registry(tmp_path / "none.tsv")


def test_the_list_shows_what_is_known_of_each_file(files, capsys) -> None:
    assert main(["download", "--registry", str(REGISTRY), "--dataset", "tacos", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    head = ["name", "dataset", "role", "size", "sha256", "status", "licence", "address or page"]
    assert lines[0].split(maxsplit=7) == head
    hdf5 = next(line for line in lines if line.startswith("tacos-c3d-hdf5"))
    assert "first use" in hdf5
    assert "unverified, by hand" in hdf5
    # What is got by hand has its page, another its address.
    assert hdf5.endswith((files["tacos-c3d-hdf5"].terms, files["tacos-c3d-hdf5"].source))
    train = next(line for line in lines if line.startswith("tacos-2dtan-train"))
    assert train.endswith(f"  {files['tacos-2dtan-train'].url}")
    assert not any("glove" in line for line in lines)


def test_one_file_is_listed_with_all_that_is_known(files, capsys) -> None:
    only = ["--only", "charades-i3d-npy"]
    assert main(["download", "--registry", str(REGISTRY), "--list", *only]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [*COLUMNS]
    told = {name: cell for name, _, cell in (line.partition(" ") for line in lines)}
    file = files["charades-i3d-npy"]
    assert told["note"].strip() == file.note
    assert told["path"].strip() == file.path
    assert told["form"].strip() == "yes"


@pytest.mark.parametrize(
    ("roles", "count"), [("annotations", 1), ("annotations,labels", 1), ("labels,weights", 0)]
)
def test_a_list_has_the_roles_that_are_asked_for(tmp_path: Path, capsys, roles, count) -> None:
    good = row(url="http://x/y", dataset="tacos")
    other = row(url="http://x/z", dataset="tacos", name="b", path="a/b", role="videos")
    registry = write_registry(tmp_path, good, other)
    command = ["download", "--registry", str(registry), "--dataset", "tacos", "--list"]
    assert main([*command, "--roles", roles]) == 0
    lines = capsys.readouterr().out.splitlines()
    if count:
        assert [line.split()[0] for line in lines] == ["name", "file"]
    else:
        assert lines == ["no file of tacos has one of the roles labels,weights"]


def test_the_registry_is_that_of_the_working_directory(
    tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["download", "--list"]) == 2
    error = capsys.readouterr().err
    assert "add --registry FILE" in error
    assert error.count("\n") == 1
    write_registry(tmp_path / "workflow", row(url="http://x/y"))
    assert main(["download", "--list"]) == 0
    assert "http://x/y" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--only", "glove-6c", "--out", "x"], "expected 'glove-6b'?"),
        (["--dataset", "tacos", "--only", "glove-6b", "--out", "x"], "no such file"),
        (["--dataset", "tacos"], "add --out"),
        (["--out", "x"], "add --dataset or --only"),
        (["--dataset", "tacos", "--out", "x", "--roles", "label"], "unknown role"),
    ],
)
def test_what_is_asked_wrongly_is_said(capsys, options, words) -> None:
    assert main(["download", "--registry", str(REGISTRY), *options]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("cells", "same"),
    [
        ({"note": "a page more", "terms": "http://t", "source": "another page"}, True),
        ({"url": "http://other/"}, False),
        ({"mirrors": "http://other/"}, False),
        ({"sha256": SHA256}, False),
        ({"bytes": "7"}, False),
        ({"path": "pretrained/other"}, False),
    ],
)
def test_the_hash_of_rows_is_of_what_is_brought(tmp_path: Path, cells, same: bool) -> None:
    def of(*rows: dict[str, str]) -> str:
        return rows_sha256(read_registry(write_registry(tmp_path, *rows)))

    one, two = row(url="http://x/y"), row(url="http://x/z", name="b", path="a/b")
    assert (of(one, two) == of(two, one | cells)) is same
