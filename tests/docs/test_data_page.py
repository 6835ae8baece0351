"""docs/data.md: its two commands on files of one video."""

import re
import shlex
from pathlib import Path

import polars as pl
import pytest
import torch

from mktn.cli import main
from mktn.features.store import FeatureStore
from tests.docs.pages import commands
from tests.features.published_layouts import i3d_shapes, random_weights

COMMANDS = [command.text for command in commands("docs/data.md")]


def command(name: str) -> list[str]:
    (found,) = (text for text in COMMANDS if re.match(rf"mktn {name} --(?!help)", text))
    return shlex.split(found)[1:]


def write_pairs(path: Path, video_id: str, duration_s: float) -> None:
    row = {"dataset": "charades", "split": "train", "video_id": video_id,
           "pair_id": f"train/{video_id}#0", "sentence": "a ball", "order": 0, "start_s": 0.0,
           "end_s": 1.0, "duration_s": duration_s}  # fmt: skip
    pl.DataFrame([row]).write_parquet(path)


def test_real_features_of_one_video_are_imported(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "v_GGSY1Qvo990.npz"
    Path(name).symlink_to(shared_data / "sample_features" / name)
    write_pairs(Path("pairs.parquet"), "v_GGSY1Qvo990", 18.16)
    assert main(command("import-features")) == 0
    store = FeatureStore(tmp_path / "features")
    assert store["v_GGSY1Qvo990"].features.shape[1] == 1024


@pytest.mark.docs
def test_a_published_backbone_sees_a_video(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I3D at its full width, of random weights in the published layout."""
    monkeypatch.chdir(tmp_path)
    Path("VIDEOS").symlink_to(mirror / "videos")
    video = min((mirror / "videos").glob("*.mp4")).stem
    table = pl.read_parquet(mirror / "all.parquet").filter(video_id=video)
    write_pairs(Path("pairs.parquet"), video, table["duration_s"][0])
    torch.save(random_weights(i3d_shapes(400)), "rgb_imagenet.pt")
    assert main(command("extract-video")) == 0
    store = FeatureStore(tmp_path / "features")
    assert store[video].features.shape[1] == 1024
    assert store.attributes["backbone"] == "i3d"
