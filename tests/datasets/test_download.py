"""Copying from a mirror: verified, whole or not at all, and plain words when something is off."""

import gzip
import hashlib
from pathlib import Path

import pytest

from mktn.cli import main


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    rows = []
    for name, content in {"train.json": b"{}", "val_1.json": b"[1]"}.items():
        folder = tmp_path / "mirror" / "activitynet_captions"
        folder.mkdir(parents=True, exist_ok=True)
        path = f"activitynet_captions/{name}"
        rows.append(
            f"activitynet\t{path}\t{hashlib.sha256(content).hexdigest()}\t{len(content)}\tMIT\tus"
        )
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    header = "dataset\tpath\tsha256\tbytes\tlicence\tsource\n"
    (tmp_path / "sources.tsv").write_text(header + "\n".join(rows) + "\n")
    return tmp_path / "mirror"


def download(mirror: Path) -> int:
    root = mirror.parent
    options = ["--registry", str(root / "sources.tsv"), "--out", str(root / "out")]
    return main(["download", "--dataset", "activitynet", "--mirror", str(mirror), *options])


def test_files_are_copied_plain_or_gz(mirror: Path) -> None:
    plain = mirror / "activitynet_captions" / "train.json"
    plain.write_bytes(b"{}")
    assert download(mirror) == 0
    names = sorted(path.name for path in (mirror.parent / "out").iterdir())
    assert names == ["train.json", "val_1.json.gz"]


def test_a_missing_file_is_named_and_nothing_is_left(mirror, capsys) -> None:
    (mirror / "activitynet_captions" / "val_1.json.gz").unlink()
    assert download(mirror) == 2
    error = capsys.readouterr().err
    assert "activitynet_captions/val_1.json: file is missing in the mirror" in error
    assert error.count("\n") == 1
    assert not (mirror.parent / "out").exists()


@pytest.mark.parametrize("content", [gzip.compress(b"<html>"), b"not gzip", b"\x1f\x8b\x08cut"])
def test_another_content_is_refused_and_the_good_files_stay(mirror, capsys, content) -> None:
    assert download(mirror) == 0
    (mirror / "activitynet_captions" / "val_1.json.gz").write_bytes(content)
    assert download(mirror) == 2
    assert "val_1.json.gz" in capsys.readouterr().err
    assert len(list((mirror.parent / "out").iterdir())) == 2


def test_the_registry_names_the_shared_files(shared_data: Path, tmp_path: Path) -> None:
    registry = Path(__file__).parents[2] / "workflow" / "sources.tsv"
    for dataset in ("activitynet", "charades", "tacos"):
        options = ["--registry", str(registry), "--out", str(tmp_path / dataset)]
        assert (
            main(["download", "--dataset", dataset, "--mirror", str(shared_data), *options]) == 0
        )
    assert (tmp_path / "charades" / "charades_v1" / "license.txt").is_file()


def test_the_registry_names_the_files_of_other_partitions(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = Path(__file__).parents[2] / "workflow" / "sources.tsv"
    command = ("download", "--registry", str(registry), "--mirror", str(shared_data), "--out")
    counts = {"cd": (3, 4), "cg": (4, 4), "human": (5, 3)}
    for name, of_datasets in counts.items():
        for dataset, count in zip(("activitynet", "charades"), of_datasets, strict=True):
            out = tmp_path / dataset / name
            assert main([*command, str(out), "--dataset", dataset, "--sets", name]) == 0
            inside = "human_reannotation" if name == "human" else f"{name}_split"
            assert len(list((out / inside).iterdir())) == count
    assert main([*command, str(tmp_path / "t"), "--dataset", "tacos", "--sets", "cd"]) == 2
    assert "the registry has no such files" in capsys.readouterr().err
