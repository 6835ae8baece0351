"""`mktn ground`: table, JSON, picture and clips; each mistake is one line and status 2."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

from mktn.cli import main
from mktn.features.video import duration_s
from tests.features.odd_files import cut, write_sound

ASKED = ["-q", "the red ball spins", "-q", "a zebra flashes for $5 or $6"]


def test_one_video_gives_a_table_json_and_clips(
    bundle_folder: Path, videos: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "answers.json"
    given = [str(videos[0]), "--model", str(bundle_folder), *ASKED, "--top", "2"]
    assert main(["ground", *given, "--json", str(out), "--clips", str(tmp_path / "clips")]) == 0
    said = capsys.readouterr()
    assert "words without a vector of their own, which are read as noise: " in said.err
    assert "zebra" in said.err
    assert said.err.count("\n") == 1
    found = json.loads(out.read_text())
    assert found["format"] == 1
    assert found["run"]["variant"] == "full"
    assert [a["sentence"] for a in found["answers"]] == [ASKED[1], ASKED[3]]
    for number, answer in enumerate(found["answers"], start=1):
        assert f"{number}. {answer['sentence']}\n" in said.out
        assert answer["matching"] is None
        for rank, moment in enumerate(answer["moments"], start=1):
            assert f"{moment['start_s']:8.2f} - {moment['end_s']:8.2f} s" in said.out
            clip = tmp_path / "clips" / f"{videos[0].stem}-{number}-{rank}.mp4"
            length_s = moment["end_s"] - moment["start_s"]
            assert duration_s(clip) == pytest.approx(length_s, abs=1e-3)


def test_json_alone_goes_to_stdout(
    bundle_folder: Path, videos: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    given = [*map(str, videos[:3]), "--model", str(bundle_folder), *ASKED, "--json", "-"]
    assert main(["ground", *given]) == 0
    found = json.loads(capsys.readouterr().out)
    names = [str(path) for path in videos[:3]]
    assert [one["video"] for one in found["videos"]] == names
    assert all(list(answer["matching"]) == names for answer in found["answers"])


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="without matplotlib")
def test_the_picture_shows_frames_and_moments(
    bundle_folder: Path, videos: list[Path], tmp_path: Path
) -> None:
    from matplotlib.image import imread

    given = [*map(str, videos[:2]), "--model", str(bundle_folder), *ASKED]
    for suffix in ("png", "svg"):
        assert main(["ground", *given, "--plot", str(tmp_path / f"p.{suffix}")]) == 0
    picture = imread(tmp_path / "p.png")
    assert picture.shape[1] == 11 * 150
    grey = picture[..., :3].mean(2)
    assert (grey < 0.95).mean() > 0.02  # frames and bars
    assert "<svg" in (tmp_path / "p.svg").read_text()


def test_features_of_a_store_are_answered_as_the_video(
    run_folder: Path, pipeline: Path, videos: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--model", str(run_folder), *ASKED[:2]]
    assert main(["ground", str(videos[0]), *asked]) == 0
    seen = capsys.readouterr().out
    for name in ("c3d", "c3d/part-0.zarr", "c3d-T12.zarr"):
        store = pipeline / "data/synthetic/features/charades" / name
        assert main(["ground", videos[0].stem, *asked, "--features", str(store)]) == 0
        assert capsys.readouterr().out == seen


def test_a_run_of_features_without_a_backbone_says_what_is_needed(
    run_folder: Path, pipeline: Path, videos: list[Path], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    run = tmp_path / "run"
    shutil.copytree(run_folder, run)
    config = json.loads((run / "config.json").read_text())
    del config["checksum"]
    config["features"]["origin"] = "imported"
    (run / "config.json").write_text(json.dumps(config))
    data = pipeline / "data" / "synthetic"
    given = ["--model", str(run), "--data", str(data), *ASKED[:2]]
    assert main(["ground", str(videos[0]), *given]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "the run's video features were imported" in error
    assert "give features of this video, made as the run's: --features" in error
    assert main(["export", str(run), "--data", str(data), "--out", str(tmp_path / "out")]) == 0
    assert "no backbone of it can see a video" in capsys.readouterr().out
    store = data / "features/charades/c3d"
    as_imported = tmp_path / "part-0.zarr"
    shutil.copytree(store / "part-0.zarr", as_imported)
    group = json.loads((as_imported / "zarr.json").read_text())
    group["attributes"]["origin"] = "imported"
    (as_imported / "zarr.json").write_text(json.dumps(group))
    (as_imported / "checksums.json").unlink()
    asked = [videos[0].stem, "--model", str(tmp_path / "out"), *ASKED[:2]]
    assert main(["ground", *asked, "--features", str(as_imported)]) == 0
    assert "1. the red ball spins" in capsys.readouterr().out
    moved = ["--model", str(tmp_path / "out"), *ASKED[:2], "--features", str(store)]
    assert main(["ground", videos[0].stem, *moved]) == 2
    assert "origin: features of another kind than the run's" in capsys.readouterr().err


def odd(tmp_path: Path, videos: list[Path], name: str) -> Path:
    path = tmp_path / f"{name}.mp4"
    if name == "cut":
        shutil.copy(videos[0], path)
        cut(path, 0.4)
    elif name == "sound":
        write_sound(path)
    elif name == "empty":
        path.write_bytes(b"")
    elif name.startswith("folder"):
        path = tmp_path / name
        path.mkdir()
        (path / f"one{Path(name).suffix}").touch()
    elif name == "text":
        path.write_text("no video")
    return path


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("missing", "missing.mp4: no such video"),
        ("folder.mp4", "a folder, and no video, expected video files; name its videos: "),
        ("folder.mp4", "folder.mp4/*.mp4"),
        ("folder.webm", "folder.webm/*.webm"),
        ("sound", "video cannot be used, found no video stream"),
        ("cut", "video cannot be used, found "),
        ("empty", "video cannot be used, found empty file"),
        ("text", "video cannot be used, found does not decode"),
    ],
)
def test_what_is_no_video_is_one_line(
    bundle_folder: Path, videos: list[Path], tmp_path: Path, name: str, says: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = odd(tmp_path, videos, name)
    assert main(["ground", str(path), "--model", str(bundle_folder), *ASKED]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert says in error


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "no sentence is given"),
        (["-q", ""], "sentence 1 has no word, found ''"),
        (["-q", "a ball", "-q", "..."], "sentence 2 has no word"),
        (["-q", "a ball", "--top", "0"], "--top: value refused"),
        (["-q", "a ball", "--nms", "0"], "n, nms: value refused"),
        (["-q", "a ball", "--plot", "p.bmp3"], "no picture has this suffix"),
        (["-q", "a ball", "--batch", "0"], "--batch: value refused"),
    ],
)
def test_what_is_no_question_is_one_line(
    bundle_folder: Path, videos: list[Path], options: list[str], says: str,
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:  # fmt: skip
    if "--plot" in options:
        pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    assert main(["ground", str(videos[0]), "--model", str(bundle_folder), *options]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert [line for line in error.splitlines() if "without a vector" not in line] == [
        error.splitlines()[-1]
    ]
    assert not list(tmp_path.iterdir())


def test_a_video_given_twice_is_one_line(
    bundle_folder: Path, videos: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(videos[0]), str(videos[0]), "--model", str(bundle_folder), *ASKED]
    assert main(["ground", *given]) == 2
    assert "video given twice" in capsys.readouterr().err
