"""2D-TAN's network over the map: against a loop, and by tiles as by plain convolutions."""

import pytest
import torch

from mktn.models.map_network import MapNetwork
from mktn.models.map_tiles import tile_of, transforms
from mktn.models.proposals import ProposalMap


def network_of(cells, counts, width=8, kernel=5, layers=3) -> MapNetwork:
    torch.manual_seed(cells)
    network = MapNetwork(ProposalMap(cells, counts), width, kernel, layers)
    for layer in network.convolutions:
        # Each layer's mean over what it sees then keeps the signal, as in a trained network.
        torch.nn.init.normal_(layer.weight, std=kernel * (2 / width) ** 0.5)
        torch.nn.init.normal_(layer.bias, std=0.3)
    return network.eval()


def by_loop(network: MapNetwork, x: torch.Tensor) -> torch.Tensor:
    """The layers on an endless map of one query: a cell is the mean over those that it sees."""
    cells = [tuple(cell) for cell in network.proposals.cells.tolist()]
    state = {cell: row.double() for cell, row in zip(cells, x, strict=True)}
    half = network.kernel // 2
    steps = [(i, j) for i in range(-half, half + 1) for j in range(-half, half + 1)]
    for layer in network.convolutions:
        found = {}
        for i, j in {(a - i, b - j) for a, b in state for i, j in steps}:
            seen = [step for step in steps if (i + step[0], j + step[1]) in state]
            total = layer.bias.double()
            for a, b in seen:
                tap = layer.weight[:, :, a + half, b + half].double()
                total = total + tap @ state[i + a, j + b]
            found[i, j] = total.relu() / len(seen)
        state = found
    return torch.stack([state[cell] for cell in cells])


@pytest.mark.parametrize(
    ("cells", "counts", "kernel", "layers"),
    [(4, [4], 3, 3), (8, [3, 2], 5, 2), (10, [2, 2, 1], 3, 2), (5, [2], 1, 2), (4, [4], 9, 2)],
)
def test_the_network_is_the_loop(cells, counts, kernel, layers):
    network = network_of(cells, counts, width=4, kernel=kernel, layers=layers)
    x = torch.randn(2, len(network.proposals.cells), 4)
    with torch.no_grad():
        expected = torch.stack([by_loop(network, row) for row in x]).float()
        torch.testing.assert_close(network.plain(x), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("cells", "counts", "kernel", "layers"),
    [(16, [16], 5, 8), (24, [8, 4, 2], 5, 4), (9, [3, 3], 3, 3), (12, [12], 7, 2), (1, [1], 3, 1)],
)
def test_tiles_give_the_numbers_of_the_convolutions(cells, counts, kernel, layers):
    """Rounding apart: a score of each moment, as a probability, is the same to 1e-5."""
    network = network_of(cells, counts, width=32, kernel=kernel, layers=layers)
    x = torch.nn.functional.normalize(torch.randn(3, len(network.proposals.cells), 32), dim=-1)
    with torch.no_grad():
        plain, tiled = network.plain(x), network.by_tiles(x)
    size = plain.abs().max()
    assert size > 1e-3
    assert (plain - tiled).abs().max() < 3e-5 * size
    score = torch.nn.functional.normalize(torch.randn(32), dim=0) / plain.std()
    assert ((plain @ score).sigmoid() - (tiled @ score).sigmoid()).abs().max() < 1e-5


def test_a_memory_limit_changes_no_answer(monkeypatch):
    network = network_of(16, [16], width=32)
    x = torch.randn(5, 136, 32)
    with torch.no_grad():
        whole = network.by_tiles(x)
        monkeypatch.setattr("mktn.models.map_tiles.BUFFER", 1)
        assert torch.allclose(network.by_tiles(x), whole, atol=1e-6)


@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_the_transforms_are_a_correlation(kernel):
    outputs = tile_of(kernel)
    a_t, g, b_t = transforms(outputs, kernel)
    rng = torch.Generator().manual_seed(kernel)
    taps = torch.randn(kernel, generator=rng).double().numpy()
    signal = torch.randn(outputs + kernel - 1, generator=rng).double().numpy()
    expected = [taps @ signal[i : i + kernel] for i in range(outputs)]
    assert a_t @ ((g @ taps) * (b_t @ signal)) == pytest.approx(expected, abs=1e-12)


def test_tiles_are_taken_where_they_are_exact_and_faster_alone():
    network = network_of(6, [6], width=64, kernel=3)
    x = torch.randn(1, 21, 64)
    assert not network.tiled(x)  # a gradient may be asked for
    with torch.inference_mode():
        assert network.tiled(x)
        assert not network.tiled(x.double())
        assert not network.tiled(x.bfloat16())
        assert not network.tiled(x[..., :32])
        assert not network.train().tiled(x)


def test_tiles_follow_the_weights():
    """A step, a loaded checkpoint, a change in place: the answer is of the weights as they are."""
    network = network_of(8, [8], width=64, kernel=3)
    x = torch.randn(1, len(network.proposals.cells), 64)

    def check() -> torch.Tensor:
        with torch.inference_mode():
            tiled = network(x)
            plain = network.plain(x)
            assert (tiled - plain).abs().max() < 3e-5 * plain.max()
        return tiled

    first = check()
    with torch.no_grad():
        network.convolutions[0].weight.mul_(2)
    changed = check()
    assert not torch.allclose(first, changed)
    other = network_of(8, [8], width=64, kernel=3)
    network.load_state_dict(other.state_dict())
    assert torch.equal(check(), first)
    network.train()
    network(x).sum().backward()
    torch.optim.SGD(network.parameters(), lr=1.0).step()
    network.eval()
    assert not torch.allclose(check(), first)


def test_the_map_is_known_where_the_weights_have_no_memory():
    """As a checkpoint's names and shapes are compared with the model's."""
    with torch.device("meta"):
        network = MapNetwork(ProposalMap(8, [4, 2]), 4, 3, 2)
    assert network.convolutions[0].weight.is_meta
    assert network.proposals.cells.tolist() == ProposalMap(8, [4, 2]).cells.tolist()
