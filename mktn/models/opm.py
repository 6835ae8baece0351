"""OPM, object-phrase prototype matching.

V videos, Q queries, T frames, C+1 patches (slot 0 the frame), L words, A object and P phrase
prototypes, d width.
"""

import torch
from torch import Tensor, nn

from mktn.models.encoders import Encoded
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

    def forward(self, encoded: Encoded, objects: Tensor | None = None) -> Tensor | None:
        """S_op (V,Q) where the mode has it; `objects`: P_a where it is known already."""
        if self.mode not in ("prototypes", "raw"):
            return None
        if objects is None:
            objects = self.of_video(encoded.patches)
        phrases, mask = encoded.words, encoded.word_mask
        if self.phrase_weights is not None:
            weights = self.phrase_weights(phrases) * mask[..., None]  # (Q,L,P)
            phrases = torch.einsum("qlp,qld->qpd", weights, phrases)
            mask = mask.new_ones(phrases.shape[:2])
        return object_phrase_similarity(objects, encoded.frame_mask, phrases, mask)
