"""Decoded videos of one split, and the batches of labelled clips that training draws from them.

Shape legend: B clips, L labels, N frames of a video, S pixels a side, K actors of all clips.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from mktn.errors import UserError
from mktn.features.clip_labels import ClipLabels
from mktn.features.preprocessing import Preprocessing
from mktn.features.video import VideoError, sample_frames


@dataclasses.dataclass
class LabelledClips:
    """A batch: what a backbone sees, and what is to be learnt of it."""

    inputs: torch.Tensor  # (B,3,16,S,S) float32
    targets: torch.Tensor  # (B,L) class targets
    clip: torch.Tensor  # (K,) int64: the clip that an actor is in
    place: torch.Tensor  # (K,2) x and y of its place of rest, parts of the input
    looks: torch.Tensor  # (K,2) int64: color and object
    activity: torch.Tensor  # (K,bins) int64: in each equal part of the clip, or none (the last)


class LabelledVideos:
    """Frames (N,H,W,3) uint8 of each usable video at the rate of the preprocessing, in memory.

    `errors` says why a video was left out. Raises UserError when none is usable, or when they
    take more than memory_gb.
    """

    def __init__(
        self,
        paths: Mapping[str, Path],
        labels: ClipLabels,
        recipe: Preprocessing,
        bins: int,
        memory_gb: float,
    ) -> None:
        self.labels, self.recipe, self.bins = labels, recipe, bins
        self.frames: dict[str, np.ndarray] = {}
        self.errors: dict[str, str] = {}
        held = 0
        for name, path in tqdm(paths.items(), desc="decode", unit="video", disable=None):
            try:
                samples = sample_frames(path, recipe.fps, recipe.frame_size)
                frames = [rgb for _, rgb, _ in samples]
            except VideoError as error:
                self.errors[name] = str(error)
                continue
            frames += [frames[-1]] * (recipe.clip - len(frames))
            self.frames[name] = np.stack(frames)
            held += self.frames[name].nbytes
            if held > memory_gb * 2**30:
                raise UserError(
                    "decoded videos do not fit", where="settings.memory_gb",
                    found=f"more than {memory_gb} GB", do="raise it, or use fewer videos",
                )  # fmt: skip
        if not self.frames:
            name, reason = next(iter(self.errors.items()), ("", "none listed"))
            raise UserError(
                "no video can be used", where=paths.get(name, "videos"), found=reason,
                expected="VIDEO.mp4 of the table of actions",
            )  # fmt: skip

    def all_clips(self) -> list[tuple[str, int]]:
        """(video_id, first sample) of every clip that extraction would make."""
        recipe = self.recipe
        return [
            (name, first)
            for name, frames in self.frames.items()
            for first in range(0, len(frames) - recipe.clip + 1, recipe.stride)
        ]

    def targets(self, name: str, first: int) -> np.ndarray:
        """Class targets (L,) of the clip that starts at sample `first`."""
        fps = self.recipe.fps
        return self.labels.targets(name, first / fps, (first + self.recipe.clip) / fps)

    def in_order(self, batch: int) -> Iterator[LabelledClips]:
        """All clips as extraction sees them."""
        clips = self.all_clips()
        for at in range(0, len(clips), batch):
            yield self._collate([self._cut(name, first) for name, first in clips[at : at + batch]])

    def draw(
        self, rng: np.random.Generator, batch: int, jitter: int, mirrored: bool
    ) -> LabelledClips:
        """B clips that start anywhere in videos drawn by their length.

        Crops reach `jitter` pixels from the centre; half of the clips are mirrored left-right
        where that is allowed.
        """
        names = list(self.frames)
        starts = np.asarray([len(self.frames[name]) - self.recipe.clip + 1 for name in names])
        drawn = []
        for video in rng.choice(len(names), batch, p=starts / starts.sum()):
            name, first = names[video], int(rng.integers(starts[video]))
            shift = rng.integers(-jitter, jitter + 1, 2)
            flip = mirrored and bool(rng.random() < 0.5)
            drawn.append(self._cut(name, first, (int(shift[0]), int(shift[1])), flip))
        return self._collate(drawn)

    def _cut(
        self, name: str, first: int, shift: tuple[int, int] = (0, 0), flip: bool = False
    ) -> tuple[torch.Tensor, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Input, class targets, places, looks and activities of one clip and its actors."""
        recipe, video = self.recipe, self.labels.videos[name]
        frames = self.frames[name][first : first + recipe.clip]
        size = np.asarray(frames.shape[1:3])
        # Pad by repeating the edge, so that the crop may leave the frame.
        pad = max(map(abs, shift))
        frames = np.pad(frames, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode="edge")
        corner = np.ceil((size - recipe.crop) / 2).astype(int) + shift
        offset = int(corner[0] + pad), int(corner[1] + pad)
        place = (video.place * size[::-1] - corner[::-1]) / recipe.crop
        if flip:
            place[:, 0] = 1 - place[:, 0]
        fps, none = recipe.fps, len(self.labels.values[2])
        edges = (first + recipe.clip * np.linspace(0, 1, self.bins + 1)) / fps
        doing = [video.doing(a, b, none) for a, b in itertools.pairwise(edges)]
        cut = recipe.to_input(frames, offset, flip)
        return cut, self.targets(name, first), place, video.looks, np.stack(doing, axis=1)

    @staticmethod
    def _collate(
        clips: list[tuple[torch.Tensor, np.ndarray, np.ndarray, np.ndarray, np.ndarray]],
    ) -> LabelledClips:
        inputs, targets, place, looks, doing = zip(*clips, strict=True)
        return LabelledClips(
            inputs=torch.stack(inputs),
            targets=torch.from_numpy(np.stack(targets)),
            clip=torch.from_numpy(np.repeat(np.arange(len(clips)), [len(p) for p in place])),
            place=torch.from_numpy(np.concatenate(place)).clamp(0, 1 - 1e-6),
            looks=torch.from_numpy(np.concatenate(looks)),
            activity=torch.from_numpy(np.concatenate(doing)),
        )
