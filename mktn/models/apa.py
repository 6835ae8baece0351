"""APA, activity-sentence prototype alignment.

V videos, Q queries, T frames, A object and E activity prototypes, d width.
"""

import dataclasses
import math

import torch
from torch import Tensor, nn

from mktn.models.layers import masked_mean
from mktn.models.similarity import activity_sentence_similarity
from mktn.models.variants import ActivityMode


@dataclasses.dataclass
class Activities:
    """Frame prototypes P_f and activity prototypes P_e."""

    frames: Tensor | None  # P_f (V,T,d)
    activities: Tensor  # P_e (V,E,d)


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

    def of_video(self, frames: Tensor, mask: Tensor, objects: Tensor) -> Activities:
        """Prototypes of frames G (V,T,d), mask (V,T) and objects P_a (V,T,A,d)."""
        if self.mode == "pooled":
            return Activities(None, self.pooled(masked_mean(frames, mask))[:, None])
        prototypes = (self._frames(objects) + frames) / 2
        return Activities(prototypes, self._activities(prototypes, mask))

    def forward(self, activities: Tensor, sentences: Tensor) -> Tensor | None:
        """S_es (V,Q) of P_e (V,E,d) and the raw sentences q (Q,d), where the mode has it."""
        if self.mode == "unaligned":
            return None
        return activity_sentence_similarity(activities, sentences)

    def _frames(self, objects: Tensor) -> Tensor:
        """Q_f + softmax(Q_f K^T / sqrt(d) + M) V of Eq. 5, block by block: (V,T,d)."""
        if objects.shape[1] != len(self.frame_queries):
            raise ValueError(f"{objects.shape = }, expected T = {len(self.frame_queries)}")
        # Keys are projected from the side of Q_f and values after they are averaged, which is the
        # same: a product for each frame in place of one for each of its objects.
        asked = self.frame_queries @ self.object_key.weight  # (T,d)
        scores = torch.einsum("td,vtad->vta", asked, objects)
        weights = (scores / math.sqrt(objects.shape[-1])).softmax(dim=-1)
        attended = torch.einsum("vta,vtad->vtd", weights, objects)
        return self.frame_queries + self.object_value(attended)

    def _activities(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Q_e + softmax(Q_e K_f^T / sqrt(d)) V_f over the real frames: (V,E,d)."""
        asked = self.activity_queries @ self.frame_key.weight  # (E,d), as in _frames
        scores = torch.einsum("ed,vtd->vet", asked, frames) / math.sqrt(frames.shape[-1])
        weights = scores.masked_fill(~mask[:, None], -torch.inf).softmax(dim=-1)
        attended = torch.einsum("vet,vtd->ved", weights, frames)
        return self.activity_queries + self.frame_value(attended)
