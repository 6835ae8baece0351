"""LCNet's own losses: ranking of videos and queries, and cycles. No timestamp is read."""

import dataclasses
from typing import ClassVar

from torch import Tensor

from mktn.grouping.batch import PairBatch
from mktn.losses import correspondence
from mktn.models.correspondence import top_frames


@dataclasses.dataclass(frozen=True)
class CorrespondenceLoss:
    """The terms `rank` and `cycle`.

    margin: of the ranking loss, in cosines. started: share of a video's frames, the most relevant
    to the query, whose cycles count.
    """

    shares: ClassVar[bool] = False  # each video is compared with all queries
    w_rank: float = 1.0
    w_cycle: float = 1.0
    margin: float = 0.2
    started: float = 1.0

    def __post_init__(self) -> None:
        if self.margin <= 0 or not 0 < self.started <= 1:
            raise ValueError(
                f"margin {self.margin} > 0 and 0 < started {self.started} <= 1 must hold"
            )

    def __call__(
        self, outputs: dict[str, Tensor], batch: PairBatch, own: slice, of: int | None
    ) -> dict[str, tuple[float, Tensor]]:
        """outputs hold scores (V,Q), relevance (Q,T) and returns (Q,T,T), as LCNet.ground says."""
        rank = correspondence.ranking(
            outputs["scores"], batch.video_index, batch.positive(), self.margin
        )
        mask = batch.frame_mask[batch.video_index]
        started = top_frames(outputs["relevance"], mask, self.started)
        cycle = correspondence.cycle(outputs["returns"], started, mask.sum(dim=1))
        return {"rank": (self.w_rank, rank), "cycle": (self.w_cycle, cycle)}
