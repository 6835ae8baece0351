"""AVM, adaptive video-query matching: the joint space in which videos and queries are compared.

V videos, Q queries, T frames, L words, d width.
"""

import dataclasses

from torch import Tensor, nn
from torch.nn import functional

from mktn.models.encoders import Encoded
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

    def forward(self, encoded: Encoded, frames: Tensor | None = None) -> Matching:
        """Compare every video with every query by their raw frames and words.

        `frames`: G' where it is known already.
        """
        if frames is None:
            frames = self.of_video(encoded.frames, encoded.frame_mask)
        words = encoded.words
        if self.zeta_w is not None:
            words = self.zeta_w(words, encoded.word_mask)
        words = functional.normalize(words, dim=-1)
        similarity = frame_word_similarity(frames, encoded.frame_mask, words, encoded.word_mask)
        return Matching(
            similarity,
            masked_mean(frames, encoded.frame_mask),
            masked_mean(words, encoded.word_mask),
        )
