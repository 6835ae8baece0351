"""GloVe: the published files read in one pass, keeping what is asked for."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mktn.errors import UserError
from mktn.features import glove, glove_cache

TEXT = ", 1 2 3\ncat 0.5 -1 2e-1\n. . . 7 8 9\ndog 4 5 6\ncat 9 9 9\nat name@domain.com 1 1 1\n"


def test_text_files_are_read_with_words_that_hold_spaces(tmp_path: Path) -> None:
    path = tmp_path / "glove.txt"
    path.write_text(TEXT, encoding="utf-8")
    words, vectors = glove.read(path, ["dog", "cat", ". . .", "absent"])
    assert words == ["cat", ". . .", "dog"]
    np.testing.assert_allclose(vectors, [[0.5, -1, 0.2], [7, 8, 9], [4, 5, 6]], rtol=1e-6)
    assert vectors.dtype == np.float32


def test_the_zip_that_glove_comes_in_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "glove.zip", "w") as archive:
        archive.writestr("glove.txt", TEXT)
    assert glove.read(tmp_path / "glove.zip", {"dog"})[0] == ["dog"]


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "glove.txt"
    path.write_text("a 1 2 3\nb 1 2 3\ncat 1 x 3\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"glove\.txt, line 3: broken line, found word 'cat'"):
        glove.read(path, {"cat"})
    for name in ("broken.zip", "broken.npz", "latin.txt"):
        (tmp_path / name).write_bytes(b"caf\xe9 1 2 3\n")
        with pytest.raises(UserError, match=f"{name}: word vectors cannot be read"):
            glove.read(tmp_path / name, {"cat"})
    with pytest.raises(UserError, match="missing"):
        glove.read(tmp_path / "absent.txt", {"cat"})


def test_the_shared_subset_is_read(shared_data: Path) -> None:
    path = shared_data / "glove" / "glove.840B.300d.subset.npz"
    words, vectors = glove.read(path, ["person", "door", "qwertyuiop"])
    assert words == ["door", "person"]
    with np.load(path) as arrays:
        row = arrays["words"].tolist().index("person")
        np.testing.assert_array_equal(vectors[1], arrays["vectors"][row])


def test_saved_vectors_are_read_back(tmp_path: Path) -> None:
    vectors = np.arange(6, dtype=np.float32).reshape(2, 3)
    glove.save(tmp_path / "a.npz", ["it's", "door"], vectors)
    glove.save(tmp_path / "b.npz", ["it's", "door"], vectors)
    words, found = glove.read(tmp_path / "a.npz", {"door", "it's"})
    assert words == ["it's", "door"]
    np.testing.assert_array_equal(found, vectors)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def large_file(path: Path, words: int = 200) -> np.ndarray:
    """A text file of random vectors of `words` words, w0, w1, ..."""
    vectors = np.random.default_rng(0).standard_normal((words, 8)).astype(np.float32)
    lines = (f"w{i} {' '.join(map(repr, v.tolist()))}\n" for i, v in enumerate(vectors))
    path.write_text("".join(lines), encoding="utf-8")
    return vectors


@pytest.mark.parametrize("suffix", [".txt", ".zip"])
def test_a_file_that_was_read_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    vectors = large_file(tmp_path / "glove.txt")
    path = tmp_path / f"glove{suffix}"
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(tmp_path / "glove.txt", "glove.txt")
    passes = []
    scan = glove.scan
    monkeypatch.setattr(glove, "scan", lambda *given: passes.append(given) or scan(*given))
    said: list[str] = []

    def read(*words: str) -> glove.GloveWords:
        return glove_cache.scan(path, words, tmp_path / "kept", said.append)

    first = read("w7", "w150", "absent")
    again = read("w7", "w150", "absent")
    fewer = read("absent", "w150")
    assert len(passes) == 1
    assert first.words == again.words == ["w7", "w150"]
    np.testing.assert_array_equal(again.vectors, vectors[[7, 150]])
    np.testing.assert_array_equal(fewer.vectors, vectors[[150]])
    assert again.median_norm == fewer.median_norm == first.median_norm
    assert again.median_norm == pytest.approx(np.median(np.linalg.norm(vectors, axis=1)))
    assert again.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert read("w7", "w8").words == ["w7", "w8"]  # w8 was not looked for: another pass
    assert len(passes) == 2
    assert "read before" in said[1]
    assert read("w7", "w8").words == ["w7", "w8"]
    assert len(passes) == 2


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path, kept = tmp_path / "glove.txt", tmp_path / "kept"
    large_file(path)
    before = glove_cache.scan(path, ["w7"], kept, lambda line: None)
    text = path.read_text(encoding="utf-8").replace("w7 ", "x7 ")  # of the same size
    path.write_text(text, encoding="utf-8")
    after = glove_cache.scan(path, ["w7"], kept, lambda line: None)
    assert before.words == ["w7"]
    assert after.words == []


def test_a_broken_cache_entry_is_said_and_passed_over(tmp_path: Path) -> None:
    path, kept = tmp_path / "glove.txt", tmp_path / "kept"
    vectors = large_file(path)
    glove_cache.scan(path, ["w7"], kept, lambda line: None)
    (entry,) = kept.iterdir()
    entry.write_bytes(entry.read_bytes()[:100])
    said: list[str] = []
    found = glove_cache.scan(path, ["w7"], kept, said.append)
    np.testing.assert_array_equal(found.vectors, vectors[[7]])
    assert "not a whole cache entry" in said[0]
    assert len(list(kept.iterdir())) == 1


def test_a_file_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "glove.txt"
    large_file(path, glove.NORM_WORDS + 50)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b" ")])
    with pytest.raises(UserError, match="broken line, found word 'w1049'"):
        glove.read(path, {"w7"})
    path.write_bytes(whole + "é 1 2\n".encode("latin-1"))
    with pytest.raises(UserError, match="cannot be read"):
        glove.read(path, {"w7"})
    path.write_bytes(b"")
    with pytest.raises(UserError, match="an empty file"):
        glove.read(path, {"w7"})
