"""`mktn features info` says what a store is and where it came from; what is unknown it says so."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mktn
from mktn.cli import main
from mktn.features.info import grouped_errors
from mktn.features.resample import ResampleSettings, resample
from mktn.features.store import FeatureStore
from tests.features.described import EXTRACTED, IMPORTED, write_part, write_simulated
from tests.features.imported import features, imported


class Info:
    """Runs the command."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def lines(self, path: Path) -> dict[str, str]:
        """What the command prints, by label; what follows a label without one is joined to it."""
        assert main(["features", "info", str(path)]) == 0
        first, *lines = self.capsys.readouterr().out.splitlines()
        assert first == str(path)
        at = lines[0].index(lines[0].removeprefix("what").lstrip())
        found: dict[str, str] = {}
        for line in lines:
            label = line[:at].strip()
            if label:
                last = label
                found[label] = line[at:]
            else:
                found[last] += f"; {line[at:]}"
        return found

    def json(self, path: Path) -> dict[str, Any]:
        """What it prints with --json."""
        assert main(["features", "info", str(path), "--json"]) == 0
        found: dict[str, Any] = json.loads(self.capsys.readouterr().out)
        return found

    def error(self, path: Path) -> str:
        """The one line of an error."""
        assert main(["features", "info", str(path)]) == 2
        error = self.capsys.readouterr().err
        assert error.count("\n") == 1
        return error


@pytest.fixture
def info(capsys: pytest.CaptureFixture[str]) -> Info:
    return Info(capsys)


def test_extracted_parts_say_all_that_is_known_of_them(tmp_path: Path, info: Info) -> None:
    for part in range(2):
        write_part(tmp_path, part, EXTRACTED)
    lines = info.lines(tmp_path)
    assert lines == {
        "what": "folder of 2 parts",
        "source": "unknown",
        "origin": "extracted",
        "backbone": "c3d",
        "width": "8",
        "weights": "c3d.safetensors, sha256 1a2b3c4d1a2b",
        "code": "version 0.1.0, sha256 abcdef012345",
        "clip": "16 frames",
        "stride": "8 frames",
        "frame rate": "8 fps, policy the frame on the screen at each time",
        "patches": "2x2 patches of dimension 3",
        "preprocessing": "crop 112, resize (128, 171), channels bgr",
        "dtype": "float32, stored as float16",
        "dimension": "6",
        "not verified": "nothing is marked as unverified",
        "videos": "4 ok, 2 failed; 2 x no video stream",
        "rows": "36",
        "duration": "0 h 00 min 40.0 s (40.0 s)",
        "rows a second": "0.900 found; 1.000 by its frame rate and stride",
        "size on disk": lines["size on disk"],
        "compressor": "none",
        "checksums": "of each file crc32c, of the numbers none, of the shards' index crc32c",
    }
    of = info.json(tmp_path)
    assert (of["parts"], of["videos"], of["videos_failed"], of["rows"]) == (2, 4, 2, 36)
    assert of["weights_sha256"] == EXTRACTED["weights_sha256"]
    assert of["preprocessing"] == EXTRACTED["preprocessing"]
    assert of["patch_grid"] == [2, 2]
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert of["bytes"] == sum(file.stat().st_size for file in files)
    assert info.lines(tmp_path / "part-1.zarr")["what"] == "one part"
    assert info.json(tmp_path / "part-1.zarr")["rows"] == 18


def test_imported_parts_name_their_files_and_what_is_not_verified(
    tmp_path: Path, info: Info
) -> None:
    write_part(tmp_path, 0, IMPORTED, patches=0)
    write_part(tmp_path, 1, {**IMPORTED, "file": "more.hdf5"}, patches=0)
    lines = info.lines(tmp_path)
    assert lines["file"] == "i3d.hdf5, more.hdf5"
    assert lines["file sha256"] == "99887766" * 8
    assert (lines["key"], lines["preset"]) == ("{video_id}/i3d", "unknown")
    assert lines["not verified"] == "clip; stride"
    assert lines["weights"] == "unknown, sha256 unknown"
    assert lines["code"] == "version unknown, sha256 unknown"
    assert lines["frame rate"] == "per video fps, policy column fps of rates.csv"
    assert lines["rows a second"] == "0.900 found"
    assert lines["patches"] == "no patches"
    assert lines["read in"] == "one pass"  # recorded, and not one of the known fields


def test_doubts_of_several_words_stay_apart_and_one_part_is_singular(
    tmp_path: Path, info: Info
) -> None:
    doubts = ["crop, then resize", "clip"]
    write_part(tmp_path, 0, {**IMPORTED, "unverified": doubts})
    lines = info.lines(tmp_path)
    assert lines["what"] == "folder of 1 part"
    assert lines["not verified"] == "crop, then resize; clip"
    write_part(tmp_path, 1, {**IMPORTED, "unverified": ["clip", "fps"]})
    assert info.lines(tmp_path)["not verified"] == "crop, then resize; clip; fps"


def test_errors_that_differ_in_a_name_or_numbers_are_counted_together() -> None:
    missing = {f"not in the folder: v_{i}": 1 for i in range(14925)}
    off = {f"rate off by more than 5%: stated 1.0{i} rows/s": 1 for i in range(3)}
    nan = {f"{i} values are NaN or infinite from row {i} on": 1 for i in range(2)}
    errors = {"no video stream": 7, "dtype int32: pickled": 1, **off, **missing, **nan}
    assert grouped_errors(errors) == [
        ("not in the folder", 14925),
        ("no video stream", 7),
        ("rate off by more than 5%, as stated 1.00 rows/s", 3),
        ("like: 0 values are NaN or infinite from row 0 on", 2),
        ("dtype int32: pickled", 1),
    ]


def test_a_T_store_does_not_mix_its_rows_with_clips(tmp_path: Path, info: Info) -> None:
    write_part(tmp_path / "parts", 0, EXTRACTED)
    store, out = FeatureStore(tmp_path / "parts"), tmp_path / "c3d-T64.zarr"
    resample(store, {"v00": 10.0, "v01": 10.0}, 64, out, ResampleSettings())
    lines = info.lines(out)
    assert lines["rows from"] == "clips of 16 every 8, averaged into 64 equal bins"
    assert lines["rows"] == "128, 64 of each video"
    assert not {"clip", "stride"} & set(lines)


def test_a_simulated_store_says_its_code_as_recorded(tmp_path: Path, info: Info) -> None:
    code = {"code_version": "0.1.0", "code_sha256": "abcdef0123456789"}
    lines = info.lines(write_simulated(tmp_path / "simulated-T4.zarr", **code))
    assert lines["code"] == "version 0.1.0, sha256 abcdef012345"


def test_an_imported_store_is_described_as_an_extracted_one_is(tmp_path, info: Info) -> None:
    np.savez(tmp_path / "v_a.npz", features(10))
    clips = {"clip": 16, "stride": 8, "fps": 8.0, "weights": "Kinetics", "key": "arr_0"}
    store = imported(tmp_path / "v_a.npz", {"v_a": 11.0, "v_b": 9.0}, tmp_path / "s", clips)
    info.capsys.readouterr()
    lines = info.lines(tmp_path / "s")
    assert lines["weights"] == "Kinetics, sha256 unknown"
    code = store.attributes["code_sha256"]
    assert lines["code"] == f"version {mktn.__version__}, sha256 {code[:12]}"
    assert lines["frame rate"] == "8 fps, policy 8 frames a second, stated"
    assert lines["file sha256"] == sha256((tmp_path / "v_a.npz").read_bytes()).hexdigest()
    assert lines["videos"] == "1 ok, 1 failed; 1 x not in the file: v_b"
    assert lines["origin"] == "imported"
    assert "weights name" not in lines
    assert "frame rate policy" not in lines


@pytest.mark.parametrize("compressor", ["none", "blosc-zstd"])
def test_a_simulated_store_repeats_its_statement(
    tmp_path: Path, info: Info, compressor: Any
) -> None:
    path = write_simulated(tmp_path / "simulated-T4.zarr", compressor)
    lines = info.lines(path)
    assert lines["what"] == "T store of 4 frames a video"
    assert (lines["origin"], lines["source"]) == ("simulated", "simulated")
    assert lines["statement"] == "simulated from human action labels; a labelled surrogate"
    assert lines["settings"] == "seed 0, noise 3"
    assert lines["how seen"].endswith("stride, frame rate, preprocessing: simulated")
    assert "unknown" not in lines["how seen"]
    assert lines["rows"] == "12, 4 of each video"
    assert lines["rows a second"] == "0.200, of equal bins"
    assert lines["compressor"] == {"none": "none", "blosc-zstd": "blosc-zstd"}[compressor]


def test_a_store_that_records_nothing_is_unknown_throughout(tmp_path: Path, info: Info) -> None:
    write_part(tmp_path, 0, {})
    lines = info.lines(tmp_path)
    for label in ("source", "origin", "backbone", "width", "clip", "stride", "preprocessing"):
        assert lines[label] == "unknown"
    assert lines["patches"] == "4 patches (grid unknown) of dimension 3"
    assert lines["dtype"] == "unknown, stored as float16"


@pytest.mark.parametrize("attributes", [EXTRACTED, IMPORTED])
def test_resampling_keeps_what_the_parts_say(
    tmp_path: Path, info: Info, attributes: dict[str, Any]
) -> None:
    write_part(tmp_path / "parts", 0, attributes)
    out = tmp_path / "x-T4.zarr"
    settings = ResampleSettings(source="published")
    resample(FeatureStore(tmp_path / "parts"), {"v00": 10.0, "gone": 9.0}, 4, out, settings)
    parts, store = info.json(tmp_path / "parts"), info.json(out)
    counted = {
        *("path", "kind", "parts", "frames", "source", "videos", "videos_failed", "errors"),
        *("rows", "duration_s", "rows_per_s", "bytes"),
    }
    assert store["source"] == "published"
    assert {k: v for k, v in store.items() if k not in counted} == {
        k: v for k, v in parts.items() if k not in counted
    }


def test_text_says_whose_vectors_it_holds(small_dataset: Path, info: Info) -> None:
    lines = info.lines(small_dataset / "text.zarr")
    assert lines["what"] == "text store"
    assert (lines["queries"], lines["words"]) == ("22", "88")
    assert lines["word vectors"].startswith("glove.txt")
    assert lines["sentence vectors"] == "skip-thought 4 trained on the training captions"
    assert lines["word dimension"] == "2"
    of = info.json(small_dataset / "text.zarr")
    assert of["settings"]["skipthought"]["dimension"] == 4


def test_what_is_no_store_is_one_line(tmp_path: Path, info: Info) -> None:
    assert "nothing: neither features nor text, found no such folder" in info.error(
        tmp_path / "nothing"
    )
    assert "found a folder of something else, expected a folder of part-*.zarr" in info.error(
        tmp_path
    )
    file = tmp_path / "features.hdf5"
    file.touch()
    assert "found a file, expected a folder of part-*.zarr" in info.error(file)
    write_part(tmp_path, 0, EXTRACTED)
    metadata = tmp_path / "part-0.zarr" / "features" / "zarr.json"
    before = metadata.read_text()
    metadata.write_text("{")
    assert "part-0.zarr/features/zarr.json: damaged file" in info.error(tmp_path)
    metadata.write_text(before)
    (tmp_path / "part-0.zarr" / "manifest.parquet").unlink()
    assert "manifest.parquet: missing file" in info.error(tmp_path)


@pytest.mark.parametrize("key", ["weights_sha256", "code_sha256", "preprocessing", "width"])
def test_parts_of_other_origin_do_not_belong_together(
    tmp_path: Path, info: Info, key: str
) -> None:
    write_part(tmp_path, 0, EXTRACTED)
    write_part(tmp_path, 1, {**EXTRACTED, key: 1})
    assert f"part-1.zarr: parts of one folder differ in {key}, found 1" in info.error(tmp_path)
