"""Skip-thought: the published layout against a loop, and an encoder trained here."""

import os
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from mktn.errors import UserError
from mktn.features.pickled_rows import PickledRows
from mktn.features.skipthought import SkipThought
from mktn.features.skipthought_training import (
    IGNORED,
    SkipThoughtModel,
    SkipThoughtSettings,
    train,
)

WIDTH, UNI, BI = 5, 6, 3
WORDS = ["<eos>", "UNK", "person", "opens", "door", "ü"]
SENTENCES = [["person", "opens", "door"], ["zebra"], [], ["door", "door", "person", "ü"]]


def gru_arrays(rng: np.random.Generator, prefix: str, width: int, n: int) -> dict[str, np.ndarray]:
    shapes = {"W": (width, 2 * n), "b": (2 * n,), "U": (n, 2 * n),
              "Wx": (width, n), "bx": (n,), "Ux": (n, n)}  # fmt: skip
    scale = 1.0 if n < 100 else 0.05  # states neither vanish nor saturate
    return {
        f"{prefix}_{key}": (scale * rng.standard_normal(shape, dtype="f4"))
        for key, shape in shapes.items()
    }


def pickled(path: Path, table: np.ndarray, shapes: Sequence[str] = ("flat", "row")) -> None:
    """Write a table as NumPy under Python 2 did when it was given a list of separate arrays.

    The opcodes are those of cPickle, protocol 2: a list filled a thousand rows at a time, each
    row an empty array and then its state, with the shape (E,) or (1, E) and a byte string.
    """
    length = struct.pack("<i", len(table))
    out = [
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b",
        b"\x87Rq\x03(K\x01J", length, b"\x85cnumpy\ndtype\nq\x04U\x02O8K\x00K\x01\x87Rq\x05",
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb\x89]q\x06",
    ]  # fmt: skip
    kind = (
        b"h\x04U\x02f4K\x00K\x01\x87Rq\x07(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    width = table.shape[1]
    number = b"K" + bytes([width]) if width < 256 else b"M" + struct.pack("<H", width)
    data_length = struct.pack("<i", 4 * width)
    for row, values in enumerate(table):
        shape = (
            number + b"\x85"
            if shapes[row % len(shapes)] == "flat"
            else b"K\x01" + number + b"\x86"
        )
        out += [
            b"(" if row % 1000 == 0 else b"",
            b"h\x01h\x02K\x00\x85U\x01b\x87Rr", struct.pack("<i", 1000 + row), b"(K\x01", shape,
            kind if row == 0 else b"h\x07", b"\x89T", data_length, values.astype("<f4").tobytes(), b"tb",
            b"e" if row % 1000 == 999 or row == len(table) - 1 else b"",
        ]  # fmt: skip
    with path.open("wb") as stream:
        header = {"descr": "|O", "fortran_order": False, "shape": (len(table),)}
        np.lib.format.write_array_header_1_0(stream, header)
        stream.write(b"".join(out) + b"tb.")


def published_model(
    folder: Path,
    width: int,
    uni: int,
    bi: int,
    words: Sequence[str] = WORDS,
    as_published: bool = False,
) -> Path:
    """Random encoders in the published layout, their tables pickled if `as_published`."""
    rng = np.random.default_rng(0)
    np.savez(folder / "uni_skip.npz", **gru_arrays(rng, "encoder", width, uni), Wemb=np.zeros(3))
    both = gru_arrays(rng, "encoder", width, bi) | gru_arrays(rng, "encoder_r", width, bi)
    np.savez(folder / "bi_skip.npz", **both)
    for name in ("utable", "btable"):
        table = rng.standard_normal((len(words), width)).astype("f4")
        (pickled if as_published else np.save)(folder / f"{name}.npy", table)
    (folder / "dictionary.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    return folder


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


def test_the_pickled_tables_of_the_authors_are_read_without_unpickling(tmp_path: Path) -> None:
    table = np.random.default_rng(1).standard_normal((2345, 620)).astype("f4")
    path = tmp_path / "utable.npy"
    pickled(path, table)
    # What the test writes is what NumPy reads such files as; only here is anything unpickled.
    unpickled = np.load(path, allow_pickle=True, encoding="latin1")
    assert {row.shape for row in unpickled} == {(620,), (1, 620)}
    np.testing.assert_array_equal(np.stack([row.reshape(620) for row in unpickled]), table)
    rows = PickledRows(path, 620)
    assert rows.shape == table.shape
    np.testing.assert_array_equal(
        rows[[0, 2344, 999, 1000, 7, 7]], table[[0, 2344, 999, 1000, 7, 7]]
    )
    assert rows[[3]].dtype == np.float32
    assert rows[[]].shape == (0, 620)


def test_pickled_tables_that_are_something_else_are_refused(tmp_path: Path) -> None:
    table = np.ones((40, 300), "f4")
    path = tmp_path / "utable.npy"
    pickled(path, table)
    whole = path.read_bytes()
    with pytest.raises(UserError, match=r"utable\.npy.*row 0 of 40 .*620 numbers of 4 bytes"):
        PickledRows(path, 620)
    for length, message in (
        (-1, "row 40 is cut short"),
        (-500, "row 40"),
        (-5000, "row 3. of 40"),
    ):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match=message):
            PickledRows(path, 300)
    path.write_bytes(whole.replace(b"U\x01<", b"U\x01>"))
    with pytest.raises(UserError, match="expected little-endian float32"):
        PickledRows(path, 300)
    # A pickle that would run a command is looked at and never run.
    np.save(path, np.array([Evil(tmp_path / "ran")], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match="row 0 of 1"):
        PickledRows(path, 300)
    assert not (tmp_path / "ran").exists()


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


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
