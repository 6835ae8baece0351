"""The ragged batch: some videos, all their queries, stored flat so that no query is padding.

V videos, Q queries (all videos together), T frames, C patches, L words (padded), D_* input widths.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from mktn.grouping.share import Share


@dataclasses.dataclass
class PairBatch:
    """Video-query pairs that are answered together.

    Real frames and words come first on their axis, padding after them. `text_index` is equal
    for queries of the same normalised text; -1 is equal to nothing.
    `related[i, j]` says that query i may attend to query j of another video (training only).
    """

    frames: Tensor  # (V,T,D) float, the global feature of each frame
    frame_mask: Tensor  # (V,T) bool, True where real
    patches: Tensor | None  # (V,T,C,D_p) float
    words: Tensor  # (Q,L,D_w) float
    word_mask: Tensor  # (Q,L) bool, True where real
    sentences: Tensor  # (Q,D_s) float
    video_index: Tensor  # (Q,) int64: the video p(q) that query q is paired with
    order: Tensor  # (Q,) int64: position among the video's annotations; -1: not given
    duration_s: Tensor  # (V,) float, seconds
    span_s: Tensor | None = None  # (Q,2) float, the annotated start and end in seconds
    text_index: Tensor | None = None  # (Q,) int64
    related: Tensor | None = None  # (Q,Q) bool
    video_ids: list[str] = dataclasses.field(default_factory=list)
    pair_ids: list[str] = dataclasses.field(default_factory=list)
    share: Share | None = None  # None: the batch is whole

    @property
    def whole(self) -> "PairBatch":
        """What this batch is a share of, without features; itself where it is no share."""
        return self if self.share is None else self.share.whole

    def to(self, device: torch.device | str) -> "PairBatch":
        """The same batch with every tensor on `device`."""
        moved: dict[str, Any] = {
            field.name: value.to(device, non_blocking=torch.device(device).type == "cuda")
            for field in dataclasses.fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        if self.share is not None:
            moved["share"] = dataclasses.replace(self.share, whole=self.share.whole.to(device))
        return dataclasses.replace(self, **moved)

    def pinned(self) -> "PairBatch":
        """The same batch in memory that a GPU copies from by itself; as it is without a GPU."""
        if not torch.cuda.is_available():
            return self
        pinned: dict[str, Any] = {
            field.name: value.pin_memory()
            for field in dataclasses.fields(self)
            if isinstance(value := getattr(self, field.name), Tensor) and not value.is_cuda
        }
        if self.share is not None:
            pinned["share"] = dataclasses.replace(self.share, whole=self.share.whole.pinned())
        return dataclasses.replace(self, **pinned)

    def only(self, queries: Sequence[int]) -> "PairBatch":
        """The batch of these queries, in this order, and of the videos that they are paired with.

        Padding stays as it is. Raises ValueError where no query is given.
        """
        if not len(queries):
            raise ValueError("a batch needs a query")
        rows = torch.as_tensor(queries, device=self.video_index.device)
        videos, video_index = self.video_index[rows].unique(return_inverse=True)
        of_queries: dict[str, Any] = {
            name: None if value is None else value[rows]
            for name in ("words", "word_mask", "sentences", "order", "span_s", "text_index")
            for value in (getattr(self, name),)
        }
        return dataclasses.replace(
            self,
            frames=self.frames[videos],
            frame_mask=self.frame_mask[videos],
            patches=None if self.patches is None else self.patches[videos],
            duration_s=self.duration_s[videos],
            video_index=video_index,
            related=None if self.related is None else self.related[rows][:, rows],
            video_ids=[self.video_ids[v] for v in videos.tolist()] if self.video_ids else [],
            pair_ids=[self.pair_ids[q] for q in rows.tolist()] if self.pair_ids else [],
            share=None,
            **of_queries,
        )

    def without(self, hidden: Literal["video", "text"]) -> "PairBatch":
        """The batch for a blind model: features zero, or all that is said in a query zero.

        Hidden text leaves one empty word a query, so that no length shows, and takes the order
        among the annotations and the relations with it. How many queries a video has remains.
        """
        if hidden == "video":
            patches = None if self.patches is None else torch.zeros_like(self.patches)
            return dataclasses.replace(self, frames=torch.zeros_like(self.frames), patches=patches)
        return dataclasses.replace(
            self,
            words=torch.zeros_like(self.words[:, :1]),
            word_mask=torch.ones_like(self.word_mask[:, :1]),
            sentences=torch.zeros_like(self.sentences),
            order=torch.full_like(self.order, -1),
            text_index=None,
            related=None,
        )

    def positive(self) -> Tensor:
        """(V,Q) bool, related(v,q): v is q's own video, or has a query of the same text."""
        videos = torch.arange(len(self.frames), device=self.video_index.device)
        owner = videos[:, None] == self.video_index[None, :]  # (V,Q)
        if self.text_index is None:
            return owner
        same_text = (self.text_index[:, None] == self.text_index[None, :]) & (
            self.text_index[:, None] >= 0
        )  # (Q,Q)
        return owner | ((owner.float() @ same_text.float()) > 0)

    def visible(self) -> Tensor:
        """(Q,Q) bool, the relation mask of CSM: query i sees query j."""
        same_video = self.video_index[:, None] == self.video_index[None, :]
        return same_video if self.related is None else same_video | self.related

    def span_frames(self) -> Tensor:
        """(Q,2) float, the annotated span in frames: t * T / duration, clamped to [0,T].

        A boundary within 1e-4 of a whole frame is that frame: float32 seconds would else put a
        boundary between two frames into either of them.
        """
        if self.span_s is None:
            raise ValueError("this batch has no annotated spans")
        frames = self.frame_mask.sum(dim=1)[self.video_index, None].double()  # (Q,1)
        span = self.span_s.double() * frames / self.duration_s[self.video_index, None].double()
        whole = span.round()
        span = torch.where((span - whole).abs() < 1e-4, whole, span)
        return torch.minimum(span.clamp(min=0), frames).float()
