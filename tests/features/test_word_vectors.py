"""Every word has a vector, by the stated rule, and the store says which step gave it."""

import gzip
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from mktn.datasets.sentences import tokens
from mktn.features import glove
from mktn.features.word_vectors import (
    candidates,
    coverage,
    coverage_by_split,
    look_up,
    looked_for,
    seeded,
)

KNOWN = {
    word: np.array([number, 1.0], dtype=np.float32)
    for number, word in enumerate(["man", "is", "n't", "they", "'re", "close", "up", "2", "lb"])
}


def test_each_step_of_the_rule_gives_what_it_says() -> None:
    words = [
        "man",
        "Man",
        "man's",
        "mans'",
        "isn't",
        "they're",
        "close-up",
        "2lb",
        "he's",
        "zebra",
    ]
    found = look_up([*words, "close-down"], KNOWN, median_norm=3.0)
    assert found.how == {
        "man": "exact",
        "Man": "exact",
        "man's": "possessive",
        "mans'": "seeded",
        "isn't": "parts",
        "they're": "parts",
        "close-up": "parts",
        "2lb": "parts",
        "he's": "seeded",
        "zebra": "seeded",
        "close-down": "seeded",  # half a word says less than it misleads
    }
    np.testing.assert_array_equal(found.vectors["man's"], KNOWN["man"])
    np.testing.assert_array_equal(found.vectors["close-up"], (KNOWN["close"] + KNOWN["up"]) / 2)
    np.testing.assert_array_equal(found.vectors["isn't"], (KNOWN["is"] + KNOWN["n't"]) / 2)
    for word in ("zebra", "he's", "close-down"):
        assert np.linalg.norm(found.vectors[word]) == pytest.approx(3.0)


def test_all_that_the_rule_needs_is_looked_for() -> None:
    words = ["man's", "isn't", "close-up", "2lb", "he/she"]
    assert {"man", "is", "n't", "close", "up", "2", "lb", "he", "she"} <= looked_for(words)
    for word in words:
        exact, possessive, parts = candidates(word)
        assert {exact, possessive, *parts} <= looked_for([word])


def test_a_seeded_vector_follows_from_its_word_alone() -> None:
    train = look_up(["zebra", "okapi", "man"], KNOWN, 2.0).vectors
    test = look_up(["zebra"], {"door": np.ones(2, np.float32)}, 2.0).vectors
    np.testing.assert_array_equal(train["zebra"], test["zebra"])
    assert not np.array_equal(train["zebra"], train["okapi"])
    drawn = np.stack([seeded(f"word{i}", 300, 6.7) for i in range(200)])
    unit = drawn / 6.7
    assert np.abs(unit @ unit.T - np.eye(200)).max() < 0.3  # as far apart as chance has them
    # The same on every machine: what an earlier run wrote must be found again.
    np.testing.assert_allclose(seeded("zebra", 3, 1), [0.209503, -0.945026, -0.251068], atol=1e-5)


def test_coverage_counts_types_and_tokens() -> None:
    sentences = [["man", "man's", "man"], ["zebra", "isn't"], []]
    how = look_up(["man", "man's", "zebra", "isn't"], KNOWN, 1.0).how
    assert coverage(sentences, how)["types"] == {
        "count": 4, "exact": 25.0, "possessive": 25.0, "parts": 25.0, "seeded": 25.0
    }  # fmt: skip
    assert coverage(sentences, how)["tokens"]["exact"] == 40.0
    by_split = coverage_by_split(sentences, ["train", "test", "test"], how)
    assert by_split["train"]["tokens"]["exact"] == 66.67
    assert by_split["test"]["tokens"]["count"] == 2
    assert list(by_split) == ["train", "test", "all"]


def published_sentences(folder: Path) -> dict[str, list[str]]:
    """All sentences of the three benchmarks, rejected rows included."""

    def lines(name: str) -> Iterable[str]:
        with gzip.open(folder / name, "rt", encoding="utf-8") as stream:
            yield from (line.rstrip("\n") for line in stream if line.strip())

    charades = [
        line.split("##", 1)[1]
        for split in ("train", "test")
        for line in lines(f"charades_sta/charades_sta_{split}.txt.gz")
    ]
    tacos = [
        sentence
        for split in ("train", "val", "test")
        for line in lines(f"tacos/tall_{split}.txt.gz")
        for sentence in line.split(":", 1)[1].split("#")
        if sentence
    ]
    activitynet = [
        sentence
        for split in ("train", "val_1", "val_2")
        for video in json.loads("".join(lines(f"activitynet_captions/{split}.json.gz"))).values()
        for sentence in video["sentences"]
    ]
    return {"charades": charades, "tacos": tacos, "activitynet": activitynet}


COVERED = {  # types % / tokens % of 840B, 6B, 42B, of the table in the annotations' README
    "charades": ((1276, 100277), ((97.9, 99.96), (96.2, 99.93), (88.9, 99.83))),
    "tacos": ((1998, 165529), ((96.3, 99.93), (44.3, 92.47), (79.0, 99.43))),
    "activitynet": ((13784, 948982), ((26.3, 88.96), (11.7, 79.52), (13.0, 79.97))),
}


def test_the_published_coverage_of_the_real_sentences(shared_data: Path) -> None:
    for dataset, sentences in published_sentences(shared_data).items():
        spoken = [tokens(sentence) for sentence in sentences]
        vocabulary = sorted({word for sentence in spoken for word in sentence})
        (types, count), shares = COVERED[dataset]
        for name, (of_types, of_tokens) in zip(("840B", "6B", "42B"), shares, strict=True):
            path = shared_data / "glove" / f"glove.{name}.300d.subset.npz"
            found = glove.scan(path, looked_for(vocabulary))
            known = dict(zip(found.words, found.vectors, strict=True))
            table = coverage(spoken, look_up(vocabulary, known, found.median_norm).how)
            assert table["types"]["count"] == types
            # 57 fewer tokens: "piñata" and "man’s" are one each, and were two in the table.
            assert table["tokens"]["count"] == count - (57 if dataset == "activitynet" else 0)
            assert table["types"]["exact"] == pytest.approx(of_types, abs=0.05001)
            assert table["tokens"]["exact"] == pytest.approx(of_tokens, abs=0.01)
            assert table["tokens"]["possessive"] > 0
