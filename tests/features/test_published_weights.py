"""Published weights: their files load strictly at full width and compute what they should.

No published file is at hand: random weights stand in, saved in the published layout and names.
"""

import io
import json
import os
import pickle
import struct
from collections import OrderedDict
from typing import ClassVar

import pytest
import torch

from mktn.checksums import read_sealed_json, write_sealed_json
from mktn.errors import UserError
from mktn.features.backbones import BackboneDescription, load, save
from mktn.features.c3d import C3D
from mktn.features.i3d import I3D
from mktn.features.preprocessing import Preprocessing
from mktn.features.published_weights import read_tensors
from mktn.features.recipes import I3D_CHARADES, I3D_KINETICS
from tests.features.published_layouts import (
    c3d_fc6,
    c3d_shapes,
    i3d_mixed_5c,
    i3d_shapes,
    random_weights,
)


def cells(last_map: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Patches of a (B,D,t,h,w) map, cell by cell."""
    height, width = last_map.shape[-2:]
    patches = []
    for row in range(rows):
        top, bottom = row * height // rows, -(-(row + 1) * height // rows)
        for column in range(columns):
            left, right = column * width // columns, -(-(column + 1) * width // columns)
            patches.append(last_map[:, :, :, top:bottom, left:right].mean((2, 3, 4)))
    return torch.stack(patches, dim=1)


@pytest.fixture(scope="module")
def c3d_file(tmp_path_factory):
    """80 million weights, made and written once."""
    weights = random_weights(c3d_shapes())
    path = tmp_path_factory.mktemp("c3d") / "c3d.pickle"
    torch.save(weights, path, _use_new_zipfile_serialization=False)  # the format of its time
    return path, weights


def test_c3d_sports1m_loads_strictly_and_computes_the_published_network(c3d_file):
    path, weights = c3d_file
    network, description = load(path, "c3d", patch_grid=(3, 2))
    assert list(network.state_dict()) == [name for name, _ in c3d_shapes()]
    assert (description.width, description.classes) == (64, 487)
    assert (description.patch_grid, network.patch_grid) == ((3, 2), (3, 2))
    assert not network.training
    clip = torch.randn(1, 3, 16, 112, 112)
    with torch.inference_mode():
        fc6, patches = network.features(clip)
        expected, conv5b = c3d_fc6(weights, clip)
    assert expected.std() > 0.1  # neither dead nor saturated
    torch.testing.assert_close(fc6, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(patches, cells(conv5b, 3, 2), rtol=1e-4, atol=1e-4)


def test_c3d_of_other_shapes_names_or_classes_is_refused_in_one_line(c3d_file, tmp_path):
    _, weights = c3d_file
    few = {name: t for name, t in weights.items() if not name.startswith("fc")}
    torch.save(few, tmp_path / "few.pt")
    with pytest.raises(UserError, match="not the published layout of c3d"):
        load(tmp_path / "few.pt", "c3d")
    wrong = {**few, "fc8.bias": torch.zeros(9), "extra": torch.zeros(1)}
    wrong["conv1.bias"] = torch.zeros(3)
    torch.save(wrong, tmp_path / "wrong.pt")
    with pytest.raises(UserError, match="weights do not fit") as caught:
        load(tmp_path / "wrong.pt", "c3d")
    line = str(caught.value)
    assert "5 missing: fc6.weight" in line
    assert "1 unknown: extra" in line
    assert "conv1.bias (3,) for (64,)" in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("classes", "recipe", "shape"),
    [(400, I3D_KINETICS, (16, 100, 92)), (157, I3D_CHARADES, (9, 75, 64))],
)
def test_i3d_loads_strictly_and_computes_the_published_network(classes, recipe, shape, tmp_path):
    weights = random_weights(i3d_shapes(classes))
    path = tmp_path / "rgb.pt"
    torch.save(weights, path, _use_new_zipfile_serialization=classes == 157)
    network, description = load(path, "i3d")
    names = [n for n in network.state_dict() if not n.endswith("num_batches_tracked")]
    assert sorted(names) == sorted(name for name, _ in i3d_shapes(classes))
    assert (description.width, description.classes) == (1, classes)
    assert description.preprocessing == recipe.preprocessing
    assert description.training["unverified"] == list(recipe.unverified)
    clip = torch.rand(1, 3, *shape) * 2 - 1
    with torch.inference_mode():
        whole, patches = network.features(clip)
        expected = i3d_mixed_5c(weights, clip)
    assert expected.std() > 0.1
    torch.testing.assert_close(whole, expected.mean((2, 3, 4)), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(patches, cells(expected, 2, 2), rtol=1e-4, atol=1e-4)


def test_other_numbers_of_classes_are_named_unverified(tmp_path):
    torch.save(random_weights(i3d_shapes(11)), tmp_path / "rgb.pt")
    network, description = load(tmp_path / "rgb.pt", "i3d")
    assert network.logits.conv3d.out_channels == description.classes == 11
    assert any("11 classes" in line for line in description.training["unverified"])


def test_a_description_beside_a_published_file_is_followed(tmp_path):
    torch.save(random_weights(i3d_shapes(400)), tmp_path / "rgb.pt")
    recipe = Preprocessing(fps=12, resize=(64,), crop=64, stride=16)
    mapping = {
        "backbone": "i3d", "width": 1, "classes": 400, "patch_grid": [1, 3],
        "preprocessing": {"fps": 12, "resize": [64], "crop": 64, "stride": 16},
    }  # fmt: skip
    (tmp_path / "rgb.json").write_text(json.dumps(mapping))
    network, description = load(tmp_path / "rgb.pt", "i3d")
    assert description.preprocessing == recipe
    assert network.patch_grid == (1, 3)
    assert len(description.weights_sha256) == 64
    with pytest.raises(UserError, match="expected 1 or more rows"):
        load(tmp_path / "rgb.pt", "i3d", patch_grid=(0, 2))


def test_saved_weights_come_back_at_another_grid(tmp_path):
    recipe = Preprocessing(fps=8, resize=(64,), crop=64)
    description = BackboneDescription("i3d", 0.0625, 5, recipe, patch_grid=(2, 2))
    save(I3D(0.0625, 5), description, tmp_path / "w.safetensors")
    network, loaded = load(tmp_path / "w.safetensors", "i3d", patch_grid=(1, 4))
    assert loaded.patch_grid == network.patch_grid == (1, 4)
    assert network.features(torch.zeros(1, 3, 16, 64, 64))[1].shape == (1, 4, 64)


def test_the_same_weights_give_the_same_bits_from_either_format(tmp_path):
    recipe = Preprocessing(fps=8, resize=(32,), crop=32)
    made = C3D(2, 32, 5).eval()
    save(made, BackboneDescription("c3d", 2, 5, recipe), tmp_path / "w.safetensors")
    torch.save(made.state_dict(), tmp_path / "w.pt")
    mapping = read_sealed_json(tmp_path / "w.json")
    clip = torch.randn(1, 3, 16, 32, 32)
    ours, _ = load(tmp_path / "w.safetensors", "c3d")
    write_sealed_json({**mapping, "weights_sha256": ""}, tmp_path / "w.json")
    theirs, _ = load(tmp_path / "w.pt", "c3d")
    assert torch.equal(ours(clip), made(clip))
    assert torch.equal(theirs(clip), made(clip))


class Old(pickle._Pickler):
    """Writes what Python 2 and torch 0.3 wrote: byte strings, and tensors by `_rebuild_tensor`."""

    dispatch: ClassVar[dict] = dict(pickle._Pickler.dispatch)

    def save_str(self, text):
        self.write(b"U" + struct.pack("<B", len(text)) + text.encode())

    dispatch[str] = save_str

    def persistent_id(self, value):
        if isinstance(value, torch.UntypedStorage):
            count = value.nbytes() // 4
            return ("storage", torch.FloatStorage, str(value.data_ptr()), "cuda:0", count, None)
        return None

    def reducer_override(self, value):
        if isinstance(value, torch.Tensor):
            place = (value.storage_offset(), tuple(value.shape), value.stride())
            return torch._utils._rebuild_tensor, (value.untyped_storage(), *place)
        return NotImplemented

    def save_global(self, value, name=None):
        self.write(f"c{value.__module__}\n{value.__name__}\n".encode())

    dispatch[type] = save_global
    dispatch[type(save_global)] = save_global

    def save_ordered(self, value):
        self.save_reduce(OrderedDict, ([[k, v] for k, v in value.items()],), obj=value)

    dispatch[OrderedDict] = save_ordered


def python2_file(state: OrderedDict) -> bytes:
    """A file as torch 0.3 under Python 2 wrote it, from a machine with a GPU."""
    file = io.BytesIO()
    sizes = {"short": 2, "int": 4, "long": 4}
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": sizes}
    storages = {str(t.untyped_storage().data_ptr()): t for t in state.values()}
    for value in (0x1950A86A20F9469CFC6C, 1001, system, state, sorted(storages)):
        Old(file, protocol=2).dump(value)
    for key in sorted(storages):
        file.write(struct.pack("<q", storages[key].numel()) + storages[key].numpy().tobytes())
    return file.getvalue()


def test_files_of_python_2_and_torch_0_3_are_read(tmp_path):
    state = OrderedDict(fc=torch.arange(6.0).reshape(2, 3), bias=torch.tensor([-1.5]))
    (tmp_path / "old.pickle").write_bytes(python2_file(state))
    found = read_tensors(tmp_path / "old.pickle")
    assert list(found) == ["fc", "bias"]
    assert torch.equal(found["fc"], state["fc"])
    assert torch.equal(found["bias"], state["bias"])
    assert found["fc"].device.type == "cpu"


class Touches:
    """Would make a file if it were unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.makedirs, (self.path,)


def test_more_than_tensors_is_refused_and_never_run(tmp_path):
    ran, path = tmp_path / "ran", tmp_path / "w.pth"
    for archive in (True, False):
        torch.save(
            {"w": torch.zeros(2), "x": Touches(ran)}, path, _use_new_zipfile_serialization=archive
        )
        with pytest.raises(UserError, match=r"holds more than tensors, found GLOBAL os") as e:
            load(path, "c3d")
        assert "weights_only=True" in str(e.value)
        assert "\n" not in str(e.value)
    assert not ran.exists()
    torch.save(C3D(width=1, size=32, classes=3), path)  # a whole module
    with pytest.raises(UserError, match="holds more than tensors"):
        load(path, "c3d")
    torch.save({"state_dict": {"w": torch.zeros(2)}, "epoch": 3}, path)  # no published file does
    with pytest.raises(UserError, match="not a bare state dict, found state_dict, epoch"):
        load(path, "c3d")
    torch.save([torch.zeros(2)], path)
    with pytest.raises(UserError, match="no state dict, found list"):
        load(path, "c3d")


@pytest.mark.parametrize(
    "content", [b"", b"<!DOCTYPE html><p>Not found", b"PK\3\4 cut", b"\x80\2"]
)
def test_what_is_no_torch_file_is_refused_in_one_line(content, tmp_path):
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(UserError, match="not a torch file, or a damaged one") as caught:
        load(tmp_path / "w.pth", "r2plus1d_18")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("archive", [True, False])
def test_a_truncated_file_is_refused(archive, tmp_path):
    path = tmp_path / "w.pth"
    torch.save({"w": torch.zeros(1000)}, path, _use_new_zipfile_serialization=archive)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UserError, match="a damaged one"):
        read_tensors(path)


def test_half_precision_weights_become_float32(tmp_path):
    torch.save({"w": torch.ones(2).half(), "n": torch.tensor(3)}, tmp_path / "w.pth")
    found = read_tensors(tmp_path / "w.pth")
    assert (found["w"].dtype, found["n"].dtype) == (torch.float32, torch.int64)
