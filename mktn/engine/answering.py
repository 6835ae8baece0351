"""The same queries answered in several ways: what is shared by the queries of a video differs.

V videos, Q queries, n moments a query.
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from mktn.engine.decode import moments_of
from mktn.grouping.batch import PairBatch
from mktn.models.base import Pluggable
from mktn.models.plugged import Plugged

if TYPE_CHECKING:
    from mktn.grouping.loader import PairData

Moments = tuple[Tensor, Tensor]  # spans (Q,n,2) in seconds, scores (Q,n)


@dataclasses.dataclass(frozen=True)
class Workload:
    """The same queries in the same order, cut in three ways; all of it lies on one device."""

    videos: list[list[PairBatch]]  # of each video its pairs, one a batch; they share its features
    whole: list[PairBatch]  # several videos with all their queries
    repeated: list[PairBatch]  # the same, but a video stands there once for each of its queries

    @classmethod
    def of(cls, batch: PairBatch) -> "Workload":
        """One batch of whole videos; a pair alone keeps the padding that it has there."""
        pairs = [batch.only([query]) for query in range(len(batch.order))]
        owners = batch.video_index.tolist()
        videos = [
            [pairs[query] for query, owner in enumerate(owners) if owner == video]
            for video in range(len(batch.frames))
        ]
        return cls(videos, [batch], [repeated(batch)])

    @classmethod
    def read(
        cls, data: "PairData", videos: Sequence[np.ndarray], queries: int, device: torch.device
    ) -> "Workload":
        """Of the row numbers of each video's pairs; `queries` is the most of a batch.

        A video with more is a batch alone.
        """
        whole, alone = [], []
        for rows in packed(videos, queries):
            batch = data.batch(np.concatenate(rows)).to(device)
            whole.append(batch)
            for video, own in enumerate(rows):
                alone.append([_pair(data, row, batch, video).to(device) for row in own])
        return cls(alone, whole, [repeated(batch) for batch in whole])

    @property
    def queries(self) -> int:
        """Q."""
        return sum(map(len, self.videos))

    def batches(self, mode: str) -> int:
        """How many times the model is called in one pass."""
        return {"batched": len(self.repeated), "multi_pair": len(self.whole)}.get(
            mode, self.queries
        )


def packed(videos: Sequence[np.ndarray], queries: int) -> list[list[np.ndarray]]:
    """Whole videos, in order, in batches of at most so many queries."""
    batches: list[list[np.ndarray]] = []
    room = 0
    for rows in videos:
        if not batches or len(rows) > room:
            batches.append([])
            room = queries
        batches[-1].append(rows)
        room -= len(rows)
    return batches


def repeated(batch: PairBatch) -> PairBatch:
    """The batch with a video for each query, so that nothing is shared between queries."""
    own = batch.video_index
    return dataclasses.replace(
        batch,
        frames=batch.frames[own],
        frame_mask=batch.frame_mask[own],
        patches=None if batch.patches is None else batch.patches[own],
        duration_s=batch.duration_s[own],
        video_index=torch.arange(len(own), device=own.device),
        video_ids=[batch.video_ids[v] for v in own.tolist()] if batch.video_ids else [],
    )


def _pair(data: "PairData", row: int, batch: PairBatch, video: int) -> PairBatch:
    """One pair, as long as its own words; the features are the batch's, not another copy."""
    own = slice(video, video + 1)
    return dataclasses.replace(
        data.batch(np.array([row])),
        frames=batch.frames[own],
        frame_mask=batch.frame_mask[own],
        patches=None if batch.patches is None else batch.patches[own],
    )


@dataclasses.dataclass(frozen=True)
class Answering:
    """A network that answers a workload: the n best moments after NMS at the threshold."""

    network: nn.Module
    work: Workload
    n: int
    nms: float

    def answer(self, batch: PairBatch, **options: Any) -> Moments:
        """Head, decoding and NMS of one batch."""
        outputs = self.network(batch, matching=False, **options)
        return moments_of(outputs, batch, self.n, self.nms)

    def steps(self, mode: str) -> Iterator[Moments]:
        """The answers of one pass, batch by batch; each is computed when it is asked for."""
        if mode == "cached":
            for pairs in self.work.videos:
                encode: Any = self.network.encode_video
                video = encode(pairs[0], matching=False)
                for pair in pairs:
                    yield self.answer(pair, video=video)
        elif mode == "origin":
            yield from map(self.answer, itertools.chain(*self.work.videos))
        else:
            yield from map(
                self.answer, self.work.whole if mode == "multi_pair" else self.work.repeated
            )

    @torch.inference_mode()
    def run(self, mode: str, batches: int | None = None) -> list[Moments]:
        """The answers of one pass, or of its first batches alone."""
        return list(itertools.islice(self.steps(mode), batches))


class TextPlayback:
    """What the model's own text encoder gives in a pass, so that another pass need not compute it.

    Of a model that knowledge transfer plugs into it is `encode_sentences`, else the module `text`.
    """

    def __init__(self, network: nn.Module) -> None:
        model: Any = network.model if isinstance(network, Plugged) else network
        plugs = isinstance(model, Pluggable)
        self.owner, self.name = (model, "encode_sentences") if plugs else (model.text, "forward")
        self.given: list[Any] = []

    @contextlib.contextmanager
    def recording(self) -> Iterator[None]:
        """Around a pass: what the encoder gives is kept, call by call."""
        encode = getattr(self.owner, self.name)
        self.given.clear()

        def recorded(*given: Any, **options: Any) -> Any:
            self.given.append(encode(*given, **options))
            return self.given[-1]

        with self._instead(recorded):
            yield
        if not self.given:
            raise RuntimeError(f"the model never calls {self.name} of its text encoder")

    @contextlib.contextmanager
    def playing(self) -> Iterator[None]:
        """Around a pass of the same batches: the encoder gives what it gave then."""
        left = iter(self.given)
        with self._instead(lambda *_, **__: next(left)):
            yield

    @contextlib.contextmanager
    def _instead(self, encode: Any) -> Iterator[None]:
        # In the instance, where it hides the class's method and is no parameter of the model.
        setattr(self.owner, self.name, encode)
        try:
            yield
        finally:
            delattr(self.owner, self.name)
