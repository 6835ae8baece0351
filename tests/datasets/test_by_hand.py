"""What a person is told of a missing file: the row, the files below a folder, or the archives."""

from pathlib import Path

import pytest

from mktn.datasets.by_hand import in_mirror, made_by, missing
from mktn.datasets.registry import read_registry
from tests.datasets.http_server import row, write_registry


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("charades_sta/f/a.hdf5", "it is gone, terms at http://t: ask; put it at M/{path}"),
        (
            "pretrained/w.pt",
            "mktn download --out M --only w brings it from http://x/w to M/{path}",
        ),
        ("pretrained/s", "mktn download --out M --only one two brings its files to M/{path}"),
        (
            "charades_sta/f/i3d",
            "get the archive features (i3d_all.zip), as mktn download --list --only NAME says,"
            " and unpack it at M/{path}",
        ),
        ("charades_sta/f/nowhere.hdf5", ""),
    ],
)
def test_each_missing_path_has_its_way(tmp_path: Path, path: str, expected: str) -> None:
    of_charades = {"dataset": "charades", "role": "features"}
    gone = {"status": "gone", "note": "ask", "terms": "http://t"}
    files = read_registry(
        write_registry(
            tmp_path,
            row(name="hdf5", path="charades_sta/f/a.hdf5", **of_charades, **gone),
            row(name="w", path="pretrained/w.pt", url="http://x/w"),
            row(name="one", path="pretrained/s/1", url="http://x/1"),
            row(name="two", path="pretrained/s/2", url="http://x/2"),
            row(name="features", path="charades_sta/i3d_all.zip", url="http://x", **of_charades),
            row(name="vgg", path="charades_sta/vgg.tar", url="http://x", **of_charades),
        )
    )
    said = missing(files, path, in_mirror("M"), "charades", "features")
    assert said == expected.replace("{path}", path)
    if said:
        said = missing(files, path, in_mirror(None), "charades", "features")
        assert said.endswith(f"MIRROR/{path}, and give --config mirror=MIRROR")


def test_weights_of_the_pipeline_s_own_have_the_command_that_makes_them() -> None:
    path = "data/synthetic/backbones/c3d.safetensors"
    make = f"make it in the repository, with its default source: snakemake --cores 2 -- {path}"
    assert made_by(path) == make
    assert made_by(f"M/{path}") == f"{make}, and put it and its .json at M/{path}"
    assert made_by("weights/c3d.safetensors") == made_by("data/own/backbones/c3d.pth") == ""
