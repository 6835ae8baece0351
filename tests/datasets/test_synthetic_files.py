"""Rendered videos and native annotation files of the synthetic source."""

import csv
import json
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest

from mktn.cli import main
from mktn.datasets import read_pairs
from mktn.datasets.synthetic import SyntheticSettings, synthesize
from mktn.datasets.synthetic.motion import ACTIVITIES
from mktn.datasets.synthetic.render import draw, encode, poses, render
from mktn.datasets.synthetic.settings import FLAVOURS
from mktn.datasets.synthetic.story import (
    OBJECTS,
    Action,
    Actor,
    Story,
    common_looks,
    draw_story,
)
from mktn.datasets.synthetic.write import CHARADES_CLASSES, Told

SMALL = SyntheticSettings(videos_train=3, videos_val=1, videos_test=2, seed=3)
FLAVOUR_NAMES = sorted(FLAVOURS)


def written(dataset: str, folder: Path) -> Told:
    return synthesize(
        dataset, SMALL, folder / "annotations", folder / "videos", folder / "actions.parquet"
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Told, Path]]:
    folders = {name: tmp_path_factory.mktemp(name) for name in FLAVOUR_NAMES}
    return {name: (written(name, folder), folder) for name, folder in folders.items()}


Made = dict[str, tuple[Told, Path]]


@pytest.mark.parametrize("dataset", FLAVOUR_NAMES)
def test_same_seed_gives_the_same_bytes(made: Made, dataset: str, tmp_path: Path) -> None:
    written(dataset, tmp_path)
    files = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*") if p.is_file())
    before = made[dataset][1]
    assert files == sorted(p.relative_to(before) for p in before.rglob("*") if p.is_file())
    assert sum(path.suffix == ".mp4" for path in files) == len(made[dataset][0])
    for path in files:
        assert (tmp_path / path).read_bytes() == (before / path).read_bytes(), path


@pytest.mark.parametrize("dataset", FLAVOUR_NAMES)
def test_videos_decode_to_the_frames_that_were_drawn(made: Made, dataset: str) -> None:
    told, folder = made[dataset]
    for story, _ in told:
        with av.open(str(folder / "videos" / f"{story.video_id}.mp4")) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert stream.average_rate == 8
            assert stream.codec_context.pix_fmt == "yuv420p"
            decoded = list(container.decode(stream))
        assert [frame.time for frame in decoded] == [i / 8 for i in range(story.frames)]
        if story is told[0][0]:
            pixels = np.stack([frame.to_ndarray(format="rgb24") for frame in decoded])
            drawn = render(story, dataset, SMALL.filled(dataset))
            assert pixels.shape == drawn.shape == (story.frames, 64, 64, 3)
            assert np.abs(pixels.astype(float) - drawn).mean() < 6


@pytest.mark.parametrize(
    ("dataset", "options"),
    [
        ("activitynet", {}),
        ("charades", {}),
        ("tacos", {"version": "2dtan"}),
        ("tacos", {"version": "tall"}),
    ],
)
def test_the_ordinary_parsers_read_what_was_told(
    made: Made, dataset: str, options: dict[str, str]
) -> None:
    told, folder = made[dataset]
    pairs, rejected = read_pairs(dataset, folder / "annotations", **options)
    assert rejected.height == 0
    expected = {
        (story.split, story.video_id, q.sentence.strip(), q.start / 8, q.end / 8, story.frames / 8)
        for story, queries in told
        for q in queries
    }
    columns = ("split", "video_id", "sentence", "start_s", "end_s", "duration_s")
    read = {(*row[:2], row[2].strip(), *row[3:]) for row in pairs.select(columns).iter_rows()}
    assert read == expected
    assert pairs.height == sum(len(queries) for _, queries in told)


def test_encoding_does_not_depend_on_what_memory_held(tmp_path: Path) -> None:
    settings = SMALL.filled("tacos")
    frames = render(draw_story(settings, "tacos", "v", "train"), "tacos", settings)[:120]
    encoded = set()
    for k in range(12):
        litter = [np.full(1000 * (k + 1) * (n + 1), 17 * k, np.uint8) for n in range(20)]
        del litter
        encode(frames, tmp_path / "video.mp4", settings)
        encoded.add((tmp_path / "video.mp4").read_bytes())
    assert len(encoded) == 1


def test_native_files_have_the_published_layout(made: Made) -> None:
    charades = made["charades"][1] / "annotations"
    line = (charades / "charades_sta_train.txt").read_text().splitlines()[0]
    video, start, rest = line.split(" ", 2)
    end, sentence = rest.split("##")
    assert len(video) == 5
    assert float(start) < float(end)
    assert sentence.endswith(".")
    with (charades / "charades_v1" / "Charades_v1_train.csv").open(newline="") as file:
        row = next(csv.DictReader(file))
    spans = {tuple(map(float, a.split()[1:])) for a in row["actions"].split(";")}
    lines = [x for x in (charades / "charades_sta_train.txt").read_text().splitlines()]
    for line in lines:
        if line.startswith(f"{row['id']} "):
            assert tuple(map(float, line.split("##")[0].split()[1:])) in spans
    classes = (charades / "charades_v1" / "Charades_v1_classes.txt").read_text().splitlines()
    assert classes[0] == "c000 Bouncing a ball"
    assert len(classes) == len(CHARADES_CLASSES)
    activitynet = json.loads((made["activitynet"][1] / "annotations/val_1.json").read_text())
    assert all(name.startswith("v_") for name in activitynet)
    assert {tuple(video) for video in activitynet.values()} == {
        ("duration", "timestamps", "sentences")
    }
    tacos = made["tacos"][1] / "annotations"
    name, video = next(iter(json.loads((tacos / "2dtan_train.json").read_text()).items()))
    assert name.endswith(".avi")
    assert len(video["timestamps"]) == len(video["sentences"]) >= 20
    with (tacos / "video_meta.csv").open(newline="") as file:
        meta = {row["video_id"]: row for row in csv.DictReader(file)}
    row = meta[name.removesuffix(".avi")]
    assert int(row["num_frames_2dtan"]) == video["num_frames"]
    assert float(row["duration_s_2dtan"]) == video["num_frames"] / video["fps"]


@pytest.mark.parametrize("dataset", FLAVOUR_NAMES)
def test_actions_hold_what_every_actor_does(made: Made, dataset: str) -> None:
    told, folder = made[dataset]
    actions = pl.read_parquet(folder / "actions.parquet")
    assert actions.columns == [
        *("video_id", "split", "actor", "color", "object", "x", "y", "activity"),
        *("start_s", "end_s", "duration_s"),
    ]
    assert actions.height == sum(len(story.actions) for story, _ in told)
    assert actions.filter(pl.col("end_s") > pl.col("duration_s")).height == 0
    assert set(actions["activity"]) <= set(ACTIVITIES)


@pytest.mark.parametrize("activity", ACTIVITIES)
def test_an_action_moves_and_rest_does_not_and_all_stays_inside(activity: str) -> None:
    for kind in OBJECTS:
        for x, y, radius in ((0.295, 0.385, 0.12), (0.285, 0.735, 0.105), (0.715, 0.345, 0.105)):
            actor = Actor("red", kind, x, y, radius)
            story = Story("v", "train", 64, (actor,), (Action(0, activity, 32, 64),), (0,))
            frames = np.zeros((64, 64, 64, 3), np.float32)
            draw(frames, actor, poses(story, 0, SMALL), np.full(3, 200, np.float32))
            moved = np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3))
            assert moved[34:60].max() > 3 * moved[:30].max()
            edge = frames.copy()
            edge[:, 1:-1, 1:-1] = 0
            assert edge.max() < 100


def test_places_of_rest_are_those_that_were_tested() -> None:
    for dataset in FLAVOUR_NAMES:
        for k in range(20):
            for actor in draw_story(SMALL, dataset, f"v{k}", "test").actors:
                assert 0.28 <= actor.x <= 0.72
                assert 0.34 <= actor.y <= 0.74
    assert len(common_looks(SMALL, "charades")) == 12


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["synthesize", "--dataset", "charades"]
    for name in ("annotations", "videos", "actions"):
        command += [f"--{name}", str(tmp_path / name)]
    small = '{"videos_train": 2, "videos_val": 1, "videos_test": 1, "duration_s": 10}'
    assert main([*command, "--settings", small]) == 0
    assert "4 videos" not in capsys.readouterr().err
    assert len(list((tmp_path / "videos").iterdir())) == 3
    assert main([*command, "--settings", '{"frames": 2}']) == 2
    assert main([*command, "--settings", '{"preset": "slowest"}']) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "settings.frames" in lines[0]
    assert "settings.preset" in lines[1]
    assert len(list((tmp_path / "videos").iterdir())) == 3
