"""A recogniser that is simulated: labelled intervals of a video in, a feature of each bin out.

Each label puts its class vector on the bins that its interval covers. Labels are missed and
confused, boundaries move, and a background and noise are added.

Shape legend: m labels of a video's n intervals, T bins, C patches, D feature, L labels in all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from mktn.seeds import named_rng


@dataclass(frozen=True)
class LabelledInterval:
    """Labels that hold from start_s to end_s of a video. `sole`: from its only annotation."""

    labels: tuple[str, ...]
    start_s: float
    end_s: float
    sole: bool = False


@dataclass(frozen=True)
class LabelSet:
    """What a recogniser of one dataset can see, and what there is to see in each video.

    directions: label -> the names whose random directions, summed, are its class vector.
    statement: what features made of this are. counts: of labels and intervals, for provenance.
    """

    directions: Mapping[str, tuple[str, ...]]
    intervals: Mapping[str, tuple[LabelledInterval, ...]]
    statement: str
    absent: str  # why a video has no features when `intervals` does not have it
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class SoleSettings:
    """How labels of a video's only annotation are seen, which its queries come from too."""

    missed: float = 0.0
    confused: float = 0.0
    jitter: float = 0.0  # standard deviation of each boundary, in lengths of the interval

    def __post_init__(self) -> None:
        _check_rates(self, ("missed", "confused"), ("jitter",))


@dataclass(frozen=True)
class SimulateSettings:
    """What the simulated recogniser sees. Norms are relative to class vectors of norm 1."""

    seed: int = 0
    frames: int = 64  # T
    dimension: int = 1024  # D and D_p
    patches: int = 4  # C; 0: no patches
    missed: float = 0.1  # probability that a label is not seen
    confused: float = 0.1  # probability that a label is seen as another
    jitter_s: float = 0.5  # standard deviation of each boundary, seconds
    jitter: float = 0.0  # what is added to it, in lengths of the interval
    sole: SoleSettings = field(default_factory=SoleSettings)  # in place of the three above
    noise: float = 3.0  # expected norm of the noise of each stored vector
    background: float = 1.0  # expected norm of a video's constant vector
    occurrences: int = 25  # training sentences that hold a word, for it to be a concept
    tacos_version: Literal["2dtan", "tall"] = "2dtan"  # whose sentences and spans
    overlap: float = 0.5  # IoU at which sentences of TACoS speak of the same segment
    compressor: Literal["none", "blosc-zstd"] = "none"

    def __post_init__(self) -> None:
        for name, least in (("frames", 1), ("dimension", 1), ("patches", 0), ("occurrences", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} {getattr(self, name)}: expected at least {least}")
        _check_rates(self, ("missed", "confused"), ("jitter_s", "jitter", "noise", "background"))
        if not 0 < self.overlap <= 1:
            raise ValueError(f"overlap {self.overlap}: expected an IoU above 0")


class Recogniser:
    """Class vectors `vectors` (L,D) float32 of norm 1, in the order of `labels`."""

    def __init__(
        self, directions: Mapping[str, tuple[str, ...]], settings: SimulateSettings
    ) -> None:
        self.settings = settings
        self.labels = list(directions)
        self.vectors = class_vectors(directions, settings.dimension, settings.seed)
        self._row = {label: row for row, label in enumerate(self.labels)}

    def see(
        self, intervals: Sequence[LabelledInterval], duration_s: float, rng: np.random.Generator
    ) -> np.ndarray:
        """One video: (T, 1 + C, D) float32, slot 0 being the global feature.

        Each label lives mainly in one or two patches, where its shares sum to 1; the global
        signal is the sum over the patches. The labels of an interval move together, as they
        come from one look. Every draw comes from `rng`, so a video does not depend on others.
        """
        settings, slots, n = self.settings, self.settings.patches + 1, len(intervals)
        owner = np.repeat(np.arange(n), [len(interval.labels) for interval in intervals])
        rows = np.array(
            [self._row[label] for interval in intervals for label in interval.labels], np.int64
        )
        m = len(rows)
        sole = np.array([interval.sole for interval in intervals], dtype=bool)
        spans_s = np.array([(i.start_s, i.end_s) for i in intervals], np.float64).reshape(n, 2)
        missed = np.where(sole, settings.sole.missed, settings.missed)[owner]
        confused = np.where(sole, settings.sole.confused, settings.confused)[owner]
        length_s = spans_s[:, 1] - spans_s[:, 0]
        moved_s = np.where(
            sole, settings.sole.jitter * length_s, settings.jitter_s + settings.jitter * length_s
        )
        seen = rng.random(m) >= missed
        swapped = rng.random(m) < confused
        known = len(self.labels)
        if known > 1:
            rows = np.where(swapped, (rows + rng.integers(1, known, m)) % known, rows)
        spans_s = np.sort(spans_s + moved_s[:, None] * rng.standard_normal((n, 2)), axis=1)
        shares = np.zeros((m, slots))
        shares[:, 0] = 1.0
        if settings.patches:
            for share in shares[:, 1:]:
                share[:] = _patch_shares(settings.patches, rng)
        weights = coverage(spans_s, duration_s, settings.frames)[owner] * seen[:, None]  # (m,T)
        spread = np.einsum("nt,nc->tcn", weights, shares).astype(np.float32)
        scale = np.float32(1.0 / np.sqrt(settings.dimension))
        shape = (settings.frames, slots, settings.dimension)
        features = rng.standard_normal(shape, dtype=np.float32)
        features *= np.float32(settings.noise) * scale
        features += spread @ self.vectors[rows]
        features += (
            np.float32(settings.background)
            * scale
            * rng.standard_normal(settings.dimension, dtype=np.float32)
        )
        return features


def class_vectors(
    directions: Mapping[str, tuple[str, ...]], dimension: int, seed: int
) -> np.ndarray:
    """Unit class vectors (L, dimension) float32: the sum of a label's random directions."""
    rows = []
    for names in directions.values():
        row = np.zeros(dimension)
        for name in names:
            vector = named_rng(seed, "simulate", "class", name).standard_normal(dimension)
            row = row + vector / np.linalg.norm(vector)
        rows.append(row / np.linalg.norm(row))
    return np.stack(rows).astype(np.float32)


def coverage(spans_s: np.ndarray, duration_s: float, frames: int) -> np.ndarray:
    """Share of each of `frames` equal bins that each span covers: (n, 2) -> (n, frames)."""
    edges = np.linspace(0.0, duration_s, frames + 1)
    start = np.maximum(spans_s[:, :1], edges[None, :-1])
    end = np.minimum(spans_s[:, 1:], edges[None, 1:])
    return np.clip(end - start, 0.0, None) / (duration_s / frames)


def _patch_shares(patches: int, rng: np.random.Generator) -> np.ndarray:
    """Shares of a label over the patches: nine tenths in one or two, the rest anywhere."""
    main = rng.permutation(patches)[: rng.integers(1, 3)]
    parts = rng.uniform(0.3, 0.7, len(main))
    shares = np.full(patches, 0.1 / patches)
    shares[main] += 0.9 * parts / parts.sum()
    return shares


def _check_rates(
    settings: object, probabilities: tuple[str, ...], amounts: tuple[str, ...]
) -> None:
    for name in probabilities:
        if not 0 <= getattr(settings, name) <= 1:
            raise ValueError(f"{name} {getattr(settings, name)}: expected a probability")
    for name in amounts:
        if not getattr(settings, name) >= 0:
            raise ValueError(f"{name} {getattr(settings, name)}: expected at least 0")
