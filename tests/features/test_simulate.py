"""Simulated features hold the labelled actions, and nothing of the queries."""

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mktn.cli import main
from mktn.errors import UserError
from mktn.features.action_labels import Action, read_actions, read_classes
from mktn.features.simulate import (
    SimulateSettings,
    class_vectors,
    coverage,
    simulate,
    simulate_video,
)
from mktn.features.store import ResampledStore

SMALL = SimulateSettings(frames=8, dimension=64, patches=4)
CLEAN = SimulateSettings(
    frames=8, dimension=64, patches=4, missed=0, confused=0, jitter_s=0, noise=0, background=0
)


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    folder = tmp_path / "charades_v1"
    folder.mkdir()
    lists = {
        "classes": "c000 Holding some clothes\nc001 Opening a door\nc002 Someone is awakening\n",
        "mapping": "c000 o001 v001\nc001 o002 v002\nc002 o000 v000\n",
        "objectclasses": "o000 None\no001 clothes\no002 door\n",
        "verbclasses": "v000 awaken\nv001 hold\nv002 open\n",
    }
    for name, text in lists.items():
        (folder / f"Charades_v1_{name}.txt").write_text(text, encoding="utf-8")
    (folder / "Charades_v1_train.csv").write_text(
        'id,script,actions,length\nAAAAA,"He, awake.",c000 0.00 4.00;c001 4.00 8.00,8.00\n'
        "BBBBB,None.,,6.00\n",
        encoding="utf-8",
    )
    with gzip.open(folder / "Charades_v1_test.csv.gz", "wt", encoding="utf-8") as stream:
        stream.write("id,script,actions,length\nCCCCC,x,c002 5.00 1.00,10.00\n")
    return tmp_path


def write_pairs(
    path: Path, videos: dict[str, float], sentence: str = "person opens a door"
) -> Path:
    rows = [("charades", v, f"train/{v}#0", sentence, d) for v, d in videos.items()]
    schema = ["dataset", "video_id", "pair_id", "sentence", "duration_s"]
    pl.DataFrame(rows, schema=schema, orient="row").write_parquet(path)
    return path


def test_labels_are_read_with_verbs_and_objects(annotations: Path) -> None:
    classes = read_classes(annotations / "charades_v1")
    assert (classes["c001"].object, classes["c001"].verb) == ("o002", "v002")
    actions = read_actions(annotations / "charades_v1", classes)
    assert actions["AAAAA"] == (Action("c000", 0.0, 4.0), Action("c001", 4.0, 8.0))
    assert actions["BBBBB"] == ()
    assert actions["CCCCC"] == (Action("c002", 1.0, 5.0),)  # written backwards


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("c000 0.00", "broken actions field"),
        ("c000 a b", "broken actions field"),
        ("c009 0 1", "unknown action class"),
    ],
)
def test_broken_labels_name_file_and_line(annotations: Path, field: str, said: str) -> None:
    path = annotations / "charades_v1" / "Charades_v1_train.csv"
    path.write_text(f"id,actions\nAAAAA,\nBBBBB,{field}\n", encoding="utf-8")
    with pytest.raises(UserError, match=rf"train\.csv, line 3, video BBBBB: {said}"):
        read_actions(path.parent, read_classes(path.parent))


def test_a_missing_label_file_is_one_line(annotations: Path, tmp_path: Path, capsys) -> None:
    (annotations / "charades_v1" / "Charades_v1_test.csv.gz").unlink()
    pairs = write_pairs(tmp_path / "pairs.parquet", {"AAAAA": 8.0})
    out = tmp_path / "out.zarr"
    options = ["--annotations", str(annotations), "--pairs", str(pairs), "--out", str(out)]
    assert main(["simulate", "--dataset", "charades", *options]) == 2
    assert "Charades_v1_test.csv" in capsys.readouterr().err
    assert not out.exists()


def test_coverage_is_the_share_of_each_bin() -> None:
    found = coverage(np.array([[1.0, 5.0], [-1.0, 20.0]]), 8.0, 4)
    np.testing.assert_allclose(found, [[0.5, 1, 0.5, 0], [1, 1, 1, 1]])


def test_without_noise_a_frame_is_its_actions(annotations: Path) -> None:
    classes = read_classes(annotations / "charades_v1")
    vectors = class_vectors(classes, 64, 0)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-6)
    actions = [Action("c000", 0, 4), Action("c001", 3, 8)]
    video = simulate_video(actions, 8.0, list(classes), vectors, CLEAN, np.random.default_rng(0))
    expected = np.zeros((8, 64))
    expected[:4] += vectors[0]
    expected[3:] += vectors[1]
    np.testing.assert_allclose(video[:, 0], expected, atol=1e-5)
    np.testing.assert_allclose(video[:, 1:].sum(1), expected, atol=1e-5)
    shares = np.sort(video[0, 1:] @ vectors[0])
    assert shares[-2:].sum() > 0.89  # mainly in one or two patches


def test_noise_and_background_have_the_norms_asked_for() -> None:
    settings = SimulateSettings(frames=64, dimension=256, noise=3.0, background=1.0)
    vectors = np.zeros((1, 256), np.float32)
    rng = np.random.default_rng(1)
    video = simulate_video([], 8.0, ["c000"], vectors, settings, rng)
    background = video.mean((0, 1))
    assert np.linalg.norm(background) == pytest.approx(1.0, abs=0.2)
    assert np.linalg.norm(video - background, axis=-1).mean() == pytest.approx(3.0, abs=0.05)


def test_missed_and_confused_labels_have_their_rates() -> None:
    vectors = np.eye(100, dtype=np.float32)
    codes = [f"c{i:03}" for i in range(100)]
    settings = SimulateSettings(
        frames=1, dimension=100, missed=0.2, confused=0.3, jitter_s=0, noise=0, background=0
    )
    actions = [Action("c000", 0, 1)]
    draws = [
        simulate_video(actions, 1.0, codes, vectors, settings, np.random.default_rng(i))[0, 0]
        for i in range(2000)
    ]
    seen = np.array(draws).sum(1) > 0.5
    right = np.array(draws)[:, 0] > 0.5
    assert seen.mean() == pytest.approx(0.8, abs=0.03)
    assert right.mean() == pytest.approx(0.8 * 0.7, abs=0.04)


def test_classes_are_linearly_recoverable_from_noisy_frames() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((20, 256)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    codes = [f"c{i:03}" for i in range(20)]
    settings = SimulateSettings(frames=8, dimension=256, missed=0, confused=0, jitter_s=0)
    videos, labels = [], []
    for _ in range(200):
        label = int(rng.integers(20))
        actions = [Action(codes[label], 0.0, 8.0)]
        videos.append(simulate_video(actions, 8.0, codes, vectors, settings, rng)[:, 0])
        labels += [label] * 8
    x, y = np.concatenate(videos), np.array(labels)
    train, test = slice(0, 1200), slice(1200, None)
    onehot = np.eye(20)[y]
    gram = x[train].T @ x[train] + 30.0 * np.eye(256)
    weights = np.linalg.solve(gram, x[train].T @ onehot[train])
    assert ((x[test] @ weights).argmax(1) == y[test]).mean() > 0.9


def test_a_video_depends_on_neither_the_others_nor_the_sentences(
    annotations: Path, tmp_path: Path
) -> None:
    first = write_pairs(tmp_path / "a.parquet", {"AAAAA": 8.0, "BBBBB": 6.0, "CCCCC": 10.0})
    second = write_pairs(tmp_path / "b.parquet", {"CCCCC": 10.0}, "quite another sentence")
    assert simulate(annotations, first, tmp_path / "a.zarr", SMALL) == (3, 0)
    simulate(annotations, second, tmp_path / "b.zarr", SMALL)
    a, b = ResampledStore(tmp_path / "a.zarr"), ResampledStore(tmp_path / "b.zarr")
    for left, right in zip(a.read(["CCCCC"]), b.read(["CCCCC"]), strict=True):
        np.testing.assert_array_equal(left, right)
    assert (a.frames, a.dimension, a.patches, a.patch_dimension) == (8, 64, 4, 64)
    assert a.attributes["source"] == "simulated"
    assert "not comparable with published numbers" in a.attributes["statement"]


def test_a_video_without_labels_is_recorded_and_the_run_goes_on(
    annotations: Path, tmp_path: Path
) -> None:
    pairs = write_pairs(tmp_path / "pairs.parquet", {"ZZZZZ": 5.0, "AAAAA": 8.0})
    assert simulate(annotations, pairs, tmp_path / "out.zarr", SMALL) == (1, 1)
    store = ResampledStore(tmp_path / "out.zarr")
    assert store.video_ids == ["AAAAA"]
    assert "no row" in store.errors["ZZZZZ"]


def test_every_published_label_file_reads(shared_data: Path) -> None:
    folder = shared_data / "charades_sta" / "charades_v1"
    classes = read_classes(folder)
    actions = read_actions(folder, classes)
    assert len(classes) == 157
    assert len(actions) == 9848
    assert sum(map(len, actions.values())) == 49_809 + 16_691
