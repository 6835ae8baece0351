"""The grounding head: start and end logits, and the float boundaries inside their cells.

Q queries, T frames, d width.
"""

import torch
from torch import Tensor, nn

from mktn.models.layers import FeedForward, TransformerBlock


class SpanHead(nn.Module):
    """H_s = block1(F), H_e = block2(H_s); logits FFN([H;F]); offsets sigmoid(FFN(F))."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.start_block = TransformerBlock(width, heads, dropout)
        self.end_block = TransformerBlock(width, heads, dropout)
        # No last bias: it would move all frames alike.
        self.start = FeedForward(2 * width, width, 1, dropout, bias=False)
        self.end = FeedForward(2 * width, width, 1, dropout, bias=False)
        self.offsets = FeedForward(width, width, 2, dropout)

    def forward(self, fused: Tensor, frame_mask: Tensor) -> dict[str, Tensor]:
        """fused F (Q,T,d), frame_mask (Q,T) -> start_logits, end_logits (Q,T), offsets (Q,T,2).

        A masked frame's logit is the lowest finite number: its probability is zero.
        """
        start = self.start_block(fused, frame_mask)
        end = self.end_block(start, frame_mask)
        start_logits = self.start(torch.cat([start, fused], dim=-1))[..., 0]
        end_logits = self.end(torch.cat([end, fused], dim=-1))[..., 0]
        lowest = torch.finfo(start_logits.dtype).min
        return {
            "start_logits": start_logits.masked_fill(~frame_mask, lowest),
            "end_logits": end_logits.masked_fill(~frame_mask, lowest),
            "offsets": self.offsets(fused).sigmoid(),
        }
