"""Sparse maps of candidate moments, shared by 2D-TAN, MMN and LCNet.

V videos, T frames, N cells a video, K candidate moments, d or c channels. Cell (i,j) of a map
(V,d,N,N) is the moment from the start of cell i to the end of cell j of the video.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mktn.models.config import check_map


def sparse_lines(cells: int, counts: Sequence[int]) -> list[tuple[int, int]]:
    """The diagonals of 2D-TAN's sparse scheme: (offset j - i, stride of i), shortest first.

    The first scale has counts[0] diagonals from the main one on at stride 1; each later scale s
    has counts[s] more, 2^s apart, at stride 2^s. Raises ValueError where a diagonal would lie
    outside the map of N = `cells`, or a count is below 1.
    """
    check_map(cells, counts)
    lines, offset = [], -1
    for scale, count in enumerate(counts):
        for _ in range(count):
            offset += 2**scale
            lines.append((offset, 2**scale))
    return lines


def sparse_cells(cells: int, counts: Sequence[int]) -> Tensor:
    """The valid cells (K,2) int64, i <= j, of a map of `cells`, in the order of rows.

    `counts` as in sparse_lines, which says what is refused. [16,8,8] at 64 cells are 1104.
    """
    # Not by a mask's nonzero, which has no answer where a model is built for its shapes alone.
    return torch.tensor(
        sorted(
            (start, start + offset)
            for offset, stride in sparse_lines(cells, counts)
            for start in range(0, cells - offset, stride)
        )
    )


def pool_to_cells(frames: Tensor, frame_mask: Tensor, cells: int) -> Tensor:
    """Overlap mean of frames (V,T,d) over equal bins of each video's real frames -> (V,N,d).

    frame_mask (V,T) bool, real frames first. A bin shorter than a frame takes the frames that
    it touches, by the share of it that each covers. A video without frames is zero.
    """
    # Places in float32 at least: bfloat16 would move an edge by half a frame.
    exact = torch.promote_types(frames.dtype, torch.float32)
    count = frame_mask.sum(dim=1)[:, None].to(exact)  # (V,1)
    edges = torch.arange(cells + 1, device=frames.device, dtype=exact) * count / cells
    first = torch.arange(frames.shape[1], device=frames.device, dtype=exact)
    end = torch.minimum(edges[:, 1:, None], first + 1)
    weight = (end - torch.maximum(edges[:, :-1, None], first)).clamp(min=0)  # (V,N,T)
    weight = (weight / weight.sum(dim=2, keepdim=True).clamp(min=1e-12)).to(frames.dtype)
    # where, not a product: what stands in padding may be infinite.
    return weight @ torch.where(frame_mask[..., None], frames, frames.new_zeros(()))


class ProposalMap(nn.Module):
    """2D-TAN's sparse map: the maximum over the cells i..j of every valid moment (i,j).

    Buffers: cells (K,2) int64, moments (K,2) float, start and end as fractions of the duration,
    mask (N,N) bool. None is saved with the weights: the sizes give them.
    """

    cells: Tensor
    moments: Tensor
    mask: Tensor
    flat: Tensor
    order: Tensor

    def __init__(self, cells: int, counts: Sequence[int]) -> None:
        super().__init__()
        self.size, self.lines = cells, sparse_lines(cells, counts)
        with torch.device("cpu"):  # counted here even where the weights have no memory
            valid = sparse_cells(cells, counts)
            mask = torch.zeros(cells, cells, dtype=torch.bool)
            mask[valid[:, 0], valid[:, 1]] = True
            moments = (valid + torch.tensor([0, 1])).float() / cells
            starts = [torch.arange(0, cells - offset, stride) for offset, stride in self.lines]
            ends = [s + offset for s, (offset, _) in zip(starts, self.lines, strict=True)]
            order = torch.cat(starts) * cells + torch.cat(ends)
            given = {"cells": valid, "moments": moments, "mask": mask, "order": order}
            given["flat"] = valid[:, 0] * cells + valid[:, 1]
        for name, value in given.items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """x (V,N,d) -> (V,d,N,N), zero outside the valid cells."""
        line = x.transpose(1, 2)  # (V,d,N)
        found, last = [line], 1
        for _, stride in self.lines[1:]:
            # Each diagonal from the one before it: two neighbours overlap in all but their ends.
            if stride == last:
                line = torch.maximum(line[..., :-1], line[..., 1:])
            else:
                outer = torch.maximum(line[..., :-2:2], line[..., 2::2])
                line = torch.maximum(outer, line[..., 1:-1:2])
            found.append(line)
            last = stride
        pooled = torch.cat(found, dim=2)
        empty = pooled.new_zeros(*pooled.shape[:2], self.size**2)
        return empty.index_copy(2, self.order, pooled).unflatten(2, (self.size, self.size))

    def at_cells(self, of_map: Tensor) -> Tensor:
        """A map (V,c,N,N) at the valid cells, in the order of `cells` -> (V,K,c)."""
        return of_map.flatten(2).index_select(2, self.flat).transpose(1, 2)
