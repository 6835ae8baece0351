"""Convolutions of the cells that matter, in fewer products: Winograd's tiles.

Q queries, K valid moments, d channels, k kernel, m side of a tile's outputs, n = m + k - 1 of its
inputs, R tiles of a layer. A tile's m^2 outputs take n^2 products of channels in place of m^2 k^2
(64 for 400 at k = 5), and only tiles with a cell that matters are computed. Toom and Cook's
algorithm in two dimensions: outputs = A^T [(G g G^T) * (B^T x B)] A (Lavin and Gray, CVPR 2016).
It is exact; in float32 the result differs from a plain convolution by rounding, some 1e-5 of it.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

# Of small size and opposite sign, so that float32 loses little; one fewer than a tile's inputs.
POINTS = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)
# Numbers in one of the two buffers that a pass over some queries works in.
BUFFER = 2**25


def tile_of(kernel: int) -> int:
    """Side m of a tile's outputs, 0 where no tile is worth its rounding or its transforms."""
    return {3: 4, 5: 4, 7: 2}.get(kernel, 0)


def transforms(outputs: int, kernel: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A^T (m,n), G (n,k) and B^T (n,n) float64 of m outputs of a kernel of k."""
    size = outputs + kernel - 1
    points = POINTS[: size - 1]
    a_t, g, b_t = np.zeros((outputs, size)), np.zeros((size, kernel)), np.zeros((size, size))
    for row, point in enumerate(points):
        others = [p for p in points if p != point]
        a_t[:, row] = point ** np.arange(outputs)
        g[row] = point ** np.arange(kernel) / np.prod([point - p for p in others])
        b_t[row, : size - 1] = np.poly(others)[::-1]
    a_t[-1, -1] = g[-1, -1] = 1  # the point at infinity
    b_t[-1] = np.poly(points)[::-1]
    scale = 2.0 ** np.round(np.log2(np.linalg.norm(b_t, axis=1, keepdims=True)))
    return a_t, g * scale, b_t / scale


@dataclasses.dataclass
class TiledLayer:
    """Where a layer's inputs stand in the rows of the one before, and what its outputs weigh."""

    inputs: Tensor  # (n*n*R,) int64, rows of the layer before; its last row is zero
    weight: Tensor  # (m*m*R,1) float, 0 at cells that do not matter


class Tiles:
    """The layers of a map network by tiles; weights are transformed once, until they change."""

    def __init__(self, layers: Sequence[tuple[Tensor, Tensor]], kernel: int) -> None:
        """`layers`: cells (S,S) bool and weight (S,S) of the input and each layer's outputs."""
        self.kernel, self.side = kernel, tile_of(kernel)
        self.size = self.side + kernel - 1
        a_t, self.g, b_t = transforms(self.side, kernel)
        self.to_outputs = torch.from_numpy(np.kron(a_t, a_t)).float()  # (m*m,n*n)
        self.to_products = torch.from_numpy(np.kron(b_t, b_t)).float()  # (n*n,n*n)
        cells = layers[0][0]
        border = self.size + self.side  # a tile may begin or end outside the map
        row_of = torch.full([len(cells) + 2 * border] * 2, int(cells.sum()))
        valid = cells.nonzero() + border
        row_of[valid[:, 0], valid[:, 1]] = torch.arange(len(valid))
        self.layers: list[TiledLayer] = []
        for matter, weight in layers[1:]:
            row_of = self._add(row_of, matter, weight, border)
        self.outputs = row_of[valid[:, 0], valid[:, 1]]
        self.most = max(len(layer.inputs) for layer in self.layers)
        self.kept: dict[int, tuple[tuple[int, int], Tensor]] = {}

    def _add(self, row_of: Tensor, matter: Tensor, weight: Tensor, border: int) -> Tensor:
        """Lay the layer's tiles; rows of its outputs on the map with its border (S',S')."""
        m, n = self.side, self.size
        cells = matter.nonzero()
        shifts = [torch.tensor([i, j]) for i in range(m) for j in range(m)]
        laid = ((((cells + s) // m).unique(dim=0) * m - s) for s in shifts)
        tiles = min(laid, key=len) + border  # (R,2), the corner of each one's outputs

        def around(first: int, count: int) -> tuple[Tensor, Tensor]:
            steps = torch.arange(first, first + count)
            i, j = torch.meshgrid(steps, steps, indexing="ij")
            return i[..., None] + tiles[:, 0], j[..., None] + tiles[:, 1]  # (count,count,R)

        inputs = row_of[around(-(self.kernel // 2), n)].flatten()
        whole = torch.zeros(row_of.shape)
        inner = slice(border, -border)
        whole[inner, inner] = torch.where(matter, weight, 0.0)
        here = around(0, m)
        self.layers.append(TiledLayer(inputs, whole[here].flatten()[:, None]))
        rows = torch.full_like(row_of, m * m * len(tiles))
        mine = whole[here] > 0
        order = torch.arange(mine.numel()).view(mine.shape)
        rows[here[0][mine], here[1][mine]] = order[mine]
        return rows

    def __call__(self, x: Tensor, parameters: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        """x (Q,K,d) float32, weights (d,d,k,k) and biases (d,) of the layers -> (Q,K,d)."""
        queries = max(1, BUFFER // (self.most * x.shape[2]))
        return torch.cat([self._some(part, parameters) for part in x.split(queries)])

    def _some(self, x: Tensor, parameters: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
        queries, _, width = x.shape
        rows = torch.cat([x.transpose(0, 1).flatten(1), x.new_zeros(1, queries * width)])
        for number, (layer, (weight, bias)) in enumerate(
            zip(self.layers, parameters, strict=True)
        ):
            given = rows.index_select(0, layer.inputs).view(self.size**2, -1)
            factors = torch.mm(self.to_products, given).view(self.size**2, -1, width)
            # The memory of what was gathered takes the products.
            products = torch.bmm(
                factors, self._transformed(number, weight), out=given.view(factors.shape)
            )
            rows = x.new_empty(len(layer.weight) + 1, queries * width)
            rows[-1] = 0
            out = rows[:-1]
            products = products.view(self.size**2, -1)
            torch.mm(self.to_outputs, products, out=out.view(self.side**2, -1))
            out.view(-1, width).add_(bias).relu_()
            out.mul_(layer.weight)
        found = rows.index_select(0, self.outputs)
        return found.view(-1, queries, width).transpose(0, 1)

    def _transformed(self, number: int, weight: Tensor) -> Tensor:
        """G g G^T of a layer's weight (d,d,k,k) -> (n*n,d,d), inputs by outputs."""
        # Both change where weights do: a step or a loaded checkpoint, and other memory.
        state = (weight.data_ptr(), weight._version)
        if number not in self.kept or self.kept[number][0] != state:
            both = torch.from_numpy(np.kron(self.g, self.g))
            taps = weight.detach().double().permute(2, 3, 1, 0).flatten(2).flatten(0, 1)
            self.kept[number] = (state, (both @ taps).float().unflatten(1, weight.shape[:2]))
        return self.kept[number][1]
