"""Simulated features hold what is labelled, and of Charades nothing of the queries."""

import dataclasses
import gzip
import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mktn.cli import main
from mktn.errors import UserError
from mktn.features.action_labels import read_actions, read_classes, read_labels
from mktn.features.simulate import simulate
from mktn.features.simulated_recogniser import (
    LabelledInterval,
    Recogniser,
    SimulateSettings,
    SoleSettings,
    coverage,
)
from mktn.features.store import ResampledStore

SMALL = SimulateSettings(frames=8, dimension=64, patches=4)
CLEAN = SimulateSettings(
    frames=8, dimension=64, patches=4, missed=0, confused=0, jitter_s=0, noise=0, background=0
)
LABELS = {f"c{i:03}": (f"c{i:03}",) for i in range(100)}


def seen(label: str, start_s: float, end_s: float) -> LabelledInterval:
    return LabelledInterval((label,), start_s, end_s)


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
    assert actions["AAAAA"] == (
        LabelledInterval(("c000",), 0.0, 4.0),
        LabelledInterval(("c001",), 4.0, 8.0),
    )
    assert actions["BBBBB"] == ()
    assert actions["CCCCC"] == (LabelledInterval(("c002",), 1.0, 5.0),)  # written backwards


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
    labels = read_labels(annotations)
    recogniser = Recogniser(labels.directions, CLEAN)
    vectors = recogniser.vectors
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-6)
    video = recogniser.see([seen("c000", 0, 4), seen("c001", 3, 8)], 8.0, np.random.default_rng(0))
    expected = np.zeros((8, 64))
    expected[:4] += vectors[0]
    expected[3:] += vectors[1]
    np.testing.assert_allclose(video[:, 0], expected, atol=1e-5)
    np.testing.assert_allclose(video[:, 1:].sum(1), expected, atol=1e-5)
    shares = np.sort(video[0, 1:] @ vectors[0])
    assert shares[-2:].sum() > 0.89  # mainly in one or two patches


def test_without_patches_there_is_the_global_feature_alone() -> None:
    settings = dataclasses.replace(CLEAN, patches=0)
    recogniser = Recogniser(LABELS, settings)
    video = recogniser.see([seen("c000", 2, 4)], 8.0, np.random.default_rng(0))
    assert video.shape == (8, 1, 64)
    np.testing.assert_allclose(video[2:4, 0] @ recogniser.vectors[0], 1.0, rtol=1e-5)
    assert not video[:2].any()
    assert not video[4:].any()


def test_noise_and_background_have_the_norms_asked_for() -> None:
    settings = SimulateSettings(frames=64, dimension=256, noise=3.0, background=1.0)
    video = Recogniser(LABELS, settings).see([], 8.0, np.random.default_rng(1))
    background = video.mean((0, 1))
    assert np.linalg.norm(background) == pytest.approx(1.0, abs=0.2)
    assert np.linalg.norm(video - background, axis=-1).mean() == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize("sole", [False, True])
def test_missed_and_confused_labels_have_their_rates(sole: bool) -> None:
    """Those of a sole annotation have rates of their own."""
    given = {"missed": 0.2, "confused": 0.3}
    own = {"sole": SoleSettings(**given), "missed": 1.0} if sole else given
    settings = SimulateSettings(
        frames=1, dimension=100, patches=0, jitter_s=0, noise=0, background=0, **own
    )
    recogniser = Recogniser(LABELS, settings)
    recogniser.vectors = np.eye(100, dtype=np.float32)
    intervals = [LabelledInterval(("c000",), 0, 1, sole)]
    draws = np.array(
        [recogniser.see(intervals, 1.0, np.random.default_rng(i))[0, 0] for i in range(2000)]
    )
    assert (draws.sum(1) > 0.5).mean() == pytest.approx(0.8, abs=0.03)
    assert (draws[:, 0] > 0.5).mean() == pytest.approx(0.8 * 0.7, abs=0.04)


def test_labels_of_one_interval_move_together_in_proportion_to_its_length() -> None:
    settings = dataclasses.replace(CLEAN, frames=1000, patches=0, jitter=0.1)
    recogniser = Recogniser(LABELS, settings)
    recogniser.vectors = np.eye(64, dtype=np.float32).repeat(2, axis=0)[:100]  # c000 as c001
    for length_s in (10.0, 40.0):
        both = LabelledInterval(("c000", "c002"), 50.0, 50.0 + length_s)
        starts = []
        for i in range(400):
            video = recogniser.see([both], 100.0, np.random.default_rng(i))[:, 0]
            np.testing.assert_array_equal(video[:, 0], video[:, 1])
            starts.append(np.flatnonzero(video[:, 0] > 0.5)[0] / 10)
        assert np.std(starts) == pytest.approx(0.1 * length_s, rel=0.12)


def test_classes_are_linearly_recoverable_from_noisy_frames() -> None:
    rng = np.random.default_rng(0)
    known = dict(list(LABELS.items())[:20])
    settings = SimulateSettings(frames=8, dimension=256, missed=0, confused=0, jitter_s=0)
    recogniser = Recogniser(known, settings)
    videos, labels = [], []
    for _ in range(200):
        label = int(rng.integers(20))
        videos.append(recogniser.see([seen(f"c{label:03}", 0.0, 8.0)], 8.0, rng)[:, 0])
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
    assert simulate("charades", annotations, first, tmp_path / "a.zarr", SMALL) == (3, 0)
    simulate("charades", annotations, second, tmp_path / "b.zarr", SMALL)
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
    assert simulate("charades", annotations, pairs, tmp_path / "out.zarr", SMALL) == (1, 1)
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


def test_charades_features_are_those_of_earlier_versions(
    shared_data: Path, tmp_path: Path
) -> None:
    videos = {"AO8RW": 33.67, "Y6R7T": 28.83, "001YG": 30.46, "3MSZA": 30.96}
    pairs = write_pairs(tmp_path / "pairs.parquet", videos)
    folder = shared_data / "charades_sta"
    assert simulate("charades", folder, pairs, tmp_path / "o.zarr", SimulateSettings()) == (4, 0)
    arrays = ResampledStore(tmp_path / "o.zarr").read(list(videos))
    assert [hashlib.sha256(array.tobytes()).hexdigest()[:16] for array in arrays] == [
        "17574f2fbff3c8fa",
        "6bffc013b5b14c3f",
    ]
