"""C3D and I3D: published names and shapes, narrow ones that run, weights that come back."""

import json

import pytest
import torch

from mktn.errors import UserError
from mktn.features.backbones import BackboneDescription, build, load, save
from mktn.features.c3d import C3D
from mktn.features.i3d import I3D, max_pool_same, pad_same
from mktn.features.preprocessing import Preprocessing

NARROW = {
    "c3d": BackboneDescription("c3d", 2, 5, Preprocessing(fps=8, resize=(40,), crop=32)),
    "i3d": BackboneDescription("i3d", 0.0625, 5, Preprocessing(fps=8, resize=(64,), crop=64)),
}


def test_c3d_has_the_published_names_and_shapes():
    with torch.device("meta"):
        shapes = {name: tuple(t.shape) for name, t in C3D().state_dict().items()}
    channels = {
        "conv1": (64, 3), "conv2": (128, 64), "conv3a": (256, 128), "conv3b": (256, 256),
        "conv4a": (512, 256), "conv4b": (512, 512), "conv5a": (512, 512), "conv5b": (512, 512),
    }  # fmt: skip
    expected = {f"{name}.weight": (*c, 3, 3, 3) for name, c in channels.items()}
    expected |= {f"{name}.bias": c[:1] for name, c in channels.items()}
    for name, linear in {"fc6": (4096, 8192), "fc7": (4096, 4096), "fc8": (487, 4096)}.items():
        expected |= {f"{name}.weight": linear, f"{name}.bias": linear[:1]}
    assert shapes == expected


def test_i3d_has_the_published_names_and_shapes():
    with torch.device("meta"):
        shapes = {name: tuple(t.shape) for name, t in I3D().state_dict().items()}
    assert len(shapes) == 344
    assert shapes["Conv3d_1a_7x7.conv3d.weight"] == (64, 3, 7, 7, 7)
    assert shapes["Conv3d_2b_1x1.bn.running_mean"] == (64,)
    assert shapes["Conv3d_2c_3x3.conv3d.weight"] == (192, 64, 3, 3, 3)
    assert shapes["Mixed_3b.b1a.conv3d.weight"] == (96, 192, 1, 1, 1)
    assert shapes["Mixed_4f.b2b.conv3d.weight"] == (128, 32, 3, 3, 3)
    assert shapes["Mixed_5c.b1b.conv3d.weight"] == (384, 192, 3, 3, 3)
    assert shapes["Mixed_5c.b3b.bn.running_var"] == (128,)
    assert shapes["logits.conv3d.weight"] == (400, 1024, 1, 1, 1)
    assert shapes["logits.conv3d.bias"] == (400,)
    assert not any(name.endswith("conv3d.bias") for name in shapes if "logits" not in name)


def test_weights_older_than_batch_counters_load_strictly():
    network = I3D(width=0.0625)
    old = {k: v for k, v in network.state_dict().items() if "num_batches_tracked" not in k}
    I3D(width=0.0625).load_state_dict(dict(old), strict=True)


def test_full_width_features_have_the_published_sizes():
    with torch.device("meta"):
        fc6, patches = C3D().features(torch.empty(2, 3, 16, 112, 112))
        assert (fc6.shape, patches.shape) == ((2, 4096), (2, 4, 512))
        whole, patches = I3D(patch_grid=(3, 3)).features(torch.empty(2, 3, 16, 224, 224))
        assert (whole.shape, patches.shape) == ((2, 1024), (2, 9, 1024))


@pytest.mark.parametrize("size", [32, 56, 64])
def test_narrow_c3d(size):
    network = C3D(width=2, size=size, classes=7).eval()
    clips = torch.randn(2, 3, 16, size, size)
    fc6, patches = network.features(clips)
    assert (fc6.shape, patches.shape) == ((2, 128), (2, 4, 16))
    assert network(clips).shape == (2, 7)
    torch.testing.assert_close(network(clips)[:1], network(clips[:1]))
    with pytest.raises(ValueError, match="expected"):
        network(clips[:, :, :8])


@pytest.mark.parametrize(("frames", "size"), [(16, 64), (16, 56), (24, 96)])
def test_narrow_i3d(frames, size):
    network = I3D(width=0.0625, classes=7).eval()
    clips = torch.randn(2, 3, frames, size, size)
    whole, patches = network.features(clips)
    assert (whole.shape, patches.shape) == ((2, 64), (2, 4, 64))
    assert network(clips).shape == (2, 7)
    torch.testing.assert_close(network(clips)[:1], network(clips[:1]), rtol=1e-4, atol=1e-5)


def test_same_padding_is_that_of_tensorflow():
    x = torch.arange(1.0, 6).reshape(1, 1, 5, 1, 1)
    assert pad_same(x, (3, 1, 1), (2, 1, 1)).flatten().tolist() == [0, 1, 2, 3, 4, 5, 0]
    assert pad_same(x[:, :, :4], (3, 1, 1), (2, 1, 1)).flatten().tolist() == [1, 2, 3, 4, 0]
    assert pad_same(x, (1, 1, 1), (2, 1, 1)).shape == x.shape
    assert max_pool_same(x, (2, 1, 1), (2, 1, 1)).flatten().tolist() == [2, 4, 5]


@pytest.mark.parametrize("name", NARROW)
def test_weights_come_back(name, tmp_path):
    network = build(NARROW[name]).eval()
    save(network, NARROW[name], tmp_path / "w.safetensors")
    loaded, description = load(tmp_path / "w.safetensors", name)
    size = description.preprocessing.crop
    clips = torch.randn(1, 3, 16, size, size)
    assert torch.equal(loaded(clips), network(clips))
    assert description.preprocessing == NARROW[name].preprocessing
    assert len(description.weights_sha256) == 64


def test_foreign_weights_are_refused_in_one_line(tmp_path):
    path, beside = tmp_path / "w.safetensors", tmp_path / "w.json"
    with pytest.raises(UserError, match="missing file"):
        load(path, "c3d")
    save(build(NARROW["c3d"]), NARROW["c3d"], path)
    with pytest.raises(UserError, match="another backbone"):
        load(path, "i3d")
    described = json.loads(beside.read_text())
    del described["checksum"]  # as one that is written by hand
    beside.write_text(json.dumps({**described, "width": 3, "weights_sha256": ""}))
    with pytest.raises(UserError, match="weights do not fit") as caught:
        load(path, "c3d")
    assert "\n" not in str(caught.value)
    beside.write_text(json.dumps({**described, "weights_sha256": "0" * 64}))
    with pytest.raises(UserError, match="differ from their description"):
        load(path, "c3d")
