"""Runs are found by their folders, and their parts beside them."""

import json
import shutil
from pathlib import Path

import pytest

from mktn.cli import main
from mktn.grounder.run_folder import SHOWN, backbone_weights, data_folder


@pytest.mark.parametrize("above", [1, 2, 3, 4, 5])
def test_a_folder_of_runs_names_them(
    run_folder: Path, videos: list[Path], capsys: pytest.CaptureFixture[str], above: int
) -> None:
    folder = run_folder.parents[above - 1]
    assert main(["ground", str(videos[0]), "-q", "a ball", "--model", str(folder)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    found = run_folder.relative_to(folder)
    assert f"{folder}: a folder of runs, and no run, found {found}, expected one run" in error
    assert f"name it: {run_folder}" in error


def test_many_runs_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(SHOWN + 3):
        (tmp_path / f"seed{seed}").mkdir()
        (tmp_path / f"seed{seed}" / "model.safetensors").touch()
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "found seed0, seed1, seed2, seed3, seed4, seed5 and 3 more" in capsys.readouterr().err


def test_a_run_of_ones_own_finds_the_backbone_that_another_source_has(
    pipeline: Path, run_folder: Path, videos: list[Path], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """As where `own.weights` is data/synthetic/backbones/c3d.safetensors."""
    run = tmp_path / "runs/own/charades/mktn/full/seed0"
    shutil.copytree(run_folder, run)
    shutil.copytree(pipeline / "data/synthetic/text_models", tmp_path / "data/own/text_models")
    backbones = tmp_path / "data/synthetic/backbones"
    shutil.copytree(pipeline / "data/synthetic/backbones", backbones)
    assert main(["ground", str(videos[0]), "-q", "a ball", "--model", str(run)]) == 0
    capsys.readouterr()
    described = json.loads((backbones / "c3d.json").read_text())
    (backbones / "c3d.json").write_text(json.dumps(described | {"weights_sha256": "0" * 64}))
    assert main(["ground", str(videos[0]), "-q", "a ball", "--model", str(run)]) == 2
    assert "data/own/backbones/c3d.safetensors: the video backbone's weights are missing" in (
        capsys.readouterr().err
    )


def test_the_sources_own_backbone_goes_first(pipeline: Path) -> None:
    data = pipeline / "data" / "synthetic"
    assert backbone_weights(data, "c3d", None) == data / "backbones/c3d.safetensors"
    assert not backbone_weights(data, "s3d", None).exists()


def test_runs_may_be_a_link_to_another_disk(tmp_path: Path) -> None:
    disk, run = tmp_path / "disk/of/mine", "synthetic/charades/mktn/full/seed0"
    (disk / run).mkdir(parents=True)
    place = tmp_path / "project"
    place.mkdir()
    (place / "runs").symlink_to(disk)
    assert data_folder(place / "runs" / run) == place / "data/synthetic"
    # And a link to a run is where that is.
    real = place / "real/runs" / run
    real.mkdir(parents=True)
    (tmp_path / "best").symlink_to(real)
    assert data_folder(tmp_path / "best") == place / "real/data/synthetic"
    assert data_folder(disk / run) is None
