"""OPM, object-phrase prototype matching.

V videos, Q queries, T frames, C+1 patches (slot 0 the frame), L words, A object and P phrase
prototypes, d width.
"""

import torch
from torch import Tensor, nn

from mktn.models.layers import SelectionWeights
from mktn.models.similarity import object_phrase_similarity
from mktn.models.variants import ObjectMode


class OPM(nn.Module):
    """P_a = A_v^T patches, P_p = A_w^T W, with A = ReLU(FC3(.)), and S_op.

    The paper prints P_p = W_p^T F_v: phrases are made of words, so W and its L rows stand here.
    """

    def __init__(
        self, width: int, objects: int, phrases: int, mode: ObjectMode = "prototypes"
    ) -> None:
        super().__init__()
        self.mode = mode
        selects = mode in ("prototypes", "objects")
        self.object_weights = SelectionWeights(width, objects) if selects else None
        self.phrase_weights = SelectionWeights(width, phrases) if mode == "prototypes" else None
        self.project = nn.Linear(width, width) if mode == "projected" else None

    def of_video(self, patches: Tensor) -> Tensor:
        """Object prototypes P_a (V,T,A,d) of patches (V,T,C+1,d)."""
        if self.object_weights is not None:
            weights = self.object_weights(patches)  # (V,T,C+1,A)
            return torch.einsum("vtca,vtcd->vtad", weights, patches)
        return patches if self.project is None else self.project(patches)

    @property
    def matches(self) -> bool:
        """Whether the mode compares videos with queries."""
        return self.mode in ("prototypes", "raw")

    def of_text(self, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Phrase prototypes P_p (Q,P,d) and their mask (Q,P) of words (Q,L,d), mask (Q,L)."""
        if self.phrase_weights is None:
            return words, mask
        weights = self.phrase_weights(words) * mask[..., None]  # (Q,L,P)
        phrases = torch.einsum("qlp,qld->qpd", weights, words)
        return phrases, mask.new_ones(phrases.shape[:2])

    def forward(
        self, objects: Tensor, frame_mask: Tensor, phrases: Tensor, phrase_mask: Tensor
    ) -> Tensor:
        """S_op (V,Q) of P_a (V,T,A,d) and P_p (Q,P,d)."""
        return object_phrase_similarity(objects, frame_mask, phrases, phrase_mask)
