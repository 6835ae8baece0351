"""AVM, adaptive video-query matching: the joint space in which videos and queries are compared.

V videos, Q queries, T frames, L words, d width.
"""

import dataclasses

from torch import Tensor, nn
from torch.nn import functional

from mktn.models.layers import TransformerBlock, masked_mean
from mktn.models.similarity import frame_word_similarity


@dataclasses.dataclass
class Matching:
    """Similarities of Eq. 1 and the means that Eq. 4 weighs the two contrasts by."""

    similarity: Tensor  # S (V,Q)
    frames: Tensor  # (V,d), mean of G' over real frames
    words: Tensor  # (Q,d), mean of W' over real words


class AVM(nn.Module):
    """W' = l2norm(zeta_w(W)), G' = l2norm(zeta_v(G)): one transformer layer each, or none."""

    def __init__(
        self, width: int, heads: int, dropout: float, visual: bool = True, textual: bool = True
    ) -> None:
        super().__init__()
        self.zeta_v = TransformerBlock(width, heads, dropout) if visual else None
        self.zeta_w = TransformerBlock(width, heads, dropout) if textual else None

    def of_video(self, frames: Tensor, mask: Tensor) -> Tensor:
        """G' (V,T,d) of frames G (V,T,d) and their mask (V,T)."""
        if self.zeta_v is not None:
            frames = self.zeta_v(frames, mask)
        return functional.normalize(frames, dim=-1)

    def of_text(self, words: Tensor, mask: Tensor) -> Tensor:
        """W' (Q,L,d) of words W (Q,L,d) and their mask (Q,L)."""
        if self.zeta_w is not None:
            words = self.zeta_w(words, mask)
        return functional.normalize(words, dim=-1)

    def forward(
        self, frames: Tensor, frame_mask: Tensor, words: Tensor, word_mask: Tensor
    ) -> Matching:
        """Compare every video with every query: G' (V,T,d) with W' (Q,L,d)."""
        similarity = frame_word_similarity(frames, frame_mask, words, word_mask)
        return Matching(similarity, masked_mean(frames, frame_mask), masked_mean(words, word_mask))
