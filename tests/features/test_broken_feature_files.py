"""Damaged and mistaken feature files: each is named in a line, and no value is invented."""

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from tests.features.imported import features, imported, imported_part, pairs, run

CLIPS = {"clip": 16, "stride": 8, "fps": 8.0}
SECONDS = 11.0
ROWS = 10
BROKEN: dict[str, tuple[np.ndarray, str]] = {}


def changed(where: tuple[int, int], value: float, dtype: str = "float32") -> np.ndarray:
    array = features(ROWS).astype(dtype)
    array[where] = value
    return array


BROKEN = {
    "a NaN": (changed((3, 1), np.nan), "1 values are NaN or infinite from row 3 on"),
    "infinity": (changed((0, 0), -np.inf), "1 values are NaN or infinite from row 0 on"),
    "beyond float16": (changed((7, 2), 70000.0), "70000 in row 7 is beyond float16 (65504)"),
    "beyond float32": (
        changed((7, 2), -1e300, "float64"),
        "-1e+300 in row 7 is beyond float16 (65504)",
    ),
    "no rows": (features(0), "no rows"),
    "integers": (features(ROWS).astype("int32"), "dtype int32, expected float16"),
    "complex": (features(ROWS).astype("complex64"), "dtype complex64, expected float16"),
    "another width": (features(ROWS, 6), "another shape: found (10,6), expected (n,4)"),
    "transposed": (features(ROWS).T, "transposed: found (4,10), expected (n,4)"),
    "channels first": (
        features(ROWS * 6).reshape(ROWS, 4, 2, 3),
        "transposed: found (10,4,2,3), expected (n,4)",
    ),
    "one vector": (features(1)[0], "another shape: found (4), expected (n,4)"),
    "a number": (np.float32(3.0), "another shape: found (), expected (n,4)"),
    "maps": (features(ROWS * 6).reshape(ROWS, 6, 4), "another shape: found (10,6,4)"),
}


def write(kind: str, folder: Path, values: dict[str, Any]) -> Path:
    if kind == "hdf5":
        with h5py.File(folder / "f.hdf5", "w") as file:
            for name, value in values.items():
                file[name] = value
        return folder / "f.hdf5"
    if kind == "npz":
        np.savez(folder / "f.npz", **values)
        return folder / "f.npz"
    files = folder / "files"
    files.mkdir()
    for name, value in values.items():
        np.save(files / f"{name}.npy", value)
    return files


@pytest.mark.parametrize("kind", ["hdf5", "npz", "npy"])
@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_video_is_left_out_and_the_others_go_on(tmp_path, kind, what) -> None:
    array, line = BROKEN[what]
    path = write(kind, tmp_path, {"v_a": features(ROWS), "v_b": array})
    store = imported(path, {"v_a": SECONDS, "v_b": SECONDS}, tmp_path / "s", CLIPS)
    assert store.video_ids == ["v_a"]
    assert line in store.errors["v_b"]


@pytest.mark.parametrize("what", ["a NaN", "beyond float16"])
def test_a_part_of_which_no_value_can_be_used_is_refused_and_leaves_nothing(
    tmp_path, capsys, what
) -> None:
    array, line = BROKEN[what]
    path = write("hdf5", tmp_path, {f"v_{i}": array for i in range(5)})
    durations_s = {f"v_{i}": SECONDS for i in range(5)}
    out = tmp_path / "out"
    out.mkdir()
    assert run(path, pairs(tmp_path, durations_s), out, CLIPS) == 2
    said = capsys.readouterr().err
    assert "no video of this part can be used, found 5 that fail: v_0: " in said
    assert (said.count(line), said.count("\n")) == (3, 1)
    assert list(out.iterdir()) == []


def test_a_part_whose_videos_are_all_missing_is_empty_and_the_other_is_not(tmp_path) -> None:
    # Part 0 has v_a and v_c, part 1 v_b and v_d.
    path = write("hdf5", tmp_path, {"v_b": features(ROWS), "v_d": changed((0, 0), np.nan)})
    where = pairs(tmp_path, dict.fromkeys(["v_a", "v_b", "v_c", "v_d"], SECONDS))
    for part, usable in ((0, []), (1, ["v_b"])):
        store = imported_part(path, where, tmp_path / "parts", part, 2)
        assert store.video_ids == usable


@pytest.mark.parametrize(("there", "warned"), [(1, True), (2, False)])
def test_a_file_with_few_of_the_videos_is_warned_about(tmp_path, capsys, there, warned) -> None:
    path = write("hdf5", tmp_path, {f"v_{i}": features(ROWS) for i in range(there)})
    imported(path, {f"v_{i}": SECONDS for i in range(4)}, tmp_path / "s", CLIPS)
    line = f"warning: only {there} of 4 videos of the pairs are in the file"
    assert (line in capsys.readouterr().out) == warned


def test_float16_keeps_its_largest_number(tmp_path: Path) -> None:
    path = write("npz", tmp_path, {"v_a": changed((0, 0), 65504.0)})
    store = imported(path, {"v_a": SECONDS}, tmp_path / "s", CLIPS)
    assert store["v_a"].features[0, 0] == 65504


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    bad = np.empty((ROWS, 4), object)
    for kind in ("npz", "npy"):
        folder = tmp_path / kind
        folder.mkdir()
        path = write(kind, folder, {"v_a": features(ROWS), "v_b": bad})
        store = imported(path, {"v_a": SECONDS, "v_b": SECONDS}, folder / "s", CLIPS)
        assert store.errors["v_b"].startswith("dtype object: pickled, and not read")


class Trap:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return Path.touch, (Path("trap-was-sprung"),)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_a_pt_with_more_than_tensors_is_refused(tmp_path, monkeypatch, capsys, how) -> None:
    monkeypatch.chdir(tmp_path)
    if how == "torch":
        torch.save({"v_a": Trap()}, "f.pt")
    else:
        Path("f.pt").write_bytes(pickle.dumps({"v_a": Trap()}))
    assert run(Path("f.pt"), pairs(tmp_path, {"v_a": SECONDS}), tmp_path, CLIPS) == 2
    assert "holds more than tensors (pickle)" in capsys.readouterr().err
    assert not Path("trap-was-sprung").exists()


def test_a_tensor_that_was_trained_is_read(tmp_path: Path) -> None:
    for kind in (torch.float32, torch.bfloat16):
        tensor = torch.from_numpy(features(ROWS)).to(kind)
        values = {"v_a": tensor.requires_grad_(), "v_b": torch.nn.Parameter(tensor.detach())}
        torch.save(values, tmp_path / "f.pt")
        store = imported(
            tmp_path / "f.pt", {"v_a": SECONDS, "v_b": SECONDS}, tmp_path / "s", CLIPS
        )
        for name in values:
            expected = tensor.detach().half().numpy()
            np.testing.assert_array_equal(store[name].features, expected)


@pytest.mark.filterwarnings("ignore:Validating sparse", "ignore:Sparse", "ignore:.*deprecated")
@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda t: t.to_sparse(), "a tensor of layout torch.sparse_coo, expected a dense one"),
        (lambda t: t.to_sparse_csr(), "a tensor of layout torch.sparse_csr, expected a dense one"),
        (lambda t: torch.quantize_per_tensor(t, 0.1, 10, torch.quint8), "dtype quint8, expected"),
        (lambda t: t.to("meta"), "cannot be read (can't convert meta device"),
        (lambda t: t.to(torch.float8_e4m3fn), "dtype float8_e4m3fn, expected float16"),
    ],
)
def test_a_tensor_without_plain_values_is_left_out(tmp_path, change, line) -> None:
    good = torch.from_numpy(features(ROWS))
    path = tmp_path / "f.pt"
    values = {"v_a": good, "v_b": change(good)}
    torch.save(values, path)
    store = imported(path, {"v_a": SECONDS, "v_b": SECONDS}, tmp_path / "s", CLIPS)
    assert store.video_ids == ["v_a"]
    assert line in store.errors["v_b"]
    assert "\n" not in store.errors["v_b"]


@pytest.mark.filterwarnings("ignore:.*deprecated", "ignore:The PyTorch API of nested")
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "change", [lambda t: t.to("meta"), lambda t: torch.nested.nested_tensor([t, t[:3]])]
)
def test_a_file_of_no_plain_tensor_is_one_line(tmp_path, capsys, change, zipped) -> None:
    values = {"v_a": change(torch.from_numpy(features(ROWS)))}
    torch.save(values, tmp_path / "f.pt", _use_new_zipfile_serialization=zipped)
    where = pairs(tmp_path, {"v_a": SECONDS})
    assert run(tmp_path / "f.pt", where, tmp_path, CLIPS) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{tmp_path / 'f.pt'}: " in said


@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize("how", ["text", "pickle", "empty"])
def test_what_is_no_array_is_called_so_and_nobody_is_told_to_unpickle(
    tmp_path, capsys, suffix, how
) -> None:
    path = tmp_path / f"v_a.{suffix}"
    content = {"text": b"sign in", "pickle": pickle.dumps(features(ROWS)), "empty": b""}
    path.write_bytes(content[how])
    assert run(path, pairs(tmp_path, {"v_a": SECONDS}), tmp_path, CLIPS) == 2
    said = capsys.readouterr().err
    assert (
        f"found not a{'n' if suffix == 'npz' else ''} .{suffix} file, expected {suffix};" in said
    )
    assert "pickle" not in said


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.98])
@pytest.mark.parametrize("suffix", ["hdf5", "npz", "pt", "npy"])
def test_a_truncated_file_is_refused(tmp_path, capsys, suffix, share) -> None:
    values = {f"v_{i}": features(ROWS) for i in range(20)}
    path = tmp_path / f"v_0.{suffix}"
    if suffix == "hdf5":
        path = write("hdf5", tmp_path, values)
    elif suffix == "npz":
        np.savez(path, **values)
    elif suffix == "pt":
        torch.save({name: torch.from_numpy(value) for name, value in values.items()}, path)
    else:
        np.save(path, values["v_0"])
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert run(path, pairs(tmp_path, {"v_0": SECONDS}), tmp_path, CLIPS) == 2
    said = capsys.readouterr().err
    assert f"{path}: feature file cannot be opened" in said
    assert said.count("\n") == 1


def test_a_page_saved_as_a_feature_file_is_refused(tmp_path, capsys) -> None:
    for suffix in ("hdf5", "npz", "npy", "pt"):
        path = tmp_path / f"v_a.{suffix}"
        path.write_text("<!DOCTYPE html><html>Sign in to continue</html>")
        assert run(path, pairs(tmp_path, {"v_a": SECONDS}), tmp_path, CLIPS) == 2
        assert "feature file cannot be opened" in capsys.readouterr().err


def test_a_damaged_video_inside_a_file_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "f.hdf5"
    with h5py.File(path, "w") as file:
        for name in ("v_a", "v_b"):
            file.create_dataset(name, data=features(ROWS), compression="gzip", chunks=(ROWS, 4))
        where = file["v_b"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[where : where + 16] = b"\xff" * 16
    path.write_bytes(content)
    store = imported(path, {"v_a": SECONDS, "v_b": SECONDS}, tmp_path / "s", CLIPS)
    assert store.video_ids == ["v_a"]
    assert store.errors["v_b"].startswith("cannot be read")


def test_a_damaged_file_in_a_folder_is_left_out(tmp_path: Path) -> None:
    folder = write("npy", tmp_path, {"v_a": features(ROWS), "v_b": features(ROWS)})
    content = (folder / "v_b.npy").read_bytes()
    (folder / "v_b.npy").write_bytes(content[:-20])
    store = imported(folder, {"v_a": SECONDS, "v_b": SECONDS}, tmp_path / "s", CLIPS)
    assert store.errors["v_b"].startswith("not a whole .npy file")


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({}, "v_a: v_a is a group with c3d_features: set key to '{name}/...'"),
        ({"key": "{name}/vgg"}, "found v_a, expected v_a; 1 of 1 are not there"),
        ({"name": "{video_id}.avi"}, "found v_a, expected v_a.avi; 1 of 1 are not there"),
        ({"strip": "v_"}, "found v_a, expected a; 1 of 1 are not there"),
        (
            {"key": "{name}/c3d_features", "dimension": 500},
            "v_a: another shape: found (10,4), expected (n,500)",
        ),
    ],
)
def test_a_file_in_which_nothing_is_found_is_refused(tmp_path, capsys, settings, line) -> None:
    path = write("hdf5", tmp_path, {"v_a/c3d_features": features(ROWS)})
    given = {**CLIPS, **settings}
    assert run(path, pairs(tmp_path, {"v_a": SECONDS}), tmp_path, given) == 2
    assert line in capsys.readouterr().err


def test_a_prefix_that_the_file_leaves_out_is_taken_off(tmp_path: Path) -> None:
    path = write("hdf5", tmp_path, {"a": features(ROWS)})
    store = imported(path, {"v_a": SECONDS}, tmp_path / "s", {**CLIPS, "strip": "v_"})
    assert store.video_ids == ["v_a"]


@pytest.mark.parametrize(
    ("names", "line"),
    [
        ([], "no such file, expected .hdf5, .h5, .npy"),
        (["v_a.npy", "v_a.pt"], "found v_a.npy, v_a.pt, expected .hdf5"),
    ],
)
def test_a_folder_of_no_one_format_is_refused(tmp_path, capsys, names, line) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for name in names:
        (folder / name).touch()
    assert run(folder, pairs(tmp_path, {"v_a": SECONDS}), tmp_path, CLIPS) == 2
    assert line in capsys.readouterr().err
