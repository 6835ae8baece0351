"""Published feature files become the store that extraction makes, or are refused in a line."""

import contextlib
import gzip
import json
import multiprocessing
import multiprocessing.process
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from mktn.cli import main
from mktn.features import importers, sharded
from mktn.features.feature_source import FeatureSource
from mktn.features.published import PRESETS
from mktn.features.store import FeatureStore, ResampledStore
from mktn.provenance import code_sha256
from tests.features.imported import features, imported, pairs, rows_in, run

CLIPS = {"clip": 16, "stride": 8, "fps": 8.0}
DURATIONS_S = {"v_a": 40.0, "v_b": 25.5, "v_c": 61.25}
NPZ_ARRAYS = {  # of shared/data: width, clip, stride, fps; the video is 355 frames in 18.16 s
    "i3d_rgb_stack24_step24_fps25": (1024, 24, 24, 25.0),
    "i3d_flow_raft_stack24_step24_fps25": (1024, 24, 24, 25.0),
    "i3d_rgb_stack64_step64": (1024, 64, 64, 19.55),
    "i3d_rgb_stack24_step12_fps15": (1024, 24, 12, 15.0),
    "s3d_stack32_step32_fps20": (1024, 32, 32, 20.0),
    "r2plus1d_18_16_kinetics": (512, 16, 16, 19.55),
    "clip_vit_b32_fps5": (512, 1, 1, 5.0),
    "resnet101_fps1": (2048, 1, 1, 1.0),
}


def values_of(durations_s: dict[str, float], **clips: Any) -> dict[str, np.ndarray]:
    clips = clips or CLIPS
    return {
        name: features(rows_in(duration_s, **clips), start=100 * i)
        for i, (name, duration_s) in enumerate(durations_s.items())
    }


def write(path: Path, values: dict[str, np.ndarray], key: str = "{}", **options: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, array in values.items():
            file.create_dataset(key.format(name), data=array, **options)
    return path


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr().err.strip()
    assert said.startswith("mktn import-features: ")
    assert "\n" not in said
    return said


# Real features


@pytest.mark.parametrize("key", NPZ_ARRAYS)
def test_real_features_are_imported_by_key(shared_data: Path, tmp_path: Path, key: str) -> None:
    path = shared_data / "sample_features" / "v_GGSY1Qvo990.npz"
    dimension, clip, stride, fps = NPZ_ARRAYS[key]
    settings = {
        "backbone": key.split("_")[0], "dimension": dimension, "key": key, "clip": clip,
        "stride": stride, "fps": fps,
    }  # fmt: skip
    store = imported(path, {"v_GGSY1Qvo990": 18.16}, tmp_path, settings)
    video = store["v_GGSY1Qvo990"]
    with np.load(path) as arrays:
        np.testing.assert_array_equal(video.features, arrays[key].astype(np.float16))
    start_s = np.arange(len(video.features)) * stride / fps
    np.testing.assert_allclose(video.span_s[:, 0], start_s, rtol=1e-6)
    np.testing.assert_allclose(
        video.span_s[:, 1], np.minimum(start_s + clip / fps, 18.16), rtol=1e-6
    )
    said = store.attributes
    assert (said["clip"], said["stride"], said["fps"]) == (clip, stride, fps)
    assert (said["origin"], said["file"], said["key"]) == ("imported", path.name, key)
    assert said["file_sha256"] in (shared_data / "sha256sums.txt").read_text()
    assert said["weights_sha256"] is None


@pytest.mark.parametrize(
    ("name", "key", "seconds", "clip", "fps", "found", "stated"),
    [
        ("v_GGSY1Qvo990", "i3d_rgb_stack24_step24_fps25", 18.16, 24, 30, 0.991, 1.250),
        ("v_GGSY1Qvo990", "clip_vit_b32_fps5", 18.16, 1, 4, 4.956, 4.000),
        ("women_long_jump", "rgb", 35.16, 64, 30, 0.398, 0.469),
        ("women_long_jump", "rgb", 35.16, 64, 15, 0.398, 0.234),
    ],
)
def test_mislabelled_real_features_are_refused_with_both_rates(
    shared_data, tmp_path, capsys, name, key, seconds, clip, fps, found, stated
) -> None:
    path = shared_data / "sample_features" / f"{name}.npz"
    dimension = 512 if key.startswith("clip") else 1024
    settings = {"dimension": dimension, "key": key, "clip": clip, "stride": clip, "fps": fps}
    assert run(path, pairs(tmp_path, {name: seconds}), tmp_path, settings) == 2
    line = refused(capsys)
    assert f"found {found:.3f} rows/s" in line
    assert f"expected {stated:.3f} rows/s" in line
    assert not (tmp_path / "part-0.zarr").exists()


def test_the_same_real_features_at_their_own_rate(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "sample_features" / "women_long_jump.npz"
    settings = {"dimension": 1024, "key": "rgb", "clip": 64, "stride": 64, "fps": 25}
    store = imported(path, {"women_long_jump": 35.16}, tmp_path, settings)
    # The fourteenth clip is padded: its features are of what there is.
    assert store["women_long_jump"].features.shape == (14, 1024)
    assert store["women_long_jump"].span_s[-1].tolist() == pytest.approx([33.28, 35.16])


# Formats


def write_as(kind: str, folder: Path, values: dict[str, np.ndarray]) -> tuple[Path, dict]:
    folder.mkdir(exist_ok=True)
    tensors = {name: torch.from_numpy(value) for name, value in values.items()}
    if kind in ("hdf5", "gzip"):
        options = {"compression": "gzip"} if kind == "gzip" else {}
        return write(folder / "features.hdf5", values, **options), {}
    if kind == "npz":
        np.savez_compressed(folder / "features.npz", **values)
        return folder / "features.npz", {}
    if kind == "pt":
        torch.save(tensors, folder / "features.pt")
        return folder / "features.pt", {}
    for name, value in values.items():
        if kind == "folder of npy":
            np.save(folder / f"{name}.npy", value)
        elif kind == "folder of npz":
            np.savez(folder / f"{name}.npz", features=value, other=value[:1])
        elif kind == "folder of hdf5":
            write(folder / f"{name}.h5", {"features": value})
        elif kind == "folder of pt":
            torch.save(tensors[name], folder / f"{name}.pt")
        else:
            old = {"_use_new_zipfile_serialization": False}
            torch.save({"features": tensors[name]}, folder / f"{name}.pt", **old)
    return folder, {"key": "features"} if kind == "folder of npz" else {}


@pytest.mark.parametrize(
    "kind",
    [
        "hdf5", "gzip", "npz", "pt", "folder of npy", "folder of npz", "folder of hdf5",
        "folder of pt", "folder of old pt",
    ],
)  # fmt: skip
def test_every_format_gives_the_same_store(tmp_path: Path, kind: str) -> None:
    values = values_of(DURATIONS_S)
    path, settings = write_as(kind, tmp_path / "files", values)
    durations_s = {**DURATIONS_S, "v_absent": 9.0}
    store = imported(path, durations_s, tmp_path / "store", {**CLIPS, **settings})
    assert store.video_ids == list(values)
    for name, value in values.items():
        np.testing.assert_array_equal(store[name].features, value)
        assert store[name].duration_s == DURATIONS_S[name]
    where = "folder" if path.is_dir() else "file"
    assert store.errors == {"v_absent": f"not in the {where}: v_absent"}
    assert len(store.attributes["listing_sha256" if path.is_dir() else "file_sha256"]) == 64


@pytest.mark.parametrize("dtype", ["float64", ">f4", "float16", "bfloat16"])
def test_other_floats_are_converted_and_named(tmp_path: Path, dtype: str) -> None:
    value = np.round(features(10)[:, :] / 2048, 2).astype(np.float32)
    if dtype == "bfloat16":
        path = tmp_path / "f.pt"
        torch.save({"v_a": torch.from_numpy(value).to(torch.bfloat16)}, path)
        value = torch.from_numpy(value).to(torch.bfloat16).float().numpy()
    else:
        path = write(tmp_path / "f.hdf5", {"v_a": value.astype(dtype)})
    store = imported(path, {"v_a": 11.0}, tmp_path / "s", CLIPS)
    np.testing.assert_array_equal(store["v_a"].features, value.astype(np.float16))
    assert store.attributes["dtype"] == dtype


def test_slices_that_cut_a_video_change_nothing(tmp_path, monkeypatch) -> None:
    from mktn.features import feature_files

    values = values_of(DURATIONS_S)
    whole = write(tmp_path / "f.hdf5", values, chunks=(3, 4))
    monkeypatch.setattr(feature_files, "SLICE_BYTES", 70)
    store = imported(whole, DURATIONS_S, tmp_path / "s", CLIPS)
    for name, value in values.items():
        np.testing.assert_array_equal(store[name].features, value)


@pytest.mark.parametrize("shape", [(10, 6, 4), (10, 2, 3, 4)])
def test_maps_become_patches_and_their_mean(tmp_path: Path, shape: tuple[int, ...]) -> None:
    value = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    path = write(tmp_path / "f.hdf5", {"v_a": value})
    store = imported(path, {"v_a": 11.0}, tmp_path / "s", {**CLIPS, "patches": [2, 3]})
    video, flat = store["v_a"], value.reshape(10, 6, 4)
    np.testing.assert_array_equal(video.patches, flat.astype(np.float16))
    np.testing.assert_array_equal(video.features, flat.mean(1).astype(np.float16))
    assert store.attributes["patches"] == [2, 3]


# Presets, in the published layouts


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_reads_the_published_layout(tmp_path: Path, preset: str) -> None:
    given = PRESETS[preset]
    clip, stride, dimension = given["clip"], given["stride"], given["dimension"]
    durations_s = {"one": 40.0, "two": 66.6}
    fps = (
        {"one": 29.97, "two": 25.0}
        if "fps_column" in given
        else dict.fromkeys(durations_s, given["fps"])
    )
    values = {
        name: features(rows_in(s, clip, stride, fps[name]), dimension)
        for name, s in durations_s.items()
    }
    more = []
    if preset == "charades-i3d":
        path = tmp_path / "i3d"
        path.mkdir()
        for name, value in values.items():
            np.save(path / f"{name}.npy", value[:, None, None])  # as LGI's files are
    else:
        key = {"activitynet-c3d": "{}/c3d_features", "tacos-c3d": "{}.avi"}.get(preset, "{}")
        dtype = np.float64 if preset == "charades-vgg" else np.float32
        stored = {name: value.astype(dtype) for name, value in values.items()}
        path = write(tmp_path / "published.hdf5", stored, key, compression="gzip")
    if "fps_column" in given:
        table = tmp_path / "video_info_new.csv.gz"
        rows = "".join(f"{name},30.0,{rate}\n" for name, rate in fps.items())
        table.write_bytes(gzip.compress(f"video,fps,rfps\n{rows}".encode()))
        more = ["--fps-table", str(table)]
    store = imported(path, durations_s, tmp_path / "s", {"preset": preset}, *more)
    for name, value in values.items():
        np.testing.assert_array_equal(store[name].features, value.astype(np.float16))
        np.testing.assert_allclose(store[name].span_s[1, 0], stride / fps[name], rtol=1e-6)
    said = store.attributes
    assert (said["preset"], said["read_in"]) == (preset, given["read_in"])
    assert said["unverified"] == list(given["unverified"])
    policy = "per video" if more else f"{given.get('fps', 0):g} frames a second"
    assert said["frame_rate_policy"].startswith(policy)


def test_a_preset_of_differing_rates_needs_the_table(tmp_path, capsys) -> None:
    path = write(tmp_path / "f.hdf5", {"v_a": features(10, 500)}, "{}/c3d_features")
    given = {"preset": "activitynet-c3d"}
    assert run(path, pairs(tmp_path, {"v_a": 11.0}), tmp_path, given) == 2
    assert "--fps-table" in refused(capsys)


def test_a_table_says_which_videos_are_another_cut(tmp_path: Path) -> None:
    path = write(tmp_path / "f.hdf5", values_of(DURATIONS_S))
    table = tmp_path / "fps.csv"
    table.write_text("video_id,fps,duration_s\nv_a,8,40.0\nv_b,8,60.0\n")
    settings = {"clip": 16, "stride": 8}
    store = imported(path, DURATIONS_S, tmp_path / "s", settings, "--fps-table", str(table))
    assert store.video_ids == ["v_a"]
    assert store.errors == {
        "v_b": "features of another cut: 60.00 s in fps.csv, 25.50 s in the annotations",
        "v_c": "no frame rate in fps.csv",
    }


# Rates


@pytest.mark.parametrize("kind", ["hdf5", "folder of npy"])
def test_a_file_of_another_rate_is_refused_and_told_what_fits(tmp_path, capsys, kind) -> None:
    durations_s = {f"v_{i}": 30.0 + 7 * i for i in range(9)}
    path, _ = write_as(kind, tmp_path / "f", values_of(durations_s))
    given = {**CLIPS, "stride": 16}
    assert run(path, pairs(tmp_path, durations_s), tmp_path, given) == 2
    line = refused(capsys)
    assert "expected 0.500 rows/s (clip 16, stride 16, 8 fps)" in line
    assert "a stride of 8 would fit" in line
    assert "the median of 9 videos; 9 are off by more than 5%" in line


def test_one_video_of_another_rate_is_left_out(tmp_path: Path) -> None:
    values = values_of(DURATIONS_S)
    values["v_b"] = values["v_b"][::2]
    store = imported(write(tmp_path / "f.hdf5", values), DURATIONS_S, tmp_path / "s", CLIPS)
    assert store.video_ids == ["v_a", "v_c"]
    assert store.errors["v_b"] == (
        "rate off by more than 5%: stated 1.000 rows/s, found 0.471 rows/s (12 rows in 25.50 s)"
    )


def test_rows_of_an_unknown_rate_are_spread_when_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "f.hdf5", {"v_a": features(10), "v_b": features(33)})
    given = {"fit": "duration"}
    store = imported(path, {"v_a": 20.0, "v_b": 25.5}, tmp_path / "s", given)
    np.testing.assert_allclose(store["v_a"].span_s[[0, -1]], [[0, 2], [18, 20]])
    assert store.attributes["frame_rate_policy"] == "unknown: rows spread evenly over the duration"
    assert [store.attributes[key] for key in ("clip", "stride", "fps")] == [None] * 3
    table = tmp_path / "fps.csv"
    table.write_text("video_id,fps\nv_a,8\n")
    more = ["--fps-table", str(table)]
    store = imported(path, {"v_a": 20.0}, tmp_path / "t", given, *more)
    assert store.attributes["fps"] is None


def test_rows_after_the_end_are_left_out_and_counted(tmp_path, capsys) -> None:
    path = write(tmp_path / "f.hdf5", {"v_a": features(102)})
    store = imported(path, {"v_a": 100.0}, tmp_path / "s", {"clip": 1, "stride": 1, "fps": 1})
    assert store["v_a"].features.shape == (100, 4)
    assert "2 rows start after the end of their video" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({}, "found backbone, dimension, expected clip, stride, fps (or --fps-table) too; as {"),
        ({"clip": 16, "stride": 8}, "expected fps (or --fps-table) too"),
        ({"preset": "none"}, "expected backbone, dimension, clip, stride, fps (or --fps-table)"),
        ({"preset": "none", "fit": "duration"}, "found fit, expected backbone, dimension too"),
        ({**CLIPS, "fit": "duration"}, "fit: duration and clip exclude each other"),
        ({**CLIPS, "stride": 0}, "stride 0 is below 1"),
        ({**CLIPS, "fps": -1}, "fps -1.0: expected a number above 0"),
        ({**CLIPS, "name": "features"}, "expected {video_id} in it"),
        ({**CLIPS, "key": "{video}"}, "it may hold {name} and {video_id} only"),
        ({"preset": "tacos"}, "found 'tacos', expected one of activitynet-c3d, tacos-c3d"),
        (
            {"preset": "charades-vgg", "backbone": "i3d"},
            "preset charades-vgg is of another backbone, found backbone i3d, expected vgg",
        ),
    ],
)
def test_settings_that_say_nothing_are_refused(tmp_path, capsys, settings, line) -> None:
    path = write(tmp_path / "f.hdf5", values_of(DURATIONS_S))
    assert run(path, pairs(tmp_path, DURATIONS_S), tmp_path, settings) == 2
    assert line in refused(capsys)


# One part of several, after an interruption, and what comes next


def test_parts_hold_all_videos_and_go_on_to_resampling(tmp_path: Path) -> None:
    path = write(tmp_path / "f.hdf5", values_of(DURATIONS_S))
    where = pairs(tmp_path, {**DURATIONS_S, "v_d": 5.0})
    settings = json.dumps({"backbone": "c3d", "dimension": 4, **CLIPS})
    for part in ("0", "1"):
        assert main([
            "import-features", "--from", str(path), "--pairs", str(where), "--part", part,
            "--parts", "2", "--out", str(tmp_path / "parts" / f"part-{part}.zarr"),
            "--left-out", str(tmp_path / f"left-out-{part}.csv"), "--settings", settings,
        ]) == 0  # fmt: skip
    assert set(FeatureStore(tmp_path / "parts").video_ids) == set(DURATIONS_S)
    assert (tmp_path / "left-out-0.csv").read_text() == "video_id,error\n"
    assert (tmp_path / "left-out-1.csv").read_text().endswith("v_d,not in the file: v_d\n")
    out = tmp_path / "T8.zarr"
    assert main([
        "resample", "--features", str(tmp_path / "parts"), "--pairs", str(where), "--frames", "8",
        "--out", str(out),
    ]) == 0  # fmt: skip
    store = ResampledStore(out)
    assert store.errors == {"v_d": "not in the file: v_d"}
    found = store.read(["v_a"])[0][0, :, 0].astype(float)
    assert (np.diff(found) > 4).all()  # 40 s in 8 bins: 5 rows a bin
    assert store.attributes["file"] == "f.hdf5"


def import_in_small_shards(command: list[str], said: Path) -> None:
    sharded.SHARD_BYTES = 2**16
    write_shard = sharded.ShardedArrays.write

    def write_slowly(self: sharded.ShardedArrays) -> None:
        time.sleep(0.03)
        write_shard(self)

    sharded.ShardedArrays.write = write_slowly  # type: ignore[method-assign]
    with said.open("w") as stream, contextlib.redirect_stdout(stream):
        status = main(command)
    sys.exit(status)


def test_a_killed_import_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    durations_s = {f"v_{i:03d}": 250.0 + i for i in range(60)}
    path = write(tmp_path / "f.hdf5", {n: features(rows_in(s, **CLIPS), 32) for n, s in
                                       durations_s.items()})  # fmt: skip
    where = pairs(tmp_path, durations_s)
    settings = json.dumps({"backbone": "c3d", "dimension": 32, **CLIPS})
    fork = multiprocessing.get_context("forkserver")
    fork.set_forkserver_preload(["tests.features.test_importers"])

    def job(out: Path) -> multiprocessing.process.BaseProcess:
        command = [
            "import-features", "--from", str(path), "--pairs", str(where), "--out", str(out),
            "--part", "0", "--parts", "1", "--settings", settings,
        ]  # fmt: skip
        process = fork.Process(target=import_in_small_shards, args=(command, tmp_path / "said"))
        process.start()
        return process

    whole, broken = tmp_path / "whole" / "part-0.zarr", tmp_path / "broken" / "part-0.zarr"
    process = job(whole)
    process.join()
    assert process.exitcode == 0
    shards = broken.parent / ".part-0.zarr.resume" / "store" / "features" / "c"
    for count in (1, 5, 10):
        process = job(broken)
        deadline = time.monotonic() + 60
        while process.is_alive() and time.monotonic() < deadline:
            if shards.is_dir() and len(os.listdir(shards)) >= count:
                break
            time.sleep(0.002)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert not broken.exists()
    process = job(broken)
    process.join()
    assert process.exitcode == 0
    said = (tmp_path / "said").read_text()
    assert "going on where a job was interrupted" in said
    assert 20 < int(said.split("interrupted, ")[1].split(" ")[0]) < 60
    first, second = (
        {str(p.relative_to(top)): p.read_bytes() for p in sorted(top.rglob("*")) if p.is_file()}
        for top in (whole, broken)
    )
    assert first == second


def test_an_import_that_other_code_began_starts_again(tmp_path, monkeypatch, capsys) -> None:
    path, where = write(tmp_path / "f.hdf5", values_of(DURATIONS_S)), pairs(tmp_path, DURATIONS_S)
    read = FeatureSource.read

    def interrupted(self: FeatureSource, video_id: str) -> Any:
        if video_id == "v_c":
            raise KeyboardInterrupt
        return read(self, video_id)

    for sha256, note in (("1" * 16, "going on where"), ("2" * 16, "started again")):
        with monkeypatch.context() as patch:
            patch.setattr(FeatureSource, "read", interrupted)
            patch.setattr(importers, "code_sha256", lambda *_: "1" * 16)
            assert run(path, where, tmp_path, CLIPS) == 130
        capsys.readouterr()
        monkeypatch.setattr(importers, "code_sha256", lambda *_, given=sha256: given)
        assert run(path, where, tmp_path, CLIPS) == 0
        assert note in capsys.readouterr().out
        assert FeatureStore(tmp_path).attributes["code_sha256"] == sha256


def test_the_code_of_a_store_is_that_of_what_makes_its_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "f.hdf5", values_of(DURATIONS_S))
    store = imported(path, DURATIONS_S, tmp_path / "s", CLIPS)
    assert store.attributes["code_sha256"] == code_sha256(*importers.IMPORT_CODE)


def test_a_single_tensor_is_the_video_that_its_file_is_named_after(tmp_path: Path) -> None:
    torch.save(torch.from_numpy(features(10)), tmp_path / "v_a.pt")
    store = imported(tmp_path / "v_a.pt", {"v_a": 11.0, "v_b": 11.0}, tmp_path / "s", CLIPS)
    np.testing.assert_array_equal(store["v_a"].features, features(10))
    assert store.errors == {"v_b": "not in the file: v_b"}


def test_more_parts_than_videos_leave_an_empty_one(tmp_path: Path) -> None:
    path = write(tmp_path / "f.hdf5", values_of(DURATIONS_S))
    where = pairs(tmp_path, DURATIONS_S)
    settings = json.dumps({"backbone": "c3d", "dimension": 4, **CLIPS})
    for part in range(4):
        assert main([
            "import-features", "--from", str(path), "--pairs", str(where), "--part", str(part),
            "--parts", "4", "--out", str(tmp_path / f"part-{part}.zarr"), "--settings", settings,
        ]) == 0  # fmt: skip
    assert len(FeatureStore(tmp_path)) == 3


def test_a_checksum_that_is_known_is_not_computed_again(tmp_path: Path) -> None:
    path = write(tmp_path / "f.hdf5", values_of(DURATIONS_S))
    store = imported(path, DURATIONS_S, tmp_path / "s", {**CLIPS, "sha256": 64 * "a"})
    assert store.attributes["file_sha256"] == 64 * "a"
