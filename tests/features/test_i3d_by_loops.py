"""One block and the stem of I3D against loops over every output position, written from the paper.

TensorFlow's "same": ceil(n / s) positions; of the zeros needed the smaller half goes before.
"""

import itertools
import math

import numpy as np
import pytest
import torch

from mktn.features.i3d import Mixed, Unit3D, max_pool_same

EPSILON = 0.001  # of I3D's batch normalisation


def windows(shape, kernel, stride):
    """For each output position, the pairs (offset in the kernel, index of the input)."""
    axes = []
    for length, k, s in zip(shape, kernel, stride, strict=True):
        positions = math.ceil(length / s)
        before = max((positions - 1) * s + k - length, 0) // 2
        axes.append(
            [
                [(o, p * s + o - before) for o in range(k) if 0 <= p * s + o - before < length]
                for p in range(positions)
            ]
        )
    for at in itertools.product(*(range(len(axis)) for axis in axes)):
        pairs = itertools.product(*(axis[i] for axis, i in zip(axes, at, strict=True)))
        yield at, [tuple(zip(*pair, strict=True)) for pair in pairs]


def slow_unit(unit: Unit3D, x: np.ndarray, stride=(1, 1, 1)) -> np.ndarray:
    """Convolution, normalisation with the running statistics and ReLU of one clip (c,t,h,w)."""
    weight = unit.conv3d.weight.detach().double().numpy()
    shape = [math.ceil(n / s) for n, s in zip(x.shape[1:], stride, strict=True)]
    y = np.zeros((len(weight), *shape))
    for at, pairs in windows(x.shape[1:], weight.shape[2:], stride):
        for offset, index in pairs:
            y[(slice(None), *at)] += weight[(..., *offset)] @ x[(slice(None), *index)]
    bn = unit.bn
    mean, variance, scale, shift = (
        v.detach().double().numpy()[:, None, None, None]
        for v in (bn.running_mean, bn.running_var, bn.weight, bn.bias)
    )
    return np.maximum((y - mean) / np.sqrt(variance + EPSILON) * scale + shift, 0)


def slow_pool(x: np.ndarray, kernel, stride) -> np.ndarray:
    """Maximum over the cells of the window that are inside the map."""
    shape = [math.ceil(n / s) for n, s in zip(x.shape[1:], stride, strict=True)]
    y = np.zeros((len(x), *shape))
    for at, pairs in windows(x.shape[1:], kernel, stride):
        y[(slice(None), *at)] = np.max([x[(slice(None), *i)] for _, i in pairs], axis=0)
    return y


def random_unit(*arguments, **options) -> Unit3D:
    return randomise(Unit3D(*arguments, **options))


def randomise(module):
    for bn in module.modules():
        if isinstance(bn, torch.nn.BatchNorm3d):
            bn.running_mean.normal_(std=0.3)
            bn.running_var.uniform_(0.001, 1)  # small enough for epsilon to matter
            torch.nn.init.uniform_(bn.weight, 0.5, 1.5)
            torch.nn.init.normal_(bn.bias, std=0.3)
    return module.eval()


@pytest.mark.parametrize("shape", [(4, 5, 6), (3, 2, 7)])
def test_a_mixed_block(shape):
    torch.manual_seed(1)
    block = randomise(Mixed(3, [2, 2, 3, 1, 2, 2]))
    x = torch.rand(1, 3, *shape)
    clip = x[0].double().numpy()
    expected = np.concatenate(
        [
            slow_unit(block.b0, clip),
            slow_unit(block.b1b, slow_unit(block.b1a, clip)),
            slow_unit(block.b2b, slow_unit(block.b2a, clip)),
            slow_unit(block.b3b, slow_pool(clip, (3, 3, 3), (1, 1, 1))),
        ]
    )
    with torch.inference_mode():
        found = block(x)[0].double().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(8, 9, 10), (5, 7, 12), (1, 3, 2)])
def test_the_stem_at_even_and_odd_sizes(shape):
    torch.manual_seed(2)
    stem = random_unit(3, 2, kernel=(7, 7, 7), stride=(2, 2, 2))
    x = torch.randn(1, 3, *shape)
    expected = slow_unit(stem, x[0].double().numpy(), (2, 2, 2))
    with torch.inference_mode():
        found = stem(x)[0].double().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("kernel", "stride"), [((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (2, 2, 2)), ((2, 2, 2), (2, 2, 2))]
)
@pytest.mark.parametrize("shape", [(4, 6, 8), (3, 5, 7), (2, 7, 4)])
def test_the_pools_between_blocks_at_even_and_odd_sizes(kernel, stride, shape):
    x = torch.rand(1, 2, *shape)
    found = max_pool_same(x, kernel, stride)[0].double().numpy()
    np.testing.assert_array_equal(found, slow_pool(x[0].double().numpy(), kernel, stride))
