"""Stores: what goes in comes out, whole or not at all, and other versions are refused."""

import json

import numpy as np
import pytest

from mktn.errors import UserError
from mktn.features import sharded
from mktn.features.reader import FeatureReader
from mktn.features.resample import ResampleSettings, overlap_mean, resample
from mktn.features.store import FeatureStore, ResampledStore
from mktn.features.store_checksums import write_checksums
from mktn.features.writers import PartWriter, ResampledWriter

RNG = np.random.default_rng(0)


def clip_rows(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    start_s = np.arange(n, dtype=np.float32)
    span_s = np.stack([start_s, start_s + 2], 1)
    return (
        RNG.standard_normal((n, 6)).astype(np.float16),
        RNG.standard_normal((n, 4, 3)).astype(np.float16),
        span_s,
    )


def write_part(folder, part, videos, **attributes):
    described = {"backbone": "c3d", "fps": 8.0, "patches": [2, 2], **attributes}
    with PartWriter(folder / f"part-{part}.zarr", part, 6, 4, 3, attributes=described) as writer:
        for name, rows in videos.items():
            writer.append(name, *rows, duration_s=float(rows[2][-1, 1]))
        writer.fail(f"bad{part}", "no video stream")


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("parts")
    videos = {f"v{i}": clip_rows(n) for i, n in enumerate([3, 200, 1, 90])}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sharded, "SHARD_BYTES", 64 * 12)  # one chunk a shard: several shards
        write_part(folder, 0, {name: videos[name] for name in ("v0", "v1")})
        write_part(folder, 1, {name: videos[name] for name in ("v2", "v3")})
    return folder, videos


def test_parts_round_trip(parts):
    folder, videos = parts
    store = FeatureStore(folder)
    assert store.video_ids == list(videos)
    assert store.errors == {"bad0": "no video stream", "bad1": "no video stream"}
    for name, (features, patches, span_s) in videos.items():
        video = store[name]
        assert video.features.dtype == np.float16
        np.testing.assert_array_equal(video.features, features)
        np.testing.assert_array_equal(video.patches, patches)
        np.testing.assert_array_equal(video.span_s, span_s)
        assert video.duration_s == span_s[-1, 1]


def test_parts_refuse_what_they_do_not_hold(parts, tmp_path):
    store = FeatureStore(parts[0])
    with pytest.raises(UserError, match="unknown video"):
        store["v9"]
    with pytest.raises(UserError, match="no video stream"):
        store["bad0"]
    with pytest.raises(UserError, match="no feature parts"):
        FeatureStore(tmp_path)
    write_part(tmp_path, 0, {"v0": clip_rows(2)})
    write_part(tmp_path, 1, {"v0": clip_rows(2)})
    with pytest.raises(UserError, match="recorded twice"):
        FeatureStore(tmp_path)
    write_part(tmp_path, 1, {"v1": clip_rows(2)}, fps=4.0)
    with pytest.raises(UserError, match="differ in fps"):
        FeatureStore(tmp_path)


@pytest.mark.parametrize("compressor", ["none", "blosc-zstd"])
def test_resampled_round_trip(compressor, tmp_path, monkeypatch):
    monkeypatch.setattr(sharded, "SHARD_BYTES", 8 * 4 * 3 * 2 * 5)
    path = tmp_path / "c3d-T8.zarr"
    features = RNG.standard_normal((23, 8, 6)).astype(np.float32)
    patches = RNG.standard_normal((23, 8, 4, 3)).astype(np.float32)
    with ResampledWriter(path, 30, 8, 6, 4, 3, compressor, {"source": "synthetic"}) as writer:
        for i in range(23):
            if i == 5:
                writer.fail("bad", "cut short", 3.0)
            writer.append(f"v{i}", features[i], patches[i], duration_s=i + 1.0)
    store = ResampledStore(path)
    assert (store.frames, store.dimension, store.patches, store.patch_dimension) == (8, 6, 4, 3)
    assert store.video_ids == [f"v{i}" for i in range(23)]
    assert store.duration_s["v6"] == 7.0
    assert store.attributes["source"] == "synthetic"
    order = [22, 3, 3, 0, 17]
    read, read_patches = store.read([f"v{i}" for i in order])
    np.testing.assert_array_equal(read, features[order].astype(np.float16))
    np.testing.assert_array_equal(read_patches, patches[order].astype(np.float16))
    everything, all_patches = store.load_all()
    np.testing.assert_array_equal(everything, features.astype(np.float16))
    np.testing.assert_array_equal(all_patches, patches.astype(np.float16))
    with pytest.raises(UserError, match="cut short"):
        store.read(["v1", "bad"])
    with pytest.raises(UserError, match="unknown video"):
        store.read(["v99"])


def test_a_store_without_patches(tmp_path):
    with ResampledWriter(tmp_path / "x.zarr", 1, 2, 3) as writer:
        writer.append("v", np.zeros((2, 3)), None, 1.0)
        with pytest.raises(ValueError, match="does not match"):
            writer.append("w", np.zeros((3, 3)), None, 1.0)
    store = ResampledStore(tmp_path / "x.zarr")
    assert (store.patches, store.read(["v"])[1], store.load_all()[1]) == (0, None, None)


def test_another_version_is_refused(tmp_path):
    path = tmp_path / "x.zarr"
    with pytest.raises(UserError, match="not a store of features"):
        ResampledStore(path)
    with ResampledWriter(path, 1, 2, 3) as writer:
        writer.append("v", np.zeros((2, 3)), None, 1.0)
    metadata = json.loads((path / "zarr.json").read_text())
    metadata["attributes"]["format"] = 2
    (path / "zarr.json").write_text(json.dumps(metadata))
    write_checksums(path)
    with pytest.raises(UserError, match="written by another version") as caught:
        ResampledStore(path)
    assert "format 2" in str(caught.value)


def fill_and_break(path):
    with ResampledWriter(path, 1, 2, 3) as writer:
        writer.append("v", np.zeros((2, 3)), None, 1.0)
        raise KeyboardInterrupt


def test_a_broken_run_leaves_the_old_store_or_nothing(tmp_path):
    path = tmp_path / "x.zarr"
    with pytest.raises(KeyboardInterrupt):
        fill_and_break(path)
    assert list(tmp_path.iterdir()) == []
    with ResampledWriter(path, 1, 2, 3) as writer:
        writer.append("old", np.zeros((2, 3)), None, 1.0)
    with pytest.raises(KeyboardInterrupt):
        fill_and_break(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.zarr"]
    assert ResampledStore(path).video_ids == ["old"]


def slow_overlap_mean(features, span_s, duration_s, frames):
    rows = []
    for t in range(frames):
        low, high = t * duration_s / frames, (t + 1) * duration_s / frames
        weights = [max(0.0, min(high, e) - max(low, s)) for s, e in span_s]
        if sum(weights) == 0:
            centre = (low + high) / 2
            away = [max(s - centre, centre - e, 0.0) for s, e in span_s]
            weights = [float(i == int(np.argmin(away))) for i in range(len(span_s))]
        total = sum(w * f.astype(np.float64) for w, f in zip(weights, features, strict=True))
        rows.append(total / sum(weights))
    return np.stack(rows)


@pytest.mark.parametrize(("n", "duration_s", "frames"), [(9, 10.4, 16), (40, 41.0, 8), (1, 3, 5)])
def test_overlap_mean_against_a_slow_loop(n, duration_s, frames):
    features, patches, span_s = clip_rows(n)
    for values in (features, patches):
        expected = slow_overlap_mean(values, span_s, duration_s, frames)
        result = overlap_mean(values, span_s, duration_s, frames)
        assert result.shape == (frames, *values.shape[1:])
        np.testing.assert_allclose(result, expected, atol=1e-5)


def test_overlap_mean_takes_the_nearest_row_where_none_overlaps():
    features = np.asarray([[1.0], [2.0]])
    span_s = np.asarray([[2.0, 3.0], [6.0, 7.0]])
    result = overlap_mean(features, span_s, 10.0, 10)[:, 0]
    np.testing.assert_array_equal(result, [1, 1, 1, 1, 1, 2, 2, 2, 2, 2])


def test_resample_records_videos_without_features(parts, tmp_path):
    store = FeatureStore(parts[0])
    durations = {"bad0": 4.0, "gone": 5.0, "v1": 201.0, "v3": 90.0}
    out = tmp_path / "c3d-T4.zarr"
    failed = resample(store, durations, 4, out, ResampleSettings(source="synthetic"))
    assert failed == ["bad0", "gone"]
    result = ResampledStore(out)
    assert result.errors == {"bad0": "no video stream", "gone": "not extracted"}
    assert (result.attributes["patches"], result.attributes["patch_grid"]) == (4, [2, 2])
    features, patches = result.read(["v3"])
    video = store["v3"]
    expected = overlap_mean(video.features, video.span_s, 90.0, 4).astype(np.float16)
    np.testing.assert_array_equal(features[0], expected)
    assert patches is not None


@pytest.fixture
def store_of_five(tmp_path, monkeypatch):
    monkeypatch.setattr(sharded, "SHARD_BYTES", 4 * 6 * 5 * 2 * 2)  # two videos a shard
    with ResampledWriter(tmp_path / "x.zarr", 5, 4, 6, 4, 6) as writer:
        for i in range(5):
            zero = i == 3
            features = RNG.standard_normal((4, 5, 6)) * (not zero)
            writer.append(f"v{i}", features[:, 0], features[:, 1:], 1.0)
    return tmp_path / "x.zarr"


def test_read_gives_the_rows_of_load_all_in_any_order(store_of_five):
    store = ResampledStore(store_of_five)
    everything = store.load_all()
    assert not everything[0][3].any()
    for order in ([4, 0, 3], [2], [1, 1, 4, 1], [0, 1, 2, 3, 4], []):
        for read, held in zip(store.read([f"v{i}" for i in order]), everything, strict=True):
            np.testing.assert_array_equal(read, held[order])
            assert read.flags.c_contiguous
            assert read.flags.writeable


@pytest.mark.parametrize("memory_gb", [0.0, 1.0])
def test_a_reader_gives_the_same_from_memory_and_from_disk(store_of_five, memory_gb):
    store = ResampledStore(store_of_five)
    reader = FeatureReader(store, memory_gb)
    names = ["v4", "v1", "v1"]
    for found, expected in zip(reader.read(names), store.read(names), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert (reader.held is not None) == (memory_gb > 0)
    with pytest.raises(UserError, match="unknown video"):
        reader.read(["v1", "v9"])


def shards(path, name):
    return sorted(entry for entry in (path / name / "c").rglob("*") if entry.is_file())


def damage_index(path):
    content = bytearray(path.read_bytes())
    content[-20] ^= 0xFF
    path.write_bytes(content)


DAMAGE = {
    "index": damage_index,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "empty": lambda path: path.write_bytes(b""),
    "lost": lambda path: path.unlink(),
}


@pytest.mark.parametrize("name", ["features", "patches"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_shard_is_an_error_that_names_the_store(store_of_five, damage, name):
    (store_of_five / "checksums.json").unlink()  # a store of before there were any
    store = ResampledStore(store_of_five)
    paths = shards(store_of_five, name)
    assert len(paths) == 3
    DAMAGE[damage](paths[1])
    for read in (store.load_all, lambda: store.read(["v0", "v2"])):
        with pytest.raises(UserError, match=f"array '{name}' cannot be read") as caught:
            read()
        assert str(store_of_five) in str(caught.value)
        assert str(caught.value).count("\n") == 0
        assert "tensorstore_spec" not in str(caught.value)
    assert store.read(["v0", "v4"])[0].any()


def test_a_damaged_part_is_an_error_that_names_it(tmp_path):
    write_part(tmp_path, 0, {"v0": clip_rows(2)})
    damage_index(shards(tmp_path / "part-0.zarr", "span_s")[0])
    (tmp_path / "part-0.zarr" / "checksums.json").unlink()
    with pytest.raises(UserError, match=r"part-0\.zarr: array 'span_s' cannot be read"):
        FeatureStore(tmp_path)["v0"]


def test_zeros_are_stored_and_not_taken_for_a_lost_chunk(tmp_path):
    with ResampledWriter(tmp_path / "t.zarr", 2, 3, 4) as writer:
        writer.append("dark", np.zeros((3, 4)), None, duration_s=1.0)
    assert not ResampledStore(tmp_path / "t.zarr").read(["dark"])[0].any()
    zeros = np.zeros((70, 6), np.float16), np.zeros((70, 4, 3), np.float16)
    write_part(tmp_path, 0, {"dark": (*zeros, clip_rows(70)[2])})
    assert not FeatureStore(tmp_path)["dark"].features.any()
