"""CSM, cross-sentence semantic mining: T = MLP(tau(F_q, F_mem)).

V videos, Q queries, T frames, L words, d width.
"""

import torch
from torch import Tensor, nn

from mktn.grouping.batch import PairBatch
from mktn.models.encoders import Encoded
from mktn.models.layers import Attention, FeedForward, TransformerBlock, sinusoid


class Phrases(nn.Module):
    """Phrase features: a depthwise-separable convolution of width 3 over the words."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, 3, padding=1, groups=width)
        self.pointwise = nn.Conv1d(width, width, 1)

    def forward(self, words: Tensor, mask: Tensor) -> Tensor:
        """words (Q,L,d), mask (Q,L) -> (Q,L,d), zero at padding."""
        words = (words * mask[..., None]).transpose(1, 2)
        return self.pointwise(self.depthwise(words)).transpose(1, 2) * mask[..., None]


class CSM(nn.Module):
    """Queries learn from the other queries they are related to, and from a multi-modal memory.

    temporal: position of the query among its video's annotations. contextual: self-attention
    among related queries. semantic: words and phrases in the memory beside the frames.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        dropout: float,
        temporal: bool = True,
        contextual: bool = True,
        semantic: bool = True,
        span: bool = True,
    ) -> None:
        super().__init__()
        self.temporal = temporal
        self.among_queries = TransformerBlock(width, heads, dropout) if contextual else None
        self.phrases = Phrases(width) if semantic else None
        self.norm_memory = nn.LayerNorm(width)
        self.norm_query = nn.LayerNorm(width)
        self.to_memory = Attention(width, heads, dropout)
        self.norm_forward = nn.LayerNorm(width)
        self.forward_layers = FeedForward(width, 2 * width, width, dropout)
        self.span = FeedForward(width, width, 2, dropout) if span else None

    def forward(
        self, encoded: Encoded, batch: PairBatch, everyone: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Enriched sentences z (Q,d), and spans (Q,2) as fractions of the duration, ordered.

        `everyone`: the raw sentences of the whole batch, where `batch` is a share of it.
        """
        x = self._in_order(encoded.sentences, batch.order)
        if self.among_queries is not None and batch.share is not None:
            if everyone is None:
                raise ValueError("a share of a batch needs the sentences of the whole")
            whole = batch.share.whole
            others = self._in_order(everyone, whole.order)
            others = self.among_queries.norm_attention(others)  # as the block does with x
            visible = whole.visible()[batch.share.computed]  # (own,Q)
            x = self.among_queries(x[None], visible[None], others[None])[0]
        elif self.among_queries is not None:
            x = self.among_queries(x[None], batch.visible()[None])[0]
        memory = encoded.frames[batch.video_index]  # (Q,T,d)
        mask = encoded.frame_mask[batch.video_index]
        if self.phrases is not None:
            phrases = self.phrases(encoded.words, encoded.word_mask)
            memory = torch.cat([memory, encoded.words, phrases], dim=1)  # (Q,T+2L,d)
            mask = torch.cat([mask, encoded.word_mask, encoded.word_mask], dim=1)
        x = x[:, None]
        x = x + self.to_memory(self.norm_query(x), self.norm_memory(memory), mask)
        z = (x + self.forward_layers(self.norm_forward(x)))[:, 0]  # (Q,d)
        if self.span is None:
            return z, None
        start, share = self.span(z).sigmoid().unbind(dim=-1)
        return z, torch.stack([start, start + (1 - start) * share], dim=-1)

    def _in_order(self, sentences: Tensor, order: Tensor) -> Tensor:
        """Sentences (Q,d) with their place among their video's annotations."""
        if not self.temporal:
            return sentences
        known = (order >= 0)[:, None]
        return sentences + sinusoid(order, sentences.shape[-1]).to(sentences.dtype) * known
