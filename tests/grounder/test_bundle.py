"""A bundle answers as the run does, without the pipeline's folders; damage is one line."""

import dataclasses
import hashlib
import json
import pickletools
import shutil
from pathlib import Path

import numpy as np
import pytest

from mktn.checksums import write_sealed_json
from mktn.cli import main
from mktn.errors import UserError
from mktn.features.skipthought import SkipThought
from mktn.features.store_checksums import write_checksums
from mktn.grounder import bundle
from mktn.grounder.export import words_to_keep
from mktn.grounder.grounder import Grounder
from mktn.grounder.words import Words
from tests.features.published_skipthought import published_model

ASKED = ["the red ball spins", "a zebra flashes"]


@pytest.fixture
def copy(bundle_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundle_folder, tmp_path / "copy"))


def test_it_answers_as_the_run(
    grounder: Grounder, bundle_folder: Path, videos: list[Path]
) -> None:
    exported = Grounder.load(bundle_folder, device="cpu")
    assert exported.ground(videos[0], ASKED) == grounder.ground(videos[0], ASKED)
    assert exported.ground(videos[:3], ASKED) == grounder.ground(videos[:3], ASKED)
    here, there = exported.encode(videos[1]), grounder.encode(videos[1])
    np.testing.assert_array_equal(here.frames.features, there.frames.features)


def test_it_holds_no_pickle_and_each_file_has_a_checksum(
    bundle_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        p.relative_to(bundle_folder).as_posix() for p in bundle_folder.rglob("*") if p.is_file()
    }
    assert files == {
        *("bundle.json", "model.safetensors", "config.json", "words.npz", "checksums.json"),
        *("skipthought/config.json", "skipthought/model.safetensors"),
        *("backbone.safetensors", "backbone.json"),
    }
    with np.load(bundle_folder / "words.npz", allow_pickle=False) as arrays:
        assert {name: arrays[name].dtype.kind for name in arrays} == {"words": "U", "vectors": "f"}
    for name in files:
        with pytest.raises(ValueError):  # noqa: PT011
            list(pickletools.genops((bundle_folder / name).read_bytes()))
    assert main(["verify", str(bundle_folder)]) == 0
    assert f"{len(files) - 1} files are as they were written, 0 are" in capsys.readouterr().out


def test_a_bundle_is_not_exported_again(
    bundle_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(bundle_folder), "--out", str(tmp_path / "again")]) == 2
    assert capsys.readouterr().err.endswith(
        f"{bundle_folder}: a bundle already, and no run, expected a trained run;"
        f" use it as it is: mktn ground VIDEO --model {bundle_folder}\n"
    )
    assert not (tmp_path / "again").exists()


def test_what_was_trained_on_the_captions_is_named_where_it_is_missing(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(run_folder), "--text-models", str(tmp_path), "--out", str(tmp_path / "again")]
    assert main(["export", *given]) == 2
    said = capsys.readouterr().err
    assert "the word vectors trained on the captions are missing; name the folder of both" in said


def test_exported_twice_is_the_same_to_the_byte(
    run_folder: Path, bundle_folder: Path, tmp_path: Path
) -> None:
    assert main(["export", str(run_folder), "--out", str(tmp_path / "again")]) == 0
    for path in bundle_folder.rglob("*"):
        if path.is_file() and path.suffix != ".npz":  # a zip holds times
            assert (
                path.read_bytes()
                == (tmp_path / "again" / path.relative_to(bundle_folder)).read_bytes()
            )


@pytest.mark.parametrize(
    "name", ["model.safetensors", "words.npz", "backbone.safetensors", "skipthought/config.json"]
)
def test_a_changed_byte_is_one_line(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(UserError, match="damaged file"):
        Grounder.load(copy)


def test_another_format_a_missing_part_and_another_folder_are_one_line(
    copy: Path, tmp_path: Path, videos: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    described = json.loads((copy / "bundle.json").read_text())
    del described["checksum"]
    write_sealed_json({**described, "format": 99}, copy / "bundle.json")
    write_checksums(copy)
    command = ["ground", str(videos[0]), "-q", "a ball", "--model"]
    assert main([*command, str(copy)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "bundle of another format, found format 99, expected format 1" in error
    write_sealed_json(described, copy / "bundle.json")
    (copy / "words.npz").unlink()
    write_checksums(copy)
    with pytest.raises(UserError, match=r"words\.npz: the bundle lacks a file"):
        Grounder.load(copy)
    for folder, says in (
        (tmp_path / "nothing", "no such folder"),
        (tmp_path, "not a trained run"),
    ):
        assert main([*command, str(folder)]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert says in error


def test_text_models_of_another_run_are_refused(pipeline: Path, tmp_path: Path) -> None:
    """As where the pipeline trained them again with other settings."""
    root = tmp_path / "root"
    shutil.copytree(pipeline / "runs", root / "runs")
    shutil.copytree(pipeline / "data", root / "data", ignore=shutil.ignore_patterns("videos"))
    run = root / "runs/synthetic/charades/mktn/full/seed0"
    text = root / "data/synthetic/text/charades.zarr/zarr.json"
    shutil.rmtree(text.parent / "c", ignore_errors=True)
    changed = json.loads(text.read_text())
    changed["attributes"]["settings"]["max_words"] = 5
    text.write_text(json.dumps(changed))
    (text.parent / "checksums.json").unlink()
    with pytest.raises(UserError, match=r"not those of the run.*train the run again"):
        Grounder.load(run)
    shutil.rmtree(text.parent)
    words = root / "data/synthetic/text_models/charades/glove.npz"
    with np.load(words) as arrays:
        np.savez(words, words=arrays["words"], vectors=2 * arrays["vectors"])
    with pytest.raises(UserError, match="word vectors of another run, found median norm"):
        Grounder.load(run)


def test_another_backbone_than_the_run_s_is_refused(
    pipeline: Path, run_folder: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    from mktn.grounder.parts import Places

    for name in ("c3d.json", "c3d.safetensors"):
        shutil.copy(pipeline / "data/synthetic/backbones" / name, tmp_path)
    tensors = load_file(tmp_path / "c3d.safetensors")
    save_file({k: 2 * v for k, v in tensors.items()}, tmp_path / "c3d.safetensors")
    recipe = json.loads((tmp_path / "c3d.json").read_text())
    kept = {k: v for k, v in recipe.items() if k not in ("checksum", "weights_sha256")}
    (tmp_path / "c3d.json").write_text(json.dumps(kept))
    with pytest.raises(UserError, match=r"weights of another backbone.*name the run's own"):
        Grounder.load(run_folder, places=Places(weights=tmp_path / "c3d.safetensors"))


def test_without_the_run_s_sentences_one_video_is_answered_and_several_are_not(
    pipeline: Path, run_folder: Path, tmp_path: Path, videos: list[Path],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run = Path(shutil.copytree(run_folder, tmp_path / "run"))
    data = pipeline / "data" / "synthetic"
    places = ["--weights", str(data / "backbones/c3d.safetensors")]
    places += ["--text-models", str(data / "text_models/charades")]
    assert main(["export", str(run), *places, "--out", str(tmp_path / "out")]) == 0
    assert "text not compared with the run's" in capsys.readouterr().out
    asked = ["-q", "the ball", "--model"]
    assert main(["ground", str(videos[0]), *asked, str(tmp_path / "out")]) == 0
    capsys.readouterr()
    for given in ([str(tmp_path / "out")], [str(run), *places]):
        assert main(["ground", str(videos[0]), str(videos[1]), *asked, *given]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "no sentence of the run's training is known" in error
    pairs = str(data / "pairs/charades/pairs.parquet")
    given = [str(run), *places, "--pairs", pairs]
    assert main(["ground", str(videos[0]), str(videos[1]), *asked, *given]) == 0


def test_of_a_published_file_the_first_words_and_those_of_the_queries_are_kept(
    grounder: Grounder, tmp_path: Path
) -> None:
    file = tmp_path / "glove.txt"
    words = ["the", "a", "of", "is", "n't", "spins", "zebra", "up"]
    file.write_text("".join(f"{word} {k} 1 2\n" for k, word in enumerate(words)))
    config = grounder.parts.config
    text = {**config["text"], "word_vectors_sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    parts = dataclasses.replace(
        grounder.parts,
        words=Words(file, 1.0, text["word_vectors_sha256"]),
        config={**config, "text": text},
    )
    kept = words_to_keep(parts, ["it isn't close-up", "Spins!"], 2)
    assert list(kept) == ["the", "a", "is", "n't", "spins", "up"]
    np.testing.assert_array_equal(kept["spins"], [5, 1, 2])
    other = dataclasses.replace(parts, words=Words(file, 1.0, "0" * 64))
    with pytest.raises(UserError, match="other word vectors than the run's"):
        words_to_keep(other, ["spins"], 2)


def test_what_other_code_made_is_told(
    copy: Path, videos: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    config = json.loads((copy / "config.json").read_text())
    del config["checksum"]
    config["features"]["code_sha256"] = "0" * 16
    write_sealed_json(config, copy / "config.json")
    write_checksums(copy)
    assert main(["ground", str(videos[0]), "--model", str(copy), "-q", "the ball"]) == 0
    error = capsys.readouterr().err
    assert error.count("the run's features were made by other code (mktn ") == 1
    assert "text were made" not in error


def test_of_published_encoders_the_rows_of_kept_words_are_taken(tmp_path: Path) -> None:
    whole = tmp_path / "published"
    whole.mkdir()
    published_model(whole, 5, 6, 3, as_published=True)
    (tmp_path / "out").mkdir()
    bundle.write_sentences(whole, {"person", "door"}, tmp_path / "out" / "skipthought")
    kept = SkipThought.load(tmp_path / "out" / "skipthought")
    assert set(kept.rows) == {"person", "door", "UNK", "<eos>"}
    asked = [["person", "door"], ["door", "zebra"]]
    expected = SkipThought.load_published(whole).encode(asked)
    np.testing.assert_allclose(kept.encode(asked), expected, atol=1e-6)
    for path in (tmp_path / "out").rglob("*.npy"):
        assert np.load(path, allow_pickle=False).dtype == np.float32
