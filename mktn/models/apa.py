"""APA, activity-sentence prototype alignment.

V videos, Q queries, T frames, A object and E activity prototypes, d width.
"""

import dataclasses
import math

import torch
from torch import Tensor, nn

from mktn.models.encoders import Encoded
from mktn.models.layers import masked_mean
from mktn.models.similarity import activity_sentence_similarity
from mktn.models.variants import ActivityMode


@dataclasses.dataclass
class Activities:
    """Frame prototypes P_f, activity prototypes P_e and their similarity with the sentences."""

    frames: Tensor | None  # P_f (V,T,d)
    activities: Tensor  # P_e (V,E,d)
    similarity: Tensor | None  # S_es (V,Q)


class APA(nn.Module):
    """Objects to frames (Eq. 5), frames to activities, activities against sentences.

    The mask of Eq. 5 is block diagonal: frame i attends to its own A prototypes, so it is
    computed as attention over the axis A with no (T, T*A) matrix. Q_f has T rows and Q_e has E
    (printed: N_a and M_q, which do not fit the mask and would make S_es trivially one).
    """

    def __init__(
        self, width: int, frames: int, activities: int, mode: ActivityMode = "prototypes"
    ) -> None:
        super().__init__()
        self.mode = mode
        if mode == "pooled":
            self.pooled = nn.Linear(width, width)
            return
        self.frame_queries = nn.Parameter(torch.randn(frames, width) * 0.02)  # Q_f
        self.activity_queries = nn.Parameter(torch.randn(activities, width) * 0.02)  # Q_e
        # Keys without a bias, which softmax would ignore.
        self.object_key = nn.Linear(width, width, bias=False)
        self.object_value = nn.Linear(width, width)
        self.frame_key = nn.Linear(width, width, bias=False)
        self.frame_value = nn.Linear(width, width)

    def forward(self, encoded: Encoded, objects: Tensor) -> Activities:
        """objects P_a (V,T,A,d); compared with the raw sentences q."""
        if self.mode == "pooled":
            frames = None
            activities = self.pooled(masked_mean(encoded.frames, encoded.frame_mask))[:, None]
        else:
            frames = (self._frames(objects) + encoded.frames) / 2
            activities = self._activities(frames, encoded.frame_mask)
        if self.mode == "unaligned":
            return Activities(frames, activities, None)
        similarity = activity_sentence_similarity(activities, encoded.sentences)
        return Activities(frames, activities, similarity)

    def _frames(self, objects: Tensor) -> Tensor:
        """Q_f + softmax(Q_f K^T / sqrt(d) + M) V of Eq. 5, block by block: (V,T,d)."""
        if objects.shape[1] != len(self.frame_queries):
            raise ValueError(f"{objects.shape = }, expected T = {len(self.frame_queries)}")
        key, value = self.object_key(objects), self.object_value(objects)  # (V,T,A,d)
        scores = torch.einsum("td,vtad->vta", self.frame_queries, key)
        weights = (scores / math.sqrt(key.shape[-1])).softmax(dim=-1)
        return self.frame_queries + torch.einsum("vta,vtad->vtd", weights, value)

    def _activities(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Q_e + softmax(Q_e K_f^T / sqrt(d)) V_f over the real frames: (V,E,d)."""
        key, value = self.frame_key(frames), self.frame_value(frames)  # (V,T,d)
        scores = torch.einsum("ed,vtd->vet", self.activity_queries, key)
        scores = scores / math.sqrt(key.shape[-1])
        weights = scores.masked_fill(~mask[:, None], -torch.inf).softmax(dim=-1)
        return self.activity_queries + torch.einsum("vet,vtd->ved", weights, value)
