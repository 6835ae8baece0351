"""torchvision's backbones: their own weights, recipes, features and patches, and no download."""

import json

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import video
from torchvision.models.video.mvit import MSBlockConfig

from mktn.errors import UserError
from mktn.features.backbones import BACKBONES, BackboneDescription, build, load, save
from mktn.features.recipes import torchvision_recipe
from mktn.features.torchvision_backbones import (
    TORCHVISION,
    WEIGHTS,
    TorchvisionBackbone,
    mvit_features,
)
from tests.features.test_published_weights import cells

WIDTHS = {"r2plus1d_18": 512, "s3d": 1024, "mvit_v2_s": 768}
# The smallest clips that each takes: S3D's last pool covers 7x7 cells, MViT's grid is fixed.
CLIPS = {"r2plus1d_18": (4, 48), "s3d": (14, 224), "mvit_v2_s": (16, 224)}


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a download was tried")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", refuse)


def shaken(network: nn.Module) -> nn.Module:
    """Running statistics away from 0 and 1, so that evaluation must use them."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
    return network.eval()


@pytest.mark.parametrize("name", TORCHVISION)
def test_published_state_dicts_load_strictly(name, tmp_path):
    theirs = shaken(getattr(video, name)(weights=None))
    assert sum(p.numel() for p in theirs.parameters()) == WEIGHTS[name].meta["num_params"]
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    network, description = load(tmp_path / "weights.pth", name, patch_grid=(2, 3))
    assert list(network.network.state_dict()) == list(theirs.state_dict())
    assert description.classes == len(description.labels) == 400
    assert description.labels[0] == "abseiling"
    frames, size = CLIPS[name]
    clip = torch.randn(1, 3, frames, size, size)
    with torch.inference_mode():
        whole, patches = network.features(clip)
        last = [m for m in theirs.modules() if isinstance(m, nn.Linear | nn.Conv3d)][-1]
        logits = whole @ last.weight.flatten(1).T + last.bias
        # MViT's full network takes seconds a clip: a small one is compared below.
        expected = logits if name == "mvit_v2_s" else theirs(clip)
    assert (network.feature_dimension, network.patch_dimension) == (WIDTHS[name],) * 2
    assert (whole.shape, patches.shape) == ((1, WIDTHS[name]), (1, 6, WIDTHS[name]))
    assert expected.std() > 0.01
    # The feature is what the last layer reads: that layer on top of it is the network.
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    if name == "r2plus1d_18":
        assert torch.equal(network(clip), expected)


@pytest.mark.parametrize(("name", "last"), [("r2plus1d_18", "layer4"), ("s3d", "features")])
def test_patches_are_cell_means_of_the_last_convolutional_map(name, last):
    frames, size = CLIPS[name]
    backbone, maps = shaken(TorchvisionBackbone(name, 7, (3, 2))), []
    inner = backbone.network.get_submodule(last)
    inner.register_forward_hook(lambda module, inputs, output: maps.append(output))
    with torch.inference_mode():
        patches = backbone.features(torch.randn(1, 3, frames, size, size))[1]
    torch.testing.assert_close(patches, cells(maps[0], 3, 2))


def small_mvit() -> video.MViT:
    blocks = [
        MSBlockConfig(1, 16, 32, [3, 3, 3], [3, 3, 3], [1, 1, 1], [1, 2, 2]),
        MSBlockConfig(2, 32, 32, [3, 3, 3], [3, 3, 3], [1, 2, 2], [1, 1, 1]),
    ]
    return video.MViT(
        (48, 48), 4, blocks, residual_pool=True, residual_with_cls_embed=False,
        rel_pos_embed=True, proj_after_attn=True, num_classes=5,
    ).eval()  # fmt: skip


def test_mvit_map_is_the_tokens_after_the_class_token_in_time_row_column_order():
    mvit, tokens = small_mvit(), []
    mvit.norm.register_forward_hook(lambda module, inputs, output: tokens.append(output))
    clip = torch.randn(2, 3, 4, 48, 48)
    with torch.no_grad():
        logits = mvit(clip)
        whole, last_map = mvit_features(mvit, clip)
    torch.testing.assert_close(mvit.head(whole), logits)
    assert last_map.shape == (2, 32, 2, 6, 6)
    for t, row, column in ((0, 0, 0), (0, 2, 5), (1, 3, 1)):
        token = tokens[0][:, 1 + (t * 6 + row) * 6 + column]
        assert torch.equal(last_map[:, :, t, row, column], token)


@pytest.mark.parametrize("name", TORCHVISION)
def test_recipes_are_torchvisions_own(name):
    recipe, labels = torchvision_recipe(name)
    ours, theirs = recipe.preprocessing, WEIGHTS[name].transforms()
    height, width = (256, 256) if name == "s3d" else ours.frame_size(256, 341)
    frames = np.random.default_rng(0).integers(0, 256, (3, height, width, 3), np.uint8)
    expected = theirs(torch.from_numpy(frames).permute(0, 3, 1, 2))
    torch.testing.assert_close(ours.to_input(frames), expected, rtol=1e-5, atol=1e-5)
    assert len(labels) == 400
    assert ours.clip >= WEIGHTS[name].meta.get("min_temporal_size", 1)
    assert recipe.sha256 in WEIGHTS[name].url


def test_stated_frame_rates_and_clip_lengths():
    read = {name: torchvision_recipe(name)[0].preprocessing for name in TORCHVISION}
    assert {n: (r.fps, r.clip, r.stride, r.crop, r.resize) for n, r in read.items()} == {
        "r2plus1d_18": (15, 16, 8, 112, (128, 171)),
        "s3d": (15, 128, 64, 224, (256, 256)),
        "mvit_v2_s": (7.5, 16, 8, 224, (256,)),
    }


def test_other_weights_than_torchvisions_are_named_unverified(tmp_path):
    network = TorchvisionBackbone("s3d", classes=3)
    torch.save(network.network.state_dict(), tmp_path / "s3d.pth")
    loaded, description = load(tmp_path / "s3d.pth", "s3d")
    assert (description.classes, description.labels) == (3, ())
    unverified = " ".join(description.training["unverified"])
    assert "3 classes" in unverified
    assert "does not begin with d76dad2f" in unverified
    assert "resize filter" in unverified
    save(loaded, description, tmp_path / "ours.safetensors")  # and again in the house's format
    again, described = load(tmp_path / "ours.safetensors", "s3d")
    assert described.preprocessing == description.preprocessing
    for name, tensor in again.network.state_dict().items():
        assert torch.equal(tensor, network.network.state_dict()[name])


def test_weights_of_another_backbone_do_not_fit(tmp_path):
    state = TorchvisionBackbone("s3d", classes=3).network.state_dict()
    torch.save({**state, "fc.bias": torch.zeros(3)}, tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"weights do not fit, found .* missing: stem"):
        load(tmp_path / "w.pth", "r2plus1d_18")


def test_a_description_that_a_network_cannot_follow_is_refused(tmp_path):
    state = TorchvisionBackbone("s3d", classes=3).network.state_dict()
    torch.save(state, tmp_path / "w.pth")
    recipe = {"fps": 15, "resize": [112], "crop": 112}
    mapping = {"backbone": "mvit_v2_s", "width": 1, "classes": 3, "preprocessing": recipe}
    (tmp_path / "w.json").write_text(json.dumps(mapping))
    with pytest.raises(UserError, match="mvit_v2_s reads 16 frames of 224 pixels"):
        load(tmp_path / "w.pth", "mvit_v2_s")
    mapping |= {"backbone": "s3d", "width": 0.5}
    (tmp_path / "w.json").write_text(json.dumps(mapping))
    with pytest.raises(UserError, match="width of s3d"):
        load(tmp_path / "w.pth", "s3d")


def test_every_name_builds():
    with torch.device("meta"):
        for name in BACKBONES:
            recipe = {
                "c3d": torchvision_recipe("r2plus1d_18"),
                "i3d": torchvision_recipe("mvit_v2_s"),
            }.get(name) or torchvision_recipe(name)
            width = 64.0 if name == "c3d" else 1.0
            description = BackboneDescription(name, width, 4, recipe[0].preprocessing, (1, 3))
            network = build(description)
            assert network.patch_grid == (1, 3)
            assert network.feature_dimension in (4096, 1024, 512, 768)
