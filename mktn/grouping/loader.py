"""The loader: packs groups of related videos into ragged batches up to a query budget.

V videos, Q queries, T frames, C patches, L words, N pairs.
"""

import dataclasses
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import torch

from mktn.datasets import PARTITIONS
from mktn.datasets.sentences import normalised
from mktn.errors import UserError
from mktn.features.pairs_file import read_pairs_file, read_relations, read_table_of
from mktn.features.reader import FeatureReader
from mktn.features.store import ResampledStore
from mktn.features.text_store import TextStore
from mktn.grouping.ahead import pinned, read_ahead
from mktn.grouping.batch import PairBatch
from mktn.grouping.neighbours import OrderMode, nearest_rows, related_among, told_order
from mktn.grouping.packing import packed
from mktn.grouping.resident import Placed, place
from mktn.grouping.share import by_video, empty_frames, share

PAIR_COLUMNS = [
    *("dataset", "split", "video_id", "pair_id", "sentence", "order"),
    *("start_s", "end_s", "duration_s"),
]

PHRASES = {"train": "training", "val": "validation"}


@dataclasses.dataclass(frozen=True)
class LoaderConfig:
    """How batches are packed."""

    queries: int = 56  # the query budget of a batch
    related: int = 8  # queries of other videos that a training query may attend to
    memory_gb: float = 12.0  # features up to this size are held in memory, else read by batch
    hidden: Literal["video", "text"] | None = None  # what a blind model does not get to see

    def __post_init__(self) -> None:
        if self.queries < 1 or self.related < 0:
            raise ValueError(f"queries {self.queries} >= 1 and related {self.related} >= 0")


class PairData:
    """Everything training and evaluation read of one dataset: pairs, features, text, groups."""

    def __init__(
        self,
        pairs: str | Path,
        groups: str | Path,
        features: str | Path,
        text: str | Path,
        relations: str | Path | None = None,
        config: LoaderConfig | None = None,
    ) -> None:
        self.config = config or LoaderConfig()
        everything = read_pairs_file(pairs, PAIR_COLUMNS)
        self.text = TextStore(text, everything["pair_id"].to_list())
        grouped = read_table_of("group", groups, ["pair_id", "video_id", "split", "group"])
        _check_of_pairs(grouped, everything, groups)
        self.pairs = everything.with_row_index("text_row").join(
            grouped.select("pair_id", "group"), on="pair_id", how="inner", maintain_order="left"
        )
        self.known, self.groups_path = everything["pair_id"], groups
        self.store = ResampledStore(features)
        self._check_features()
        self.reader = FeatureReader(self.store, self.config.memory_gb)
        self.placed: Placed | None = None
        text_index = {text: i for i, text in enumerate(self._texts().unique(maintain_order=True))}
        self.text_index = np.array([text_index[t] for t in self._texts()], np.int64)
        self.span_s = self.pairs.select("start_s", "end_s").to_numpy().astype(np.float64)
        self.duration_s = self.pairs["duration_s"].to_numpy().astype(np.float64)
        self.order = self.pairs["order"].to_numpy().astype(np.int64)
        self.video_ids = self.pairs["video_id"].to_list()
        self.pair_ids = self.pairs["pair_id"].to_list()
        self.nearest = self._nearest(relations)

    def place(self, device: torch.device) -> str:
        """Bring the features to where batches for `device` are made of fastest; says where."""
        self.placed = place(self.reader, device)
        return self.placed.said

    def ahead(self, batches: Iterable[PairBatch]) -> Generator[PairBatch]:
        """These batches, made while the ones before are computed where that can save time.

        Who stops before the end closes it, for the thread to end.
        """
        placed = self.placed
        if placed is None or not placed.ahead:
            yield from batches
            return
        gpu = placed.pinned_for
        yield from read_ahead(batches if gpu is None else pinned(batches, gpu))

    def split(self, split: str) -> np.ndarray:
        """Row numbers of the usable pairs of a split, int64."""
        return np.flatnonzero((self.pairs["split"] == split).to_numpy())

    def sizes(self) -> dict[str, int]:
        """What a model's sizes take from the data."""
        return {
            "frames": self.store.frames,
            "dimension": self.store.dimension,
            "patch_dimension": self.store.patch_dimension,
            "word_dimension": self.text.all_words.shape[1],
            "sentence_dimension": self.text.sentences.shape[1],
        }

    def check_dataset(self, dataset: str) -> None:
        """Raises UserError when the pairs are of another dataset."""
        foreign = sorted(set(self.pairs["dataset"]) - {dataset})
        if foreign:
            raise UserError(
                "the pairs are of another dataset",
                where="pairs",
                found=foreign[0],
                expected=dataset,
                do="give the pairs of this dataset, or name theirs",
            )

    def check_splits(self, *splits: str) -> None:
        """Raises UserError when a split has no usable pair."""
        for split in splits:
            if not len(self.split(split)):
                raise UserError(
                    f"there is no usable {PHRASES.get(split, split)} pair",
                    where=self.groups_path,
                    do="give features of videos of this split, and make the groups again",
                )

    def check_partition(self, partition: str) -> None:
        """Raises UserError when the pairs have a split that the partition has not."""
        if partition not in PARTITIONS:
            known = ", ".join(PARTITIONS)
            raise UserError("unknown partition", found=repr(partition), expected=known)
        foreign = sorted(set(self.pairs["split"]) - set(PARTITIONS[partition]))
        if foreign:
            raise UserError(
                "the pairs are of another partition",
                where="pairs",
                found=f"the split {foreign[0]}",
                expected=f"{partition}: {', '.join(PARTITIONS[partition])}",
                do="make the pairs of this partition, or name theirs",
            )

    def batches(
        self,
        split: str,
        *,
        epoch: int | None = None,
        seed: int = 0,
        order: OrderMode = "annotation",
        alone: bool = False,
        part: tuple[int, int] = (0, 1),
    ) -> Iterator[PairBatch]:
        """Batches of whole groups up to the query budget; a larger group is a batch alone.

        `epoch` shuffles the groups from the seed and lets queries see related queries of other
        videos: training. Without it the order is the file's and a query sees its own video's.
        `alone`: a batch for each query. `part`: a process and of how many: in training its share
        of each batch, else each batch of which the number is the process's.
        """
        packed = self.packed(split, epoch=epoch, seed=seed)
        batches = np.concatenate(packed)[:, None] if alone and packed else packed
        if epoch is None:
            batches, part = batches[part[0] :: part[1]], (0, 1)
        for rows in batches:
            yield self.batch(rows, related=epoch is not None, order=order, seed=seed, part=part)

    def packed(self, split: str, *, epoch: int | None = None, seed: int = 0) -> list[np.ndarray]:
        """The row numbers of each batch, in order."""
        rows = self.split(split)
        shuffled = None if epoch is None else (seed, epoch)
        group = self.pairs["group"].to_numpy()[rows]
        return packed(rows, group, self.config.queries, shuffled)

    def batch(
        self,
        rows: np.ndarray,
        *,
        related: bool = False,
        order: OrderMode = "annotation",
        seed: int = 0,
        part: tuple[int, int] = (0, 1),
    ) -> PairBatch:
        """The ragged batch of the given pairs, in the order given.

        `part`: a process and of how many; its share of that batch, the pairs of a video together.
        Only the share's own features are read.
        """
        rank, processes = part
        if processes > 1:
            rows = rows[by_video([self.video_ids[row] for row in rows])]
        batch = self._without_features(rows, related, order, seed)
        if processes > 1:
            batch = share(batch, rank, processes)
        frames, patches = self._read(batch.video_ids)
        batch = dataclasses.replace(batch, frames=frames, patches=patches)
        return batch.without("video") if self.config.hidden == "video" else batch

    def _without_features(
        self, rows: np.ndarray, related: bool, order: OrderMode, seed: int
    ) -> PairBatch:
        """All of a batch but its videos' features."""
        names = [self.video_ids[row] for row in rows]
        videos = list(dict.fromkeys(names))
        position = {name: i for i, name in enumerate(videos)}
        first = {name: int(row) for name, row in zip(reversed(names), rows[::-1], strict=True)}
        frames = empty_frames(len(videos), self.store.frames)
        text_rows = self.pairs["text_row"].to_numpy()[rows]
        words, word_mask = map(torch.from_numpy, self.text.padded_words(text_rows))
        durations = self.duration_s[[first[name] for name in videos]]
        batch = PairBatch(
            frames=frames,
            frame_mask=torch.ones(frames.shape[:2], dtype=torch.bool),
            patches=None,
            words=words,
            word_mask=word_mask,
            sentences=torch.from_numpy(self.text.sentences[text_rows]),
            video_index=torch.tensor([position[name] for name in names]),
            order=torch.from_numpy(told_order(self.order[rows], names, order, seed)),
            duration_s=torch.from_numpy(durations).float(),
            span_s=torch.from_numpy(self.span_s[rows]).float(),
            text_index=torch.from_numpy(self.text_index[rows]),
            related=torch.from_numpy(related_among(rows, self.nearest)) if related else None,
            video_ids=videos,
            pair_ids=[self.pair_ids[row] for row in rows],
        )
        return batch.without("text") if self.config.hidden == "text" else batch

    def _texts(self) -> pl.Series:
        return self.pairs["sentence"].map_elements(normalised, return_dtype=pl.String)

    def _check_features(self) -> None:
        wanted = set(self.pairs["video_id"])
        missing = sorted(wanted - set(self.store.video_ids))
        if missing:
            raise UserError(
                "grouped videos have no features",
                where=self.store.directory,
                found=f"{len(missing)} missing, the first {missing[0]}",
                do="make the groups again from these features",
            )

    def _read(self, videos: list[str]) -> tuple[torch.Tensor, torch.Tensor | None]:
        if self.placed is not None and self.placed.resident is not None:
            return self.placed.resident.read(videos)
        features, patches = self.reader.read(videos)
        frames = torch.from_numpy(features).float()
        return frames, None if patches is None else torch.from_numpy(patches).float()

    def _nearest(self, relations: str | Path | None) -> np.ndarray:
        """(N, related) row numbers of each training pair's nearest related pairs, -1 padded."""
        most = self.config.related
        if relations is None or not most:
            return np.full((len(self.pairs), most), -1, np.int64)
        return nearest_rows(self.pair_ids, read_relations(relations, self.known), most)


def _check_of_pairs(grouped: pl.DataFrame, pairs: pl.DataFrame, where: str | Path) -> None:
    """Raises UserError where groups hold a pair that is not there, or is of another video."""
    same = ["pair_id", "video_id", "split"]
    foreign = grouped.join(pairs.select(same), on=same, how="anti", maintain_order="left")
    if foreign.height:
        raise UserError(
            "groups of other pairs",
            where=where,
            found=f"{foreign.height} that are not among the pairs, the first"
            f" {foreign['pair_id'][0]} of {foreign['video_id'][0]}",
            do="run `mktn group` again",
        )
