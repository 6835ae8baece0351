"""Preprocessing in two steps: bytes that travel to the device, and numbers made there."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from mktn.config import fill
from mktn.errors import UserError
from mktn.features.preprocessing import Preprocessing
from mktn.features.recipes import C3D_SPORTS1M, I3D_CHARADES, I3D_KINETICS, torchvision_recipe

RECIPES = {
    "c3d": C3D_SPORTS1M.preprocessing,
    "i3d": I3D_KINETICS.preprocessing,
    "i3d_charades": I3D_CHARADES.preprocessing,
    "mvit_v2_s": torchvision_recipe("mvit_v2_s")[0].preprocessing,
}


def frames_of(recipe: Preprocessing, count: int = 2, width: int = 341) -> np.ndarray:
    height, width = recipe.frame_size(256, width)
    return np.random.default_rng(3).integers(0, 256, (count, height, width, 3), np.uint8)


@pytest.mark.parametrize("name", RECIPES)
def test_input_is_written_from_the_formula(name):
    recipe = RECIPES[name]
    frames = frames_of(recipe)
    order = [2, 1, 0] if recipe.channels == "bgr" else [0, 1, 2]
    row, column = ((n - recipe.crop) / 2 for n in frames.shape[1:3])
    row, column = int(np.rint(row)), int(np.rint(column))
    cut = frames[:, row : row + recipe.crop, column : column + recipe.crop, order].astype(float)
    expected = (cut - recipe.mean) / np.broadcast_to(recipe.scale, 3)
    found = recipe.to_input(frames)
    assert (found.dtype, found.is_contiguous()) == (torch.float32, True)
    np.testing.assert_allclose(found.numpy(), expected.transpose(3, 0, 1, 2), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", RECIPES)
def test_both_steps_in_a_batch_equal_the_input_of_each_clip(name):
    recipe = RECIPES[name]
    clips = [frames_of(recipe, width=width) for width in (300, 341, 411)]
    cropped = [recipe.crop_frames(frames) for frames in clips]
    for cut in cropped:
        assert (cut.dtype, cut.flags.c_contiguous) == (np.uint8, True)
        assert cut.shape == (2, recipe.crop, recipe.crop, 3)
    batch = torch.from_numpy(np.stack(cropped))
    held = batch.clone()
    found = recipe.normalise(batch)
    assert torch.equal(found, torch.stack([recipe.to_input(frames) for frames in clips]))
    assert torch.equal(batch, held)  # the pinned bytes are left as they are
    assert found.is_contiguous(memory_format=torch.channels_last_3d)  # no copy on the device


def test_cropping_again_is_the_same_and_leaves_the_frames():
    recipe = RECIPES["i3d"]
    frames = frames_of(recipe)
    held = frames.copy()
    cut = recipe.crop_frames(frames)
    assert np.array_equal(recipe.crop_frames(cut), cut)
    assert np.array_equal(frames, held)


def test_sports1m_crop_is_that_of_the_published_code():
    frames = np.zeros((1, 128, 171, 3), np.uint8)
    frames[:, 8:120, 30:142] = 1
    assert RECIPES["c3d"].crop_frames(frames).all()


def test_charades_frames_are_read_at_their_own_rate_and_size():
    assert (RECIPES["i3d_charades"].fps, RECIPES["i3d_charades"].frame_size(180, 320)) == (
        24,
        (226, 402),
    )


def test_a_scale_is_one_number_or_three_in_json():
    base = {"fps": 8, "crop": 64, "resize": [64]}
    old = fill(Preprocessing, {**base, "scale": 2})  # written before there were three
    assert (old.scale, old.scales) == (2.0, (2.0, 2.0, 2.0))
    new = fill(Preprocessing, {**base, "scale": [1, 2, 3.5]})
    assert new.scale == new.scales == (1.0, 2.0, 3.5)
    for recipe in (old, new, *RECIPES.values()):
        assert fill(Preprocessing, json.loads(json.dumps(dataclasses.asdict(recipe)))) == recipe
    for scale in ([1, 2], [1, 2, 0], 0, -1, []):
        with pytest.raises(UserError):
            fill(Preprocessing, {**base, "scale": scale})
    with pytest.raises(UserError, match="scale"):
        fill(Preprocessing, {**base, "scale": "big"})
