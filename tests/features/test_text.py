"""The text store: vectors of the right words, tied to its pairs."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mktn.cli import main
from mktn.errors import UserError
from mktn.features import glove
from mktn.features.skipthought import SkipThought
from mktn.features.store_checksums import write_checksums
from mktn.features.text import TextStore
from mktn.features.word_vectors import RULE, seeded
from tests.features.published_skipthought import published_model

SENTENCES = [
    ("train", "a", "A person opens the door."),
    ("train", "a", "The person closes it."),
    ("train", "b", "Zebra!"),
    ("val", "c", "..."),
    ("test", "d", "the door opens again and again"),
]
SETTINGS = {
    "max_words": 4,
    "glove": {"dimension": 6, "epochs": 3},
    "skipthought": {"dimension": 5, "steps": 2, "batch": 2},
}


@pytest.fixture
def pairs(tmp_path: Path) -> pl.DataFrame:
    rows = []
    for split, video, sentence in SENTENCES:
        order = sum(row["video_id"] == video for row in rows)
        rows.append(
            {
                "split": split,
                "video_id": video,
                "pair_id": f"{split}/{video}#{order}",
                "sentence": sentence,
                "order": order,
            }
        )
    frame = pl.DataFrame(rows)
    frame.write_parquet(tmp_path / "pairs.parquet")
    return frame


def extract(
    folder: Path,
    word_vectors: str,
    out: str = "text.zarr",
    options: Sequence[str] = (),
    **settings: object,
) -> int:
    return main(
        [
            "extract-text",
            *("--pairs", str(folder / "pairs.parquet"), "--word-vectors", word_vectors),
            *("--models", str(folder / "models"), "--out", str(folder / out)),
            *("--settings", json.dumps(SETTINGS | settings)),
            *options,
        ]
    )


def test_word_vectors_of_a_file(tmp_path: Path, pairs: pl.DataFrame, capsys) -> None:
    words = ["a", "again", "and", "closes", "door", "it", "opens", "person", "the"]
    vectors = np.arange(27, dtype=np.float32).reshape(9, 3) + 1
    glove.save(tmp_path / "vectors.npz", words, vectors)
    assert extract(tmp_path, str(tmp_path / "vectors.npz")) == 0
    store = TextStore(tmp_path / "text.zarr", pairs["pair_id"])
    assert store.offsets.tolist() == [0, 4, 8, 9, 10, 14]  # at most four, at least one
    expected = vectors[[words.index(w) for w in ("a", "person", "opens", "the")]]
    np.testing.assert_array_equal(store.words(0), expected)
    unknown = store.words(2)[0]  # "zebra": its own direction, as long as the others are
    np.testing.assert_array_equal(
        unknown, seeded("zebra", 3, float(np.median(np.linalg.norm(vectors, axis=1))))
    )
    assert not store.words(3).any()  # no word at all
    assert store.sentences.shape == (5, 5)
    assert store.attributes["unknown_tokens"] == 1
    assert store.attributes["unknown_words"] == ["zebra"]
    assert store.attributes["out_of_vocabulary"] == RULE
    train = store.attributes["coverage"]["train"]
    assert train["types"]["count"] == 7
    assert train["tokens"] == {
        "count": 9, "exact": 88.89, "possessive": 0, "parts": 0, "seeded": 11.11
    }  # fmt: skip
    assert store.attributes["coverage"]["val"]["tokens"]["count"] == 0
    printed = capsys.readouterr().out
    assert "train: exact 85.71 / 88.89, possessive 0.00 / 0.00" in printed
    assert "1 unknown words of 1 kinds: zebra" in printed
    padded, mask = store.padded_words(np.array([4, 2]))
    assert mask.tolist() == [[True] * 4, [True, False, False, False]]
    np.testing.assert_array_equal(padded[0], store.words(4))
    np.testing.assert_array_equal(padded[1], [unknown, *np.zeros((3, 3))])


def test_trained_vectors_know_the_training_captions_only(
    tmp_path: Path, pairs: pl.DataFrame
) -> None:
    assert extract(tmp_path, "trained") == 0
    assert extract(tmp_path, "trained", out="again.zarr") == 0
    store = TextStore(tmp_path / "text.zarr", pairs["pair_id"])
    again = TextStore(tmp_path / "again.zarr", pairs["pair_id"])
    np.testing.assert_array_equal(store.all_words, again.all_words)
    np.testing.assert_array_equal(store.sentences, again.sentences)
    words, vectors = glove.read(tmp_path / "models" / "glove.npz", ["opens", "again", "zebra"])
    assert words == ["opens", "zebra"]
    np.testing.assert_array_equal(store.words(2)[0], vectors[1])
    assert "again" in store.attributes["unknown_words"]
    encoder = SkipThought.load(tmp_path / "models" / "skipthought")
    np.testing.assert_allclose(
        store.sentences[1], encoder.encode([["the", "person", "closes", "it"]])[0], atol=1e-5
    )


def test_the_published_encoders_from_files_to_store(
    tmp_path: Path, pairs: pl.DataFrame, capsys
) -> None:
    words = ["<eos>", "UNK", "the", "person", "closes", "it", "door"]
    folder = published_model(tmp_path, 620, 2400, 1200, words, as_published=True)
    options = ("--published", str(folder), "--cache", str(tmp_path / "kept"))
    vectors = "".join(f"{word} {i} 1\n" for i, word in enumerate(words))
    (tmp_path / "glove.txt").write_text(vectors, encoding="utf-8")
    word_vectors = str(tmp_path / "glove.txt")
    assert extract(tmp_path, word_vectors, options=options, sentence="published") == 0
    assert f"skip-thought: 7 words, 4800 wide, from {folder}" in capsys.readouterr().out
    store = TextStore(tmp_path / "text.zarr", pairs["pair_id"])
    assert store.sentences.shape == (5, 4800)
    assert store.attributes["sentence_vectors"] == "published skip-thought 4800"
    assert len(store.attributes["skipthought_sha256"]["utable.npy"]) == 64
    expected = SkipThought.load(folder).encode([["the", "person", "closes", "it"]])[0]
    np.testing.assert_allclose(store.sentences[1], expected, atol=1e-6)
    parts = store.sentences.reshape(5, 2, 2400)
    norms = np.linalg.norm(parts, axis=2)
    np.testing.assert_allclose(norms, [[1, 1]] * 3 + [[0, 0], [1, 1]], atol=1e-5)
    assert list((tmp_path / "models").iterdir()) == []  # nothing was trained
    assert len(list((tmp_path / "kept").glob("glove-*.npz"))) == 1
    (folder / "btable.npy").unlink()
    assert extract(tmp_path, word_vectors, options=options, sentence="published") == 2
    assert f"{folder / 'btable.npy'}: skip-thought model is missing" in capsys.readouterr().err


def test_a_store_of_other_pairs_or_another_format_is_refused(
    tmp_path: Path, pairs: pl.DataFrame
) -> None:
    assert extract(tmp_path, "trained") == 0
    with pytest.raises(UserError, match="text store of other pairs"):
        TextStore(tmp_path / "text.zarr", pairs["pair_id"].reverse())
    path = tmp_path / "text.zarr" / "zarr.json"
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'), encoding="utf-8")
    write_checksums(tmp_path / "text.zarr")
    with pytest.raises(UserError, match="written by another version, found format 2"):
        TextStore(tmp_path / "text.zarr", pairs["pair_id"])
    with pytest.raises(UserError, match="text store is missing"):
        TextStore(tmp_path / "absent.zarr", pairs["pair_id"])


def test_mistakes_leave_an_older_store_alone(tmp_path: Path, pairs: pl.DataFrame, capsys) -> None:
    assert extract(tmp_path, "trained") == 0
    before = (tmp_path / "text.zarr" / "zarr.json").read_bytes()
    assert extract(tmp_path, str(tmp_path / "absent.txt")) == 2
    assert "word vectors are missing" in capsys.readouterr().err
    assert extract(tmp_path, "trained", sentence="published") == 2
    assert "uni_skip.npz: skip-thought model is missing" in capsys.readouterr().err
    assert (tmp_path / "text.zarr" / "zarr.json").read_bytes() == before
