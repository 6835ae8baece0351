"""Masked layers that every module is built of.

N a batch axis, S a sequence axis (queries attend), M a memory axis (attended to), d width.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


def sinusoid(positions: Tensor, width: int) -> Tensor:
    """Sinusoidal position encoding: positions (...) any number -> (..., width) float32."""
    half = (width + 1) // 2
    rates = torch.exp(
        torch.arange(half, device=positions.device, dtype=torch.float32)
        * (-math.log(10000.0) / max(half, 1))
    )
    angles = positions[..., None].float() * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1)[..., :width]


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of values (N,S,d) over the real positions of mask (N,S) -> (N,d)."""
    weight = mask.to(values.dtype)[..., None]
    return (values * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)


def full_precision(device: torch.device) -> torch.autocast:
    """Around recurrent layers: autocast runs them in float16 on a GPU, whatever it is asked for.

    The gradients of a training without a scaled loss vanish or overflow there.
    """
    return torch.autocast(device.type, enabled=False)


def full(x: Tensor) -> Tensor:
    """x in float32 where it is of less."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class Attention(nn.Module):
    """Multi-head attention; a masked memory position has weight zero.

    Keys have no bias: it adds the same to every score of a query, which softmax ignores.
    """

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        """x (N,S,d), memory (N,M,d), mask (N,M) or (N,S,M) bool -> (N,S,d)."""
        if x.shape[1] == 1 and not (self.training and self.dropout):
            return self._of_one(x[:, 0], memory, mask)[:, None]
        query = self._split(self.query(x))  # (N,h,S,d/h)
        key, value = self._split(self.key(memory)), self._split(self.value(memory))
        mask = mask[:, None, None, :] if mask.dim() == 2 else mask[:, None]
        attended = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=self.dropout if self.training else 0.0
        )
        return self.out(attended.transpose(1, 2).flatten(2))

    def _of_one(self, x: Tensor, memory: Tensor, mask: Tensor) -> Tensor:
        """The same for one x (N,d) a memory, without a key and a value of each of its rows.

        The key's map is applied to the query, and the value's to what was attended to.
        """
        mask = mask if mask.dim() == 2 else mask[:, 0]
        query = self.query(x).unflatten(-1, (self.heads, -1))  # (N,h,d/h)
        key, value = (
            layer.weight.unflatten(0, (self.heads, -1)) for layer in (self.key, self.value)
        )  # (h,d/h,d)
        asked = torch.einsum("nhk,hkd->nhd", query, key) / math.sqrt(query.shape[-1])
        scores = (asked @ memory.transpose(1, 2)).masked_fill(~mask[:, None], -torch.inf)
        attended = scores.softmax(dim=-1).to(memory.dtype) @ memory  # (N,h,d)
        heads = torch.einsum("nhd,hkd->nhk", attended, value).flatten(1)
        return self.out(heads + self.value.bias)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class FeedForward(nn.Sequential):
    """Linear, GELU, dropout, linear: (...,d) -> (...,out)."""

    def __init__(
        self, width: int, hidden: int, out: int, dropout: float, bias: bool = True
    ) -> None:
        super().__init__(
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, out, bias=bias),
        )


class TransformerBlock(nn.Module):
    """Pre-norm transformer block; with a memory it attends to that instead of to itself."""

    def __init__(self, width: int, heads: int, dropout: float, expansion: int = 2) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout)
        self.norm_forward = nn.LayerNorm(width)
        self.forward_layers = FeedForward(width, expansion * width, width, dropout)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor, memory: Tensor | None = None) -> Tensor:
        """x (N,S,d), mask (N,M) or (N,S,M), memory (N,M,d) or None for x itself -> (N,S,d)."""
        normed = self.norm_attention(x)
        x = x + self.dropout(self.attention(normed, normed if memory is None else memory, mask))
        return x + self.dropout(self.forward_layers(self.norm_forward(x)))


class SelectionWeights(nn.Sequential):
    """Three linear layers and ReLU: sparse non-negative weights (...,d) -> (...,prototypes)."""

    def __init__(self, width: int, prototypes: int) -> None:
        super().__init__(
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, prototypes),
            nn.ReLU(),
        )


class BiGRU(nn.Module):
    """Bidirectional GRU over the real prefix of each sequence.

    The backward direction reads each sequence reversed within its own length, so padding
    reaches no real output and no length has to be known on the host.
    """

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.ahead = nn.GRU(width, out - out // 2, batch_first=True)
        self.back = nn.GRU(width, out // 2, batch_first=True)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (N,S,d_in), mask (N,S) bool with real positions first -> (N,S,out), padding zero."""
        x = x * mask[..., None]
        positions = torch.arange(x.shape[1], device=x.device)
        last = mask.sum(dim=1, keepdim=True) - 1
        reverse = torch.where(mask, last - positions, positions)[..., None]  # (N,S,1)
        with full_precision(x.device):
            x = full(x)
            ahead, _ = self.ahead(x)
            back, _ = self.back(x.gather(1, reverse.expand_as(x)))
        back = back.gather(1, reverse.expand_as(back))
        return torch.cat([ahead, back], dim=-1) * mask[..., None]
