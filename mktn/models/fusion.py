"""Multi-modal fusion by co-attention (paper, "Multi-Modal Fusion and Grounding Head").

Q queries (each with its own video), T frames, L+1 words and sentence token, d width.
"""

import torch
from torch import Tensor, nn

from mktn.models.layers import BiGRU


class Fusion(nn.Module):
    """F = BiGRU([X ; A ; X*A ; X*B]), A = S_r (W~ W_S), B = S_r S_c^T X."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.project = nn.Linear(width, width, bias=False)  # W_S
        self.gru = BiGRU(4 * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, frame_mask: Tensor, words: Tensor, word_mask: Tensor) -> Tensor:
        """X (Q,T,d), frame_mask (Q,T), W~ (Q,L+1,d), word_mask (Q,L+1) -> F (Q,T,d)."""
        words = self.project(words)
        similarity = x @ words.transpose(1, 2)  # S (Q,T,L+1)
        by_word = _softmax(similarity, word_mask[:, None, :], dim=2)  # S_r
        by_frame = _softmax(similarity, frame_mask[:, :, None], dim=1)  # S_c
        attended = by_word @ words  # A (Q,T,d)
        # S_r (S_c^T X): never the (T,T) product of the two softmaxes.
        returned = by_word @ (by_frame.transpose(1, 2) @ x)  # B (Q,T,d)
        joined = torch.cat([x, attended, x * attended, x * returned], dim=-1)
        return self.gru(self.dropout(joined), frame_mask)


def _softmax(scores: Tensor, mask: Tensor, dim: int) -> Tensor:
    # In a row that is all padding the softmax is uniform; nothing real reads it.
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~mask, lowest).softmax(dim=dim) * mask
