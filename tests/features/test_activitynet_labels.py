"""What a simulated recogniser of ActivityNet sees, and that it is nobody's own test queries."""

import gzip
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from mktn.datasets import read_pairs
from mktn.datasets.sentences import content_words
from mktn.engine.metrics import temporal_iou
from mktn.errors import UserError
from mktn.features.activitynet_labels import read_labels, read_segments
from mktn.features.concept_words import concept_words
from mktn.features.simulate import simulate
from mktn.features.simulated_recogniser import LabelledInterval, SimulateSettings
from mktn.features.store import ResampledStore

HEADER = "video-name,t-start,t-end,action-label,temporal-region-label\n"
ROOT = Path(__file__).parents[2]


def entry(*pairs: tuple[float, float, str]) -> dict:
    spans, sentences = [[a, b] for a, b, _ in pairs], [s for _, _, s in pairs]
    return {"duration": 20.0, "timestamps": spans, "sentences": sentences}


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    folder = tmp_path / "activitynet_captions"
    (folder / "labels").mkdir(parents=True)
    train = {
        "v_one": entry((0, 5, "A dog runs."), (5, 20, "The dog swims.")),
        "v_two": entry((0, 20, "A dog runs and swims.")),
    }
    val_1 = {
        "v_both": entry((2, 8, "The dog runs.")),
        "v_first": entry((0, 9, "Nothing but a dog.")),
    }
    val_2 = {"v_both": entry((1, 9, "It swims."), (9, 20, "A cat runs."), (0, 2, "A dog."))}
    for name, videos in (("train", train), ("val_1", val_1), ("val_2", val_2)):
        (folder / f"{name}.json").write_text(json.dumps(videos))
    (folder / "labels" / "train_tsp_groundtruth.csv").write_text(
        HEADER + "one,0,6,Dog walking,Action\none,6,20,,No action\none,3,3,Dog walking,Action\n"
    )
    with gzip.open(folder / "labels" / "valid_tsp_groundtruth.csv.gz", "wt") as stream:
        stream.write(HEADER + "both,4,8,Surfing,Action\n")
    return tmp_path


def test_a_video_annotated_twice_shows_the_first_annotation_alone(annotations: Path) -> None:
    labels = read_labels(annotations, occurrences=2)
    assert labels.intervals["v_both"] == (
        LabelledInterval(("class/Surfing",), 4.0, 8.0),
        LabelledInterval(("word/dog", "word/runs"), 2.0, 8.0),
    )
    assert labels.counts["videos_annotated_twice"] == 1


def test_a_sole_annotation_is_marked_and_knows_frequent_training_words(annotations: Path) -> None:
    labels = read_labels(annotations, occurrences=2)
    assert labels.intervals["v_one"] == (
        LabelledInterval(("class/Dog walking",), 0.0, 6.0),  # no region without action, none empty
        LabelledInterval(("word/dog", "word/runs"), 0.0, 5.0, sole=True),
        LabelledInterval(("word/dog", "word/swims"), 5.0, 20.0, sole=True),
    )
    assert labels.intervals["v_first"] == (LabelledInterval(("word/dog",), 0.0, 9.0, sole=True),)
    words = {"word/dog", "word/runs", "word/swims"}  # "cat" and "nothing" are in no training
    assert set(labels.directions) == {"class/Dog walking", "class/Surfing", *words}


def test_test_queries_do_not_change_the_features(annotations: Path, tmp_path: Path) -> None:
    columns = {
        "dataset": "activitynet",
        "split": "test",
        "pair_id": "x",
        "sentence": "y",
        "duration_s": 20.0,
    }
    pairs = pl.DataFrame([{**columns, "video_id": "v_both"}, {**columns, "video_id": "v_none"}])
    pairs.write_parquet(tmp_path / "pairs.parquet")
    settings = SimulateSettings(frames=8, dimension=32, patches=0, occurrences=2)
    stores = []
    for name in ("a.zarr", "b.zarr"):
        out = tmp_path / name
        given = ("activitynet", annotations, tmp_path / "pairs.parquet", out, settings)
        assert simulate(*given) == (1, 1)
        stores.append(ResampledStore(out))
        val_2 = {"v_both": entry((3, 4, "A dog runs and swims."))}
        (annotations / "activitynet_captions" / "val_2.json").write_text(json.dumps(val_2))
    a, b = (store.read(["v_both"])[0] for store in stores)
    np.testing.assert_array_equal(a, b)
    assert stores[0].patches == 0
    assert "class segments" in stores[0].attributes["statement"]
    assert stores[0].attributes["labels"]["concept_words"] == 3
    assert "no class segment" in stores[0].errors["v_none"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("one,6,2,Dog,Action", r"line 2, video one: broken segment, found 'Dog' from 6.0 to 2.0"),
        ("one,0,2,,Action", "line 2, video one: broken segment"),
        ("one,x,2,Dog,Action", "line 2, video one: t-start is no finite number"),
    ],
)
def test_a_broken_segment_names_file_and_line(annotations: Path, row: str, said: str) -> None:
    folder = annotations / "activitynet_captions"
    (folder / "labels" / "train_tsp_groundtruth.csv").write_text(HEADER + row + "\n")
    with pytest.raises(UserError, match=said):
        read_segments(folder)


def test_without_a_frequent_word_it_says_so(annotations: Path) -> None:
    with pytest.raises(UserError, match=r"no word is frequent enough.*in 9 of them"):
        read_labels(annotations, occurrences=9)


def test_every_published_label_reads(shared_data: Path) -> None:
    labels = read_labels(shared_data, occurrences=25)
    assert labels.counts == {
        "classes": 200,
        "concept_words": 1436,
        "class_segments": 23_052,
        "sentences": 54_809,
        "videos_annotated_twice": 4885,
    }
    assert len(labels.intervals) >= 14_926  # every captioned video


def test_a_sole_annotation_is_seen_as_one_annotator_sees_another(shared_data: Path) -> None:
    """The rates and the jitter of the configuration are those between val_1 and val_2."""
    pairs, _ = read_pairs("activitynet", shared_data)
    words = concept_words(pairs.filter(split="train")["sentence"], 25)
    by_video: dict[str, dict[str, list]] = {"val": {}, "test": {}}
    columns = pairs.select("split", "video_id", "sentence", "start_s", "end_s")
    for split, video_id, sentence, *span_s in columns.iter_rows():
        if split != "train":
            held = content_words(sentence) & words
            by_video[split].setdefault(video_id, []).append((held, span_s))
    overlaps, shared = [], []
    for video_id, queries in by_video["test"].items():
        others = by_video["val"][video_id]
        spans = np.array([span for _, span in others])
        for held, span in queries:
            ious = temporal_iou(np.array(span), spans)
            overlaps.append(ious.max())
            if held:
                shared.append(len(held & others[int(ious.argmax())][0]) / len(held))
    text = (ROOT / "workflow" / "configs" / "simulated.yaml").read_text()
    sole = yaml.safe_load(text)["per_dataset"]["activitynet"]["simulated"]["sole"]
    right = (1 - sole["missed"]) * (1 - sole["confused"])
    assert right == pytest.approx(np.mean(shared), abs=0.02)
    spans = pairs.filter(split="train").select("start_s", "end_s", "duration_s").to_numpy()
    length = spans[:, 1:2] - spans[:, :1]
    noise = np.random.default_rng(0).standard_normal((len(spans), 2))
    moved = np.sort(spans[:, :2] + sole["jitter"] * length * noise, axis=1)
    moved = np.clip(moved, 0, spans[:, 2:])
    jittered = temporal_iou(moved, spans[:, :2])
    assert np.mean(overlaps) == pytest.approx(0.497, abs=0.001)
    assert jittered.mean() == pytest.approx(np.mean(overlaps), abs=0.02)


@pytest.mark.parametrize("split", ["test_iid", "novel_word"])
def test_queries_that_made_the_features_are_not_asked_in_another_partition(
    annotations: Path, tmp_path: Path, split: str
) -> None:
    pairs, _ = read_pairs("activitynet", annotations)
    renamed = pairs.with_columns(split=pl.lit(split))
    renamed.write_parquet(tmp_path / "pairs.parquet")
    with pytest.raises(UserError, match=f"also asked, found the split {split}"):
        simulate(
            "activitynet",
            annotations,
            tmp_path / "pairs.parquet",
            tmp_path / "t.zarr",
            SimulateSettings(frames=4, dimension=8, patches=0),
        )
    assert not (tmp_path / "t.zarr").exists()
