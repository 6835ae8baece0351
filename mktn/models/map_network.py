"""2D-TAN's network over a sparse map: convolutions that see each moment's neighbours.

Q queries, N cells a video, K valid moments, d channels, S the side of a padded map. All padding
stands before the first layer, as published, so that the map shrinks back to N: a layer's cells
outside the valid ones hold what it saw of them, and pass it on.
"""

import dataclasses

import torch
from torch import Tensor, nn
from torch.nn import functional

from mktn.models.map_tiles import Tiles, tile_of
from mktn.models.proposals import ProposalMap

# Below so many channels a plain convolution is the faster on a CPU too (`mktn bench map`).
LEAST_WIDTH = 64


@dataclasses.dataclass
class Reached:
    """A layer's cells on the padded map (S,S): which count, and 1 / the inputs each has seen."""

    cells: Tensor  # bool: seen something, and seen by a valid cell of the last layer
    weight: Tensor  # float, 0 where nothing was seen


def reached(mask: Tensor, kernel: int, layers: int) -> list[Reached]:
    """What each layer's cells see, the input first; mask (N,N) bool holds the valid cells."""
    border = layers * (kernel // 2)
    seen = [functional.pad(mask, [border] * 4)]
    weights = [seen[0].float()]
    for _ in range(layers):
        count = _spread(seen[-1], kernel)
        seen.append(count > 0)
        weights.append(torch.where(count > 0, 1 / count.clamp(min=1), count))
    needed = [seen[0]]
    for _ in range(layers):
        needed.append(_spread(needed[-1], kernel) > 0)
    needed.reverse()
    both = [s & n for s, n in zip(seen, needed, strict=True)]
    return [Reached(cells, weight) for cells, weight in zip(both, weights, strict=True)]


def _spread(mask: Tensor, kernel: int) -> Tensor:
    """How many cells of mask (S,S) a kernel around each cell covers."""
    ones = torch.ones(1, 1, kernel, kernel)
    return functional.conv2d(mask[None, None].float(), ones, padding=kernel // 2)[0, 0].round()


class MapNetwork(nn.Module):
    """Layers of convolution, ReLU and division by the number of cells seen.

    Training and GPUs convolve the padded map; a CPU that only answers computes the cells that
    reach a valid one, by tiles (mktn.models.map_tiles): the same numbers to rounding.
    """

    def __init__(self, proposals: ProposalMap, width: int, kernel: int, layers: int) -> None:
        super().__init__()
        self.proposals, self.kernel = proposals, kernel
        self.convolutions = nn.ModuleList(nn.Conv2d(width, width, kernel) for _ in range(layers))
        with torch.device("cpu"):  # counted here even where the weights have no memory
            self.reached = reached(proposals.mask, kernel, layers)
        side = len(self.reached[0].cells)
        for number, found in enumerate(self.reached[1:], 1):
            cut = slice(number * (kernel // 2), side - number * (kernel // 2))
            self.register_buffer(f"weight_{number}", found.weight[cut, cut], persistent=False)
        self._tiles: Tiles | None = None

    def forward(self, x: Tensor) -> Tensor:
        """The valid moments x (Q,K,d), in the order of the proposals' cells -> (Q,K,d)."""
        return self.by_tiles(x) if self.tiled(x) else self.plain(x)

    def tiled(self, x: Tensor) -> bool:
        """Whether tiles are the faster way for x here, and exact."""
        return (
            not (torch.is_grad_enabled() or self.training)
            and x.device.type == "cpu"
            and x.dtype == torch.float32
            and x.shape[-1] >= LEAST_WIDTH
            and tile_of(self.kernel) > 0
        )

    def plain(self, x: Tensor) -> Tensor:
        """`forward` by convolutions of the whole padded map."""
        size = self.proposals.size
        whole = x.new_zeros(len(x), x.shape[2], size**2)
        x = whole.index_copy(2, self.proposals.flat, x.transpose(1, 2))
        # Channels last is what a CPU's convolutions are fastest in.
        x = x.unflatten(2, (size, size)).contiguous(memory_format=torch.channels_last)
        padding = len(self.convolutions) * (self.kernel // 2)
        for number, (weight, bias) in enumerate(self._weights(), 1):
            x = functional.relu(functional.conv2d(x, weight, bias, padding=padding))
            x = x * self.get_buffer(f"weight_{number}")
            padding = 0
        return self.proposals.at_cells(x)

    def by_tiles(self, x: Tensor) -> Tensor:
        """`forward` of the cells that matter alone, without a gradient."""
        return self.tiles()(x, self._weights())

    def tiles(self) -> Tiles:
        """The tiles of the layers, laid when they are first asked for."""
        if self._tiles is None:
            self._tiles = Tiles([(r.cells, r.weight) for r in self.reached], self.kernel)
        return self._tiles

    def _weights(self) -> list[tuple[Tensor, Tensor]]:
        return [
            (layer.get_parameter("weight"), layer.get_parameter("bias"))
            for layer in self.convolutions
        ]

    def train(self, mode: bool = True) -> "MapNetwork":
        """As torch's; the tiles' copies of the weights are let go."""
        self._tiles = None
        return super().train(mode)
