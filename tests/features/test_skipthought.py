"""Skip-thought: the published layout against a loop, and an encoder trained here."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mktn.errors import UserError
from mktn.features.skipthought import SkipThought
from mktn.features.skipthought_training import (
    IGNORED,
    SkipThoughtModel,
    SkipThoughtSettings,
    train,
)
from tests.features.published_skipthought import WORDS, published_model

WIDTH, UNI, BI = 5, 6, 3
SENTENCES = [["person", "opens", "door"], ["zebra"], [], ["door", "door", "person", "ü"]]


@pytest.fixture
def published(tmp_path: Path) -> Path:
    return published_model(tmp_path, WIDTH, UNI, BI)


def slow_gru(arrays: dict[str, np.ndarray], prefix: str, words: np.ndarray) -> np.ndarray:
    """The last state, gate by gate, as the authors write it."""
    w, b, u, wx, bx, ux = (arrays[f"{prefix}_{k}"] for k in ("W", "b", "U", "Wx", "bx", "Ux"))
    n = len(ux)
    h = np.zeros(n)
    for x in words:
        gates = 1 / (1 + np.exp(-(x @ w + b + h @ u)))
        reset, update = gates[:n], gates[n:]
        new = np.tanh((h @ ux) * reset + x @ wx + bx)
        h = update * h + (1 - update) * new
    return h


def test_published_encoders_against_a_loop_of_the_formula(published: Path) -> None:
    uni, bi = dict(np.load(published / "uni_skip.npz")), dict(np.load(published / "bi_skip.npz"))
    utable, btable = np.load(published / "utable.npy"), np.load(published / "btable.npy")
    found = SkipThought.load(published).encode(SENTENCES, batch=2)
    assert found.shape == (4, UNI + 2 * BI)
    assert found.dtype == np.float32
    for vector, sentence in zip(found, SENTENCES, strict=True):
        rows = [WORDS.index(word) if word in WORDS else 1 for word in sentence]
        if not rows:
            assert not vector.any()
            continue
        one = slow_gru(uni, "encoder", utable[rows])
        two = np.concatenate(
            [
                slow_gru(bi, "encoder", btable[rows]),
                slow_gru(bi, "encoder_r", btable[rows][::-1]),
            ]
        )
        expected = np.concatenate([one / np.linalg.norm(one), two / np.linalg.norm(two)])
        np.testing.assert_allclose(vector, expected, atol=1e-5)


def test_missing_and_broken_published_files_are_named(published: Path) -> None:
    np.save(published / "btable.npy", np.zeros((2, WIDTH), "f4"))
    with pytest.raises(UserError, match=r"btable\.npy: table of another shape"):
        SkipThought.load(published)
    (published / "bi_skip.npz").unlink()
    with pytest.raises(UserError, match=r"bi_skip\.npz: skip-thought model is missing"):
        SkipThought.load(published)


def test_the_full_width_encoders_against_the_loop(tmp_path: Path) -> None:
    published_model(tmp_path, 620, 2400, 1200, as_published=True)
    uni, bi = dict(np.load(tmp_path / "uni_skip.npz")), dict(np.load(tmp_path / "bi_skip.npz"))
    tables = [
        np.load(tmp_path / f"{name}.npy", allow_pickle=True, encoding="latin1")
        for name in ("utable", "btable")
    ]
    model = SkipThought.load(tmp_path)
    assert model.dimension == 4800
    sentences = [["person", "opens", "door"], ["zebra", "door"]]
    for vector, sentence in zip(model.encode(sentences), sentences, strict=True):
        rows = [WORDS.index(word) if word in WORDS else 1 for word in sentence]
        u, b = (np.stack([table[row].reshape(-1) for row in rows]) for table in tables)
        parts = [
            slow_gru(uni, "encoder", u),
            np.concatenate([slow_gru(bi, "encoder", b), slow_gru(bi, "encoder_r", b[::-1])]),
        ]
        expected = np.concatenate([part / np.linalg.norm(part) for part in parts])
        np.testing.assert_allclose(vector, expected, atol=1e-5)


def test_contractions_reach_the_published_encoders_in_halves(tmp_path: Path) -> None:
    words = ["<eos>", "UNK", "is", "n't", "man", "'s"]
    published_model(tmp_path, WIDTH, UNI, BI, words=words)
    model = SkipThought.load(tmp_path)
    halves = model.encode([["man", "'s"], ["is", "n't"]])
    np.testing.assert_allclose(model.encode([["man's"], ["isn't"]]), halves, atol=1e-6)
    assert not np.allclose(halves[0], model.encode([["UNK"]])[0], atol=1e-2)


def stories() -> list[list[list[str]]]:
    """Videos of three sentences that foretell each other by their colour."""
    return [
        [[a, c, "ball"], ["it", "is", c], ["the", c, b]]
        for c in ("red", "blue", "green")
        for a in ("one", "a", "some")
        for b in ("cube", "cone")
    ]


def test_training_lowers_the_loss_is_repeatable_and_is_read_back(tmp_path: Path) -> None:
    settings = SkipThoughtSettings(dimension=24, steps=120, batch=16, learning_rate=1e-2)
    vectors = {"red": np.ones(8, np.float32), "unseen": np.ones(8, np.float32)}
    losses: list[float] = []
    for name in ("a", "b"):
        train(
            stories(), vectors, 8, settings, 5, tmp_path / name,
            lambda _, loss: losses.append(loss),
        )  # fmt: skip
    assert losses[:120] == losses[120:]
    assert np.mean(losses[110:120]) < 0.4 * losses[0]
    model = SkipThought.load(tmp_path / "a")
    sentences = [["it", "is", "red"], ["it", "is", "blue"], ["never", "heard"], []]
    encoded = model.encode(sentences)
    assert encoded.shape == (4, 24)
    np.testing.assert_allclose(np.linalg.norm(encoded, axis=1), [1, 1, 1, 0], atol=1e-5)
    np.testing.assert_array_equal(SkipThought.load(tmp_path / "b").encode(sentences), encoded)
    alone = np.concatenate([model.encode([sentence]) for sentence in sentences])
    np.testing.assert_allclose(alone, encoded, atol=1e-5)
    near = model.encode([["one", "red", "ball"], ["a", "red", "ball"], ["a", "blue", "ball"]])
    assert near[0] @ near[1] > near[1] @ near[2]


def test_the_loss_is_that_of_the_words_of_both_neighbours() -> None:
    torch.manual_seed(0)
    model = SkipThoughtModel(7, 4, 5)
    ids, lengths = torch.tensor([[2, 3, 0], [4, 5, 6]]), torch.tensor([2, 3])
    before = torch.tensor([[3, 1], [IGNORED, IGNORED]])
    after = torch.tensor([[4, 5, 1], [2, 1, IGNORED]])
    total, count = 0.0, 0
    with torch.no_grad():
        sentence = model.encode(ids, lengths)
        for decoder, target in zip(model.decoders, (before, after), strict=True):
            for n in range(2):
                state, word = torch.zeros(1, 1, 5), torch.zeros(4)
                for wanted in target[n].tolist():
                    if wanted == IGNORED:
                        break
                    step = torch.cat([word, sentence[n]])[None, None]
                    out, state = decoder(step, state)
                    total -= float(model.output(out[0, 0]).log_softmax(0)[wanted])
                    count += 1
                    word = model.embedding.weight[wanted]
        assert float(model(ids, lengths, (before, after))) == pytest.approx(
            total / count, rel=1e-5
        )
        changed = model(torch.tensor([[2, 3, 6], [4, 5, 6]]), lengths, (before, after))
        assert float(changed) == pytest.approx(total / count, rel=1e-5)  # padding cannot leak


def test_single_sentences_teach_nothing_and_none_at_all_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no context to learn from"):
        train([[["a"]], [["b", "c"]]], {}, 4, SkipThoughtSettings(steps=1), 0, tmp_path / "m")
    settings = SkipThoughtSettings(dimension=4, steps=1, batch=2)
    train([[["a"]], [["b"], ["c"]]], {}, 4, settings, 0, tmp_path / "m")
    assert SkipThought.load(tmp_path / "m").encode([["a"]]).shape == (1, 4)
