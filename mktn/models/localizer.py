"""IA-Net's segment localizer: windows of several sizes over the frames, scored and moved.

Q pairs, T frames, L words, W windows of S sizes, d width. Section 3.5 of Liu et al., EMNLP 2021.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


def window_spans(sizes: Sequence[int], stride: float, frames: int) -> Tensor:
    """Windows of these sizes over `frames` frames, (W,3) int64: start, exclusive end, size.

    A window of w frames slides from frame 0, in steps of w * stride frames, rounded, at least
    one, as far as it lies inside the video: the places of a convolution of kernel size w, as the
    paper calls its windows and their stride. Where the steps miss the video's end, one more is
    flush with it. (Section 3.5 has windows on each frame: with a stride they cannot be. Those of
    Yuan et al., 2019, too are on the cells of coarser maps.)
    """
    spans = []
    for number, size in enumerate(sizes):
        last = frames - size
        starts = range(0, last + 1, max(1, int(size * stride + 0.5)))
        for start in (*starts, *([] if starts[-1] == last else [last])):
            spans.append((start, start + size, number))
    return torch.tensor(spans, dtype=torch.long)


class SegmentLocalizer(nn.Module):
    """The video-aware sentence, and for each window a confidence and offsets of its boundaries.

    A window is scored from f_t of its middle frame. Windows that reach beyond a video's real
    frames do not exist for it; in a video shorter than every window the first one does, cut.
    """

    windows: Tensor  # (W,3) as of window_spans
    lengths: Tensor  # (S,) frames

    def __init__(self, width: int, dropout: float, windows: Tensor, sizes: Sequence[int]) -> None:
        super().__init__()
        self.sizes = len(sizes)
        self.register_buffer("windows", windows, persistent=False)
        self.register_buffer("lengths", torch.tensor(sizes).float(), persistent=False)
        self.score = _fully_connected(width, self.sizes, dropout)
        self.offset = _fully_connected(width, 2 * self.sizes, dropout)

    def forward(
        self, frames: Tensor, frame_mask: Tensor, words: Tensor, word_mask: Tensor
    ) -> dict[str, Tensor]:
        """V (Q,T,d), Q (Q,L,d) and masks -> what `IANet.forward` returns."""
        fused = torch.cat([frames, video_aware_sentence(frames, words, word_mask)], dim=-1)
        real = frame_mask.sum(dim=1)[:, None]  # (Q,1)
        start, end, size = self.windows.unbind(dim=1)  # (W,)
        exists = end <= real  # (Q,W)
        exists[:, 0] = True
        spans = torch.stack([start.expand_as(exists), torch.minimum(end, real)], dim=-1)
        middle = torch.minimum((start + end) // 2, real - 1)  # (Q,W)
        logits = _at(self.score(fused), middle, size)  # (Q,W)
        # In lengths of the window, so that one layer serves all sizes; then in frames, as Eq. 15.
        moved = self.offset(fused).unflatten(-1, (self.sizes, 2))  # (Q,T,S,2)
        offsets = torch.stack([_at(x, middle, size) for x in moved.unbind(dim=-1)], dim=-1)
        offsets = offsets.float() * self.lengths[size, None]
        confidence = logits.float().sigmoid()
        return {
            "window_logits": logits,
            "window_offsets": offsets,
            "windows": spans.float(),
            "confidence": confidence.masked_fill(~exists, -1.0),
            "moments": _moments(spans + offsets, real, exists),
        }


def video_aware_sentence(frames: Tensor, words: Tensor, word_mask: Tensor) -> Tensor:
    """Q' (Q,T,d): for each frame the words (Q,L,d), weighed by softmax of their cosine to it."""
    cosine = functional.normalize(frames, dim=-1) @ functional.normalize(words, dim=-1).mT
    lowest = torch.finfo(cosine.dtype).min
    return cosine.masked_fill(~word_mask[:, None], lowest).softmax(dim=-1) @ words


def _fully_connected(width: int, out: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(2 * width, width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(width, out)
    )


def _at(values: Tensor, frame: Tensor, size: Tensor) -> Tensor:
    """values (Q,T,S) at frame (Q,W) and size (W,): (Q,W)."""
    return values.flatten(1).gather(1, frame * values.shape[2] + size)


def _moments(spans: Tensor, real: Tensor, exists: Tensor) -> Tensor:
    """Spans (Q,W,2) in frames as fractions of the video, inside it and at least a frame long."""
    start = torch.minimum(spans[..., 0].clamp(min=0), real - 1)
    end = torch.maximum(torch.minimum(spans[..., 1], real), start + 1)
    moments = torch.stack([start, end], dim=-1) / real[..., None]
    everything = torch.arange(2, dtype=moments.dtype, device=moments.device)
    return torch.where(exists[..., None], moments, everything)
