"""IA-Net's interaction block: inter- and intra-modal attention, each with its calibration.

Q pairs, T frames, L words, K learned padding rows, H heads, d width. Numbers of equations and
sections are those of Liu et al., "Progressively Guide to Attend", EMNLP 2021.
"""

import dataclasses
import math

import torch
from torch import Tensor, nn


@dataclasses.dataclass
class AttentionMaps:
    """The averaged maps of one block, rows attend to columns and sum to one.

    Columns of padding stand last: T or L of the batch, masked ones zero, then the K learned.
    """

    frames_to_words: Tensor  # A_V (Q,T,L+K)
    words_to_frames: Tensor  # A_Q (Q,L,T+K)
    frames_to_frames: Tensor | None  # (Q,T,T), None where the block has no intra-modal attention
    words_to_words: Tensor | None  # (Q,L,L)


class InterAttention(nn.Module):
    """Eqs. 1 to 6: frames and words attend to each other and to K learned rows beside them.

    Each block has padding of its own, as it has projections of its own: what stands for nothing
    has to fit the features of that block. The padding's own rows of the maps, which Eqs. 5 and 6
    cut off, are not computed.
    """

    def __init__(self, width: int, heads: int, padding: int) -> None:
        super().__init__()
        self.heads = heads
        self.frame = nn.Linear(width, width)  # Theta_V, all heads
        self.word = nn.Linear(width, width)  # Theta_Q
        # Near zero: what attends to it takes up nothing until it learns otherwise.
        self.frame_padding = self.word_padding = None
        if padding:
            self.frame_padding = nn.Parameter(torch.randn(padding, width) * 0.02)
            self.word_padding = nn.Parameter(torch.randn(padding, width) * 0.02)

    def forward(
        self, frames: Tensor, frame_mask: Tensor, words: Tensor, word_mask: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """V (Q,T,d), Q (Q,L,d), masks -> M_V (Q,T,d), M_Q (Q,L,d), A_V (Q,T,L+K), A_Q (Q,L,T+K).

        The averaged map weighs the unprojected features, as Eqs. 5 and 6 are printed.
        """
        t, n = frames.shape[1], words.shape[1]
        frames, frame_mask = _padded(frames, frame_mask, self.frame_padding)
        words, word_mask = _padded(words, word_mask, self.word_padding)
        scores = _scores(self.frame(frames), self.word(words), self.heads)  # (Q,H,T+K,L+K)
        a_v = _averaged(scores[:, :, :t], word_mask)
        a_q = _averaged(scores[:, :, :, :n].transpose(2, 3), frame_mask)
        return a_v @ words, a_q @ frames, a_v, a_q


class IntraAttention(nn.Module):
    """Section 3.3: the same co-attention of a modality with itself, without padding.

    The keys have no bias, which softmax over them would ignore.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """x (Q,S,d), mask (Q,S) -> attended (Q,S,d), the averaged map (Q,S,S)."""
        attention = _averaged(_scores(self.query(x), self.key(x), self.heads), mask)
        return attention @ x, attention


class Calibration(nn.Module):
    """Eqs. 7 to 12 of one modality: a gate between x and its fusion with what x attended to."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.fusion = nn.Linear(2 * width, width)  # W_R, U_R, b_R
        self.gate = nn.Linear(2 * width, width)  # W_Z, U_Z, b_Z

    def forward(self, x: Tensor, attended: Tensor) -> Tensor:
        """x (Q,S,d), attended M (Q,S,d) -> (Q,S,d)."""
        joined = torch.cat([x, attended], dim=-1)
        gate = self.gate(joined).sigmoid()
        return gate * x + (1 - gate) * self.fusion(joined).tanh()


class Residual(nn.Module):
    """In place of a calibration that a variant leaves out: the sum.

    The paper does not say what models A, B and C pass on. M alone would put words in the place
    of frames.
    """

    def forward(self, x: Tensor, attended: Tensor) -> Tensor:
        """x (Q,S,d), attended M (Q,S,d) -> (Q,S,d)."""
        return x + attended


class InteractionBlock(nn.Module):
    """IIB of Eq. 13: inter-modal, then intra-modal interaction."""

    def __init__(
        self,
        width: int,
        heads: int,
        padding: int,
        dropout: float,
        *,
        calibrate_inter: bool = True,
        intra: bool = True,
        calibrate_intra: bool = True,
    ) -> None:
        super().__init__()

        def calibration(calibrated: bool) -> nn.Module:
            return Calibration(width) if calibrated else Residual()

        self.inter = InterAttention(width, heads, padding)
        self.calibrate_frames = calibration(calibrate_inter)
        self.calibrate_words = calibration(calibrate_inter)
        self.among_frames = self.among_words = None
        if intra:
            self.among_frames = IntraAttention(width, heads)
            self.among_words = IntraAttention(width, heads)
            self.calibrate_among_frames = calibration(calibrate_intra)
            self.calibrate_among_words = calibration(calibrate_intra)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        frames: Tensor,
        frame_mask: Tensor,
        words: Tensor,
        word_mask: Tensor,
        maps: list[AttentionMaps] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """V (Q,T,d), Q (Q,L,d) and masks -> the same, refined; its maps are put into `maps`."""
        m_v, m_q, a_v, a_q = self.inter(frames, frame_mask, words, word_mask)
        frames = self.calibrate_frames(frames, self.dropout(m_v))
        words = self.calibrate_words(words, self.dropout(m_q))
        s_v = s_q = None
        if self.among_frames is not None and self.among_words is not None:
            m_v, s_v = self.among_frames(frames, frame_mask)
            m_q, s_q = self.among_words(words, word_mask)
            frames = self.calibrate_among_frames(frames, self.dropout(m_v))
            words = self.calibrate_among_words(words, self.dropout(m_q))
        if maps is not None:
            maps.append(AttentionMaps(a_v, a_q, s_v, s_q))
        return frames, words


def _padded(x: Tensor, mask: Tensor, padding: Tensor | None) -> tuple[Tensor, Tensor]:
    """x (Q,S,d) and mask (Q,S) with the learned rows (K,d), which are real, behind them."""
    if padding is None:
        return x, mask
    rows = padding.to(x.dtype).expand(len(x), -1, -1)
    return torch.cat([x, rows], dim=1), torch.cat([mask, mask.new_ones(rows.shape[:2])], dim=1)


def _scores(a: Tensor, b: Tensor, heads: int) -> Tensor:
    """Scaled inner products of projected a (Q,S,d), b (Q,M,d) in each head: (Q,H,S,M)."""
    a, b = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (a, b))
    return a @ b.transpose(2, 3) / math.sqrt(a.shape[-1])


def _averaged(scores: Tensor, mask: Tensor) -> Tensor:
    """Eqs. 2 to 4: softmax over the real columns of scores (Q,H,S,M), mean over heads: (Q,S,M)."""
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~mask[:, None, None], lowest).softmax(dim=-1).mean(dim=1)
