"""One process's share of a batch, where several processes train together.

V videos, Q queries of the whole batch. The queries, the videos' in turn, are cut into one run a
process. A cut falls between two videos where that leaves the shares even, else inside a video:
both processes then encode it, and the process of its first query compares it with the queries.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from mktn.grouping.batch import PairBatch

LENIENCE = 0.25  # of an even share: how far a cut may move to fall between two videos


@dataclasses.dataclass
class Share:
    """What a process knows of the whole batch besides its own queries and videos.

    `whole` is without features: its frames have width 0. A process without a query computes the
    first one, which counts for nothing.
    """

    whole: "PairBatch"
    rank: int
    queries: tuple[int, ...]  # how many each process has, in order; their sum is Q
    videos: tuple[int, ...]  # how many each process compares, in order; their sum is V
    skipped: int  # leading videos of this process that another compares

    @property
    def processes(self) -> int:
        """How many processes share the batch."""
        return len(self.queries)

    @property
    def own(self) -> int:
        """How many of the whole batch's queries are this process's; it computes those or one."""
        return self.queries[self.rank]

    @property
    def computed(self) -> slice:
        """The queries that this process computes, among those of the whole batch."""
        start = sum(self.queries[: self.rank]) if self.own else 0
        return slice(start, start + max(self.own, 1))


def cuts(video_index: Sequence[int], processes: int) -> list[int]:
    """Where the shares of `processes` end: ascending numbers of queries, the last Q.

    video_index (Q,): each query's video, ascending.
    """
    total = len(video_index)
    borders = [q for q in range(1, total) if video_index[q] != video_index[q - 1]]
    borders = [0, *borders, total]
    ends = [0]
    for process in range(1, processes + 1):
        even = total * process / processes
        near = min(borders, key=lambda border: abs(border - even))
        moved = abs(near - even) > LENIENCE * total / processes
        ends.append(max(ends[-1], round(even) if moved else near))
    return ends[1:]


def share(whole: "PairBatch", rank: int, processes: int) -> "PairBatch":
    """The share of process `rank`; of a batch whose queries stand by video, in the videos' order.

    Raises ValueError where they do not.
    """
    video_index = whole.video_index.tolist()
    if video_index != sorted(video_index):
        raise ValueError("the queries of a shared batch stand by video")
    ends = cuts(video_index, processes)
    spans = list(zip([0, *ends[:-1]], ends, strict=True))
    queries = tuple(end - start for start, end in spans)
    # A video is compared by the process of its first query.
    firsts = [q for q, v in enumerate(video_index) if not q or v != video_index[q - 1]]
    videos = tuple(sum(start <= q < end for q in firsts) for start, end in spans)
    described = dataclasses.replace(whole, frames=whole.frames[..., :0], patches=None)
    given = Share(described, rank, queries, videos, 0)
    own = whole.only(range(given.computed.start, given.computed.stop))
    given.skipped = len(own.frames) - videos[rank]
    return dataclasses.replace(own, share=given)


def by_video(names: Sequence[str]) -> list[int]:
    """Places of queries, those of a video together, videos as they first come."""
    first = {name: place for place, name in reversed(list(enumerate(names)))}
    return sorted(range(len(names)), key=lambda place: first[names[place]])


def empty_frames(videos: int, frames: int) -> torch.Tensor:
    """Frames (V,T,0) of a batch whose features are not read."""
    return torch.empty(videos, frames, 0)
