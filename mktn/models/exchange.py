"""What processes that share a batch show each other, so that each sees all queries and videos.

The objective is the sum of what the processes' losses return. Forward, every process gets the
rows of all; backward, a row's gradient is the sum of what all processes pull on it. The rows then
have the gradient that they have where one process computes everything.

V videos, Q queries of the whole batch.
"""

from typing import Any

import torch
from torch import Tensor, distributed
from torch.autograd.function import once_differentiable

from mktn.grouping.share import Share


def of_queries(share: Share, *values: Tensor) -> list[Tensor]:
    """Values of this process's queries (q,...) -> those of all queries (Q,...), one exchange."""
    return _gathered([value[: share.own] for value in values], share.queries, share.rank)


def of_videos(share: Share, *values: Tensor) -> list[Tensor]:
    """Values of this process's videos (v,...) -> those of all videos (V,...), one exchange.

    A video that two processes encoded is in the values of the process that compares it.
    """
    compared = [value[share.skipped :] for value in values]
    return _gathered(compared, share.videos, share.rank)


def _gathered(values: list[Tensor], counts: tuple[int, ...], rank: int) -> list[Tensor]:
    # One exchange for all: what it costs is its latency.
    wide = torch.promote_types(torch.float32, values[0].dtype)
    for value in values:
        wide = torch.promote_types(wide, value.dtype)
    flat = torch.cat([value.flatten(1).to(wide) for value in values], dim=1)
    everyone: Tensor = _Gather.apply(flat, counts, rank)
    parts = everyone.split([value.shape[1:].numel() for value in values], dim=1)
    return [
        part.reshape(len(part), *value.shape[1:]).to(value.dtype)
        for part, value in zip(parts, values, strict=True)
    ]


class _Gather(torch.autograd.Function):
    """Rows (n_r,W) of each process r -> the rows of all (sum n,W), in the processes' order."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: tuple[int, ...], rank: int) -> Tensor:
        ctx.counts, ctx.rank = counts, rank
        # Every process sends as many rows, which both gloo and nccl can.
        padded = rows.new_zeros(max(counts), rows.shape[1])
        padded[: len(rows)] = rows
        received = [torch.empty_like(padded) for _ in counts]
        distributed.all_gather(received, padded)
        return torch.cat([part[:count] for part, count in zip(received, counts, strict=True)])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        grad = grad.contiguous().clone()
        distributed.all_reduce(grad)
        start = sum(ctx.counts[: ctx.rank])
        return grad[start : start + ctx.counts[ctx.rank]], None, None
