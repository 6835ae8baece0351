"""Video and text encoders (paper, "Preparation").

V videos, T frames, C patches (slot 0 of the axis C+1 is the frame itself), Q queries, L words,
D_* input widths, d model width.
"""

import dataclasses

import torch
from torch import Tensor, nn

from mktn.grouping.batch import PairBatch
from mktn.models.layers import Attention, BiGRU, sinusoid


@dataclasses.dataclass
class Encoded:
    """What the encoders make of a batch."""

    frames: Tensor  # G (V,T,d)
    patches: Tensor  # (V,T,C+1,d), slot 0 = G
    frame_mask: Tensor  # (V,T) bool
    words: Tensor  # W (Q,L,d)
    word_mask: Tensor  # (Q,L) bool
    sentences: Tensor  # q (Q,d)


class VideoEncoder(nn.Module):
    """Linear maps to d, frame positions and self-attention over the frames.

    Published features have no patches: the frame's vector is then expanded by a learned linear
    map into `virtual_patches` slots. Positions and attention act on the global slot.
    """

    def __init__(
        self,
        dimension: int,
        patch_dimension: int,
        virtual_patches: int,
        width: int,
        heads: int,
        dropout: float,
        feature_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.features = nn.Dropout(feature_dropout)
        self.virtual_patches = 0 if patch_dimension else virtual_patches
        self.frame = nn.Linear(dimension, width)
        self.patch = nn.Linear(patch_dimension or dimension, width * max(self.virtual_patches, 1))
        self.norm_frame = nn.LayerNorm(width)
        self.norm_patch = nn.LayerNorm(width)
        self.norm_in = nn.LayerNorm(width)
        self.attention = Attention(width, heads, dropout)
        self.norm_out = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, batch: PairBatch) -> tuple[Tensor, Tensor]:
        """Frames G (V,T,d) and patches (V,T,C+1,d)."""
        frames = self.features(batch.frames)
        # Normalised, as the patches are: else the position outweighs features of small scale.
        x = self.dropout(self.norm_frame(self.frame(frames)))
        x = x + sinusoid(torch.arange(x.shape[1], device=x.device), x.shape[-1]).to(x.dtype)
        normed = self.norm_in(x)
        x = self.norm_out(x + self.dropout(self.attention(normed, normed, batch.frame_mask)))
        if self.virtual_patches:
            patches = self.patch(frames).unflatten(-1, (self.virtual_patches, -1))
        elif batch.patches is None:
            raise ValueError("the model was built for patches and the batch has none")
        else:
            patches = self.patch(self.features(batch.patches))
        patches = self.norm_patch(self.dropout(patches))  # (V,T,C,d)
        return x, torch.cat([x[:, :, None], patches], dim=2)


class TextEncoder(nn.Module):
    """Word vectors through a bidirectional GRU; the sentence vector through a linear map."""

    def __init__(
        self, word_dimension: int, sentence_dimension: int, width: int, dropout: float
    ) -> None:
        super().__init__()
        self.word = nn.Linear(word_dimension, width)
        self.gru = BiGRU(width, width)
        self.norm_words = nn.LayerNorm(width)
        self.sentence = nn.Linear(sentence_dimension, width)
        self.norm_sentence = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, batch: PairBatch) -> tuple[Tensor, Tensor]:
        """Words W (Q,L,d), zero at padding, and sentences q (Q,d)."""
        words = self.dropout(self.word(batch.words))
        words = self.norm_words(words + self.gru(words, batch.word_mask))
        sentences = self.norm_sentence(self.dropout(self.sentence(batch.sentences)))
        return words * batch.word_mask[..., None], sentences
