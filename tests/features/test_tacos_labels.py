"""A segment of TACoS shows what its annotators agree on, and no query's words for its own sake."""

from pathlib import Path

import numpy as np
import pytest

from mktn.datasets import read_pairs
from mktn.datasets.sentences import content_words
from mktn.features.simulated_recogniser import LabelledInterval
from mktn.features.tacos_labels import agreed, read_labels, segments


def write(folder: Path, lines: dict[str, list[str]]) -> Path:
    (folder / "tacos").mkdir()
    videos = {"train": "s1", "val": "s2", "test": "s3"}
    meta = "".join(f"{v},{s},10,100.0\n" for s, v in videos.items())
    header = "video_id,split,fps_2dtan,duration_s_2dtan\n"
    (folder / "tacos" / "video_meta.csv").write_text(header + meta)
    for split, video_id in videos.items():
        text = "".join(f"{video_id}.avi_{line}\n" for line in lines[split])
        (folder / "tacos" / f"tall_{split}.txt").write_text(text)
    return folder


def test_overlapping_sentences_are_one_segment() -> None:
    spans_s = np.array([[0, 10], [20, 30], [1, 10], [0, 9], [20, 31], [0, 30.0]])
    assert segments(spans_s, 0.5) == [[0, 2, 3], [1, 4], [5]]
    assert segments(spans_s, 1.0) == [[row] for row in range(6)]
    assert segments(np.zeros((0, 2)), 0.5) == []


def test_a_word_counts_when_two_who_write_differently_use_it() -> None:
    assert agreed(["He takes a knife.", "The man gets a knife", "He  cuts"]) == {"knife"}
    assert agreed(["He takes a knife.", "he takes a knife"]) == set()  # the same sentence twice
    assert agreed(["He takes a knife."]) == set()


def test_a_word_that_one_annotator_alone_uses_is_nowhere(tmp_path: Path) -> None:
    both = ["0_100:He takes a knife.#She gets a knife and a plate.#", "200_300:He takes a plate.#"]
    folder = write(tmp_path, {"train": both, "val": both[1:], "test": both[:1]})
    labels = read_labels(folder, "tall", occurrences=1, overlap=0.5)
    assert set(labels.directions) == {f"word/{w}" for w in ("gets", "knife", "plate", "takes")}
    assert labels.intervals["s1"] == (LabelledInterval(("word/knife",), 0.0, 10.0),)
    assert labels.intervals["s2"] == ()
    assert labels.intervals["s3"] == labels.intervals["s1"]
    assert labels.counts["sentences_that_emit_nothing"] == 2


@pytest.mark.parametrize(
    ("version", "counts"),
    [("2dtan", (563, 1919, 18_227, 1137)), ("tall", (585, 2334, 18_818, 1181))],
)
def test_published_sentences_are_seen_through_others(
    shared_data: Path, version: str, counts: tuple[int, ...]
) -> None:
    labels = read_labels(shared_data, version, occurrences=5, overlap=0.5)  # type: ignore[arg-type]
    assert tuple(labels.counts.values()) == counts
    pairs, _ = read_pairs("tacos", shared_data, version=version)
    assert set(labels.intervals) == set(pairs["video_id"])
    # A word that one sentence of a video has, and no other, is never in the video.
    for (video_id,), of_video in pairs.group_by("video_id"):
        held = [content_words(sentence) for sentence in of_video["sentence"]]
        shown = {word for interval in labels.intervals[video_id] for word in interval.labels}
        for word in {name.removeprefix("word/") for name in shown}:
            assert sum(word in words for words in held) >= 2
