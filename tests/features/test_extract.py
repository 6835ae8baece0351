"""Pretraining and extraction through the command line, on a few tiny videos."""

import json
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest
import torch

from mktn.cli import main
from mktn.features.backbones import BackboneDescription, build
from mktn.features.clip_classifier import BINS, ActorHead, ClipClassifier, actor_loss
from mktn.features.clip_labels import average_precision, clip_labels, mean_average_precision
from mktn.features.labelled_clips import LabelledClips, LabelledVideos
from mktn.features.preprocessing import Preprocessing
from mktn.features.store import FeatureStore, ResampledStore

COLORS = {"red": (230, 40, 40), "blue": (40, 40, 230)}
FPS, SIDE, FRAMES = 8, 40, 32


def write_video(path: Path, color: str, moves: bool) -> None:
    """A square that moves from side to side, or stands and blinks."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width = stream.height = SIDE
        stream.options = {"threads": "1"}
        for time in range(FRAMES):
            rgb = np.full((SIDE, SIDE, 3), 90, np.uint8)
            left = 14 + round(10 * np.sin(time)) if moves else 14
            if moves or time % 4 < 2:
                rgb[12:26, left : left + 14] = COLORS[color]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode())


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Folder with videos/, actions.parquet and pairs.parquet; the video `broken` is no video."""
    folder = tmp_path_factory.mktemp("source")
    (folder / "videos").mkdir()
    rows = []
    for split, count in {"train": 4, "val": 4}.items():
        for i in range(count):
            name, color, moves = f"{split}{i}", ("red", "blue")[i % 2], i // 2 == 0
            write_video(folder / "videos" / f"{name}.mp4", color, moves)
            rows.append({
                "video_id": name, "split": split, "actor": 0, "color": color, "object": "box",
                "activity": "slide" if moves else "blink", "start_s": 0.0, "end_s": 4.0,
                "x": 0.5, "y": 0.5, "duration_s": 4.0,
            })  # fmt: skip
    pl.DataFrame(rows).write_parquet(folder / "actions.parquet")
    (folder / "videos" / "broken.mp4").write_bytes(b"no video")
    names = ["broken", "missing", "train0", "train1", "val0", "val0"]
    pairs = {"video_id": names, "duration_s": [4.0] * len(names)}
    pl.DataFrame(pairs).write_parquet(folder / "pairs.parquet")
    return folder


SETTINGS = {
    "c3d": {"width": 2, "steps": 3, "batch": 4},
    "i3d": {"width": 0.0625, "steps": 3, "batch": 4},
}
RECIPE = {"fps": 8.0, "resize": [40], "crop": 32}


def pretrain(source: Path, weights: Path, name: str, **settings: object) -> int:
    merged = {**SETTINGS[name], "preprocessing": RECIPE, **settings}
    return main([
        "pretrain", "--actions", str(source / "actions.parquet"),
        "--videos", str(source / "videos"), "--backbone", name,
        "--weights", str(weights), "--settings", json.dumps(merged),
    ])  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_two_runs_give_the_same_bytes(name, source, tmp_path):
    for run in ("a", "b"):
        assert pretrain(source, tmp_path / f"{run}.safetensors", name) == 0
    first, second = (tmp_path / f"{run}.safetensors" for run in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    described = json.loads((tmp_path / "a.json").read_text())
    assert set(described["training"]["validation"]) >= {"activity", "map/color+activity"}
    assert described["labels"][0] == "activity:blink"


def extract(
    source: Path, weights: Path, out: Path, name: str, part: int, parts: int, **settings: object
) -> int:
    told = {"batch": 2, "decode_workers": 0, **settings}
    return main([
        "extract-video", "--videos", str(source / "videos"),
        "--pairs", str(source / "pairs.parquet"), "--backbone", name,
        "--weights", str(weights), "--out", str(out / f"part-{part}.zarr"),
        "--part", str(part), "--parts", str(parts), "--settings", json.dumps(told),
    ])  # fmt: skip


@pytest.mark.parametrize("name", SETTINGS)
def test_extraction_records_bad_videos_and_goes_on(name, source, tmp_path, capsys):
    weights = tmp_path / "w.safetensors"
    assert pretrain(source, weights, name, steps=1) == 0
    for part in (0, 1):
        assert extract(source, weights, tmp_path / "parts", name, part, 2) == 0
    assert "1 left out" in capsys.readouterr().out
    store = FeatureStore(tmp_path / "parts")
    assert store.video_ids == ["train0", "val0", "train1"]
    assert store.errors["missing"] == "no such file"
    assert store.errors["broken"].startswith("does not decode")
    video = store["train0"]
    assert video.features.shape == (3, {"c3d": 128, "i3d": 64}[name])
    assert video.patches is not None
    assert video.patches.shape == (3, 4, {"c3d": 16, "i3d": 64}[name])
    np.testing.assert_array_equal(video.span_s, [[0, 2], [1, 3], [2, 4]])
    assert store.attributes["weights_sha256"] in weights.with_suffix(".json").read_text()
    out = tmp_path / "T8.zarr"
    command = ["resample", "--features", str(tmp_path / "parts"), "--frames", "8"]
    assert main([*command, "--pairs", str(source / "pairs.parquet"), "--out", str(out)]) == 0
    assert ResampledStore(out).read(["val0"])[0].shape == (1, 8, video.features.shape[1])
    whole = tmp_path / "whole"
    assert extract(source, weights, whole, name, 0, 1) == 0
    np.testing.assert_array_equal(FeatureStore(whole)["val0"].patches, store["val0"].patches)


def test_how_many_processes_decode_is_not_seen_in_the_part(source, tmp_path):
    weights = tmp_path / "w.safetensors"
    assert pretrain(source, weights, "i3d", steps=1) == 0
    for workers in (0, 2):
        out = tmp_path / str(workers)
        assert extract(source, weights, out, "i3d", 0, 1, decode_workers=workers) == 0
    assert contents(tmp_path / "0") == contents(tmp_path / "2")


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_part_says_what_its_numbers_came_from(source, tmp_path):
    weights = tmp_path / "w.safetensors"
    assert pretrain(source, weights, "c3d", steps=1) == 0
    given = {"patch_grid": [1, 3], "dtype": "bfloat16"}
    assert extract(source, weights, tmp_path / "parts", "c3d", 0, 1, **given) == 0
    store = FeatureStore(tmp_path / "parts")
    said = store.attributes
    assert store["train0"].patches.shape == (3, 3, 16)
    assert said["patches"] == [1, 3]
    assert (said["weights_name"], said["dtype"]) == ("w.safetensors", "bfloat16")
    assert said["frame_rate_policy"] == "the frame on the screen at k/fps"
    assert (said["preprocessing"]["fps"], said["preprocessing"]["crop"]) == (8.0, 32)
    assert said["code_sha256"]
    assert extract(source, weights, tmp_path / "full", "c3d", 0, 1) == 0
    full, half = FeatureStore(tmp_path / "full")["train0"], store["train0"]
    np.testing.assert_allclose(half.features, full.features, rtol=0.1, atol=0.02)
    assert not np.array_equal(half.features, full.features)
    assert full.duration_s == 4.0


def test_a_folder_where_no_video_can_be_used_is_one_line(source, tmp_path, capsys):
    weights = tmp_path / "w.safetensors"
    assert pretrain(source, weights, "c3d", steps=1) == 0
    wrong = tmp_path / "wrong"
    (wrong / "videos").mkdir(parents=True)
    pl.read_parquet(source / "pairs.parquet").write_parquet(wrong / "pairs.parquet")
    capsys.readouterr()
    assert extract(wrong, weights, tmp_path / "parts", "c3d", 0, 1) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "no video can be used" in line
    assert "5 that fail, broken: no such file" in line
    assert not (tmp_path / "parts" / "part-0.zarr").exists()
    for path in (source / "videos").iterdir():  # the folder is mended: nothing of it was kept
        (wrong / "videos" / path.name).symlink_to(path)
    (wrong / "videos" / "val0.mkv").symlink_to(source / "videos" / "val1.mp4")
    assert extract(wrong, weights, tmp_path / "parts", "c3d", 0, 1) == 0
    store = FeatureStore(tmp_path / "parts")
    assert store.video_ids == ["train0", "train1"]
    assert store.errors["val0"] == "several files, keep one: val0.mkv, val0.mp4"


def test_a_part_without_videos_does_not_stop_the_others(source, tmp_path):
    weights = tmp_path / "w.safetensors"
    assert pretrain(source, weights, "c3d", steps=1) == 0
    few = tmp_path / "few"
    (few / "videos").mkdir(parents=True)
    pl.read_parquet(source / "pairs.parquet").write_parquet(few / "pairs.parquet")
    (few / "videos" / "train0.mp4").symlink_to(source / "videos" / "train0.mp4")
    for part in (0, 1):  # broken, train0, val0 and missing, train1
        assert extract(few, weights, tmp_path / "parts", "c3d", part, 2) == 0
    store = FeatureStore(tmp_path / "parts")
    assert store.video_ids == ["train0"]
    assert store.errors == dict.fromkeys(("broken", "val0", "missing", "train1"), "no such file")


def test_a_video_that_is_not_what_was_annotated_is_left_out(source, tmp_path):
    weights = tmp_path / "w.safetensors"
    assert pretrain(source, weights, "c3d", steps=1) == 0
    cut = tmp_path / "cut"
    cut.mkdir()
    (cut / "videos").symlink_to(source / "videos")
    pairs = pl.DataFrame(
        {"video_id": ["train0", "train1", "val0"], "duration_s": [40.0, 4.9, 2.0]}
    )
    pairs.write_parquet(cut / "pairs.parquet")
    assert extract(cut, weights, tmp_path / "parts", "c3d", 0, 1) == 0
    store = FeatureStore(tmp_path / "parts")
    assert store.video_ids == ["train1"]
    assert store.errors["train0"] == "another cut: 4.00 s where 40.00 s were annotated"
    assert store.errors["val0"] == "another cut: 4.00 s where 2.00 s were annotated"


def test_float16_needs_a_gpu(source, tmp_path, capsys):
    weights = tmp_path / "w.safetensors"
    assert pretrain(source, weights, "c3d", steps=1) == 0
    given = {"device": "cpu", "dtype": "float16"}
    assert extract(source, weights, tmp_path / "parts", "c3d", 0, 1, **given) == 2
    assert "float16 needs a GPU" in capsys.readouterr().err


def test_mistakes_are_one_line(source, tmp_path, capsys):
    assert extract(source, tmp_path / "none.safetensors", tmp_path, "c3d", 0, 1) == 2
    assert "missing file" in capsys.readouterr().err
    assert pretrain(source, tmp_path / "w.safetensors", "c3d", widht=3) == 2
    assert "unknown key" in capsys.readouterr().err
    assert pretrain(source, tmp_path / "w.safetensors", "c3d", memory_gb=1e-6) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", SETTINGS)
def test_a_finished_backbone_has_the_published_names_and_the_same_logits(name):
    labels = clip_labels(pl.DataFrame(ACTIONS))
    recipe = Preprocessing(fps=8, resize=(32,), crop=32)
    width = SETTINGS[name]["width"]
    backbone = build(BackboneDescription(name, width, len(labels.names), recipe), dropout=0.0)
    names = set(backbone.state_dict())
    model = ClipClassifier(backbone, labels)
    model.initialise(np.full(len(labels.names), 0.1))
    clips = batch_of(torch.randn(4, 3, 16, 32, 32))
    model(clips)  # moves the running statistics
    logits, heads = model.eval()(clips)
    assert [part.shape for part in heads[0]] == [(2, BINS, 2), (2, BINS, 2), (2, BINS, 2)]
    finished = model.finish()
    assert set(finished.state_dict()) == names
    torch.testing.assert_close(finished(clips.inputs), logits, rtol=1e-3, atol=1e-4)


def batch_of(inputs: torch.Tensor) -> LabelledClips:
    """Two actors: in the first clip at the top left, in the last at the bottom right."""
    return LabelledClips(
        inputs,
        torch.zeros(len(inputs), 4),
        clip=torch.tensor([0, len(inputs) - 1]),
        place=torch.tensor([[0.1, 0.1], [0.9, 0.9]]),
        looks=torch.tensor([[0, 1], [1, 0]]),
        activity=torch.tensor([[0, 0], [1, 0]]),
    )


def test_the_head_reads_the_cell_where_an_actor_rests():
    labels = clip_labels(pl.DataFrame(ACTIONS))
    head = ActorHead(5, labels)
    cells, clips = torch.randn(3, 5, 2, 2, 2), batch_of(torch.zeros(3, 1))
    color, thing, activity = head(cells, clips)
    first = head.linear(cells[0, :, 0, 0, 0]).split([2, 2, 2])
    torch.testing.assert_close((color[0, 0], thing[0, 0], activity[0, 0]), first)
    last = head.linear(cells[2, :, 1, 1, 1]).split([2, 2, 2])
    torch.testing.assert_close((color[1, 1], thing[1, 1], activity[1, 1]), last)


def test_the_loss_is_the_cross_entropy_of_each_part():
    clips = batch_of(torch.zeros(2, 1))
    right = [torch.full((2, BINS, 2), -20.0) for _ in range(3)]
    for part, truth in zip(right, (clips.looks[:, 0], clips.looks[:, 1]), strict=False):
        part[torch.arange(2), :, truth] = 20.0
    right[2].scatter_(2, clips.activity[..., None], 20.0)
    assert actor_loss(right, clips).item() < 1e-6
    right[2][1] = 0.0  # one actor of two: undecided
    assert actor_loss(right, clips).item() == pytest.approx(np.log(2), abs=1e-5)


def test_a_crop_and_a_mirror_move_the_place_of_an_actor(source):
    table = pl.read_parquet(source / "actions.parquet").with_columns(
        x=pl.lit(0.4), y=pl.lit(0.3), source=pl.lit(0)
    )
    recipe = Preprocessing(fps=8, resize=(40,), crop=32)
    paths = {"train0": source / "videos" / "train0.mp4"}
    videos = LabelledVideos(paths, clip_labels(table), recipe, BINS, 1.0)
    centre, mirrored = (videos._cut("train0", 0, (0, 0), flip)[2][0] for flip in (False, True))
    np.testing.assert_allclose(centre, [(0.4 * 40 - 4) / 32, (0.3 * 40 - 4) / 32])
    np.testing.assert_allclose(mirrored, [1 - centre[0], centre[1]])
    moved = videos._cut("train0", 0, (2, -3), False)[2][0]
    np.testing.assert_allclose(moved, [centre[0] + 3 / 32, centre[1] - 2 / 32])
    far = videos._cut("train0", 0, (-8, 8), False)[0]
    assert far.shape == (3, 16, 32, 32)


ACTIONS = {
    "video_id": ["v", "v", "w"], "split": ["train", "train", "val"], "actor": [0, 1, 0],
    "color": ["red", "blue", "red"], "object": ["box", "box", "ball"],
    "x": [0.2, 0.7, 0.5], "y": [0.5, 0.5, 0.5],
    "activity": ["spin", "spin", "spin"], "start_s": [0.0, 3.0, 0.0],
    "end_s": [3.0, 4.0, 5.0], "duration_s": [9.0, 9.0, 9.0],
}  # fmt: skip


def test_targets_are_the_share_of_the_clip():
    labels = clip_labels(pl.DataFrame(ACTIONS))
    times = [(0.0, 2.0), (2.0, 4.0), (6.0, 8.0)]
    targets = np.stack([labels.targets("v", start_s, end_s) for start_s, end_s in times])
    doing = [labels.videos["v"].doing(start_s, end_s, 1).tolist() for start_s, end_s in times]
    assert doing == [[0, 1], [0, 0], [1, 1]]
    by_name = dict(zip(labels.names, targets.T.tolist(), strict=True))
    assert by_name["activity:spin"] == [1.0, 1.0, 0.0]
    assert by_name["color+activity:red/spin"] == [1.0, 0.5, 0.0]
    assert by_name["color+activity:blue/spin"] == [0.0, 1.0, 0.0]
    assert "object+activity:ball/spin" not in by_name


def test_average_precision_by_hand():
    scores, positive = np.asarray([0.9, 0.8, 0.7, 0.6]), np.asarray([True, False, True, False])
    assert average_precision(scores, positive) == pytest.approx((1 + 2 / 3) / 2)
    targets = positive[:, None].astype(np.float32)
    result = mean_average_precision(scores[:, None], targets, np.asarray([0]))
    assert result["activity"] == pytest.approx(5 / 6)
