"""What a diagnostic is: one number of one seed, joined over seeds, and its place in the csv."""

from dataclasses import dataclass
from typing import Any

from mktn.report.results import Interval

COLUMNS = (
    "dataset",
    "diagnostic",
    "setting",
    "metric",
    "n",
    "iou",
    "value",
    "ci_low",
    "ci_high",
    "chance",
    "ratio_to_chance",
    "difference",
    "difference_low",
    "difference_high",
    "queries",
    "seeds",
    "source",
)
EXPLAINED = {
    "blind": "What is to be had without the sentence, without the video, or without either:"
    " `video_only` and `query_only` are `full` trained with the other hidden. Differences are"
    " against `full` on the same queries.",
    "order": "What CSM is told of the queries' order: their position in the annotation file,"
    " which goes with time in some datasets, that position shuffled, or none. Differences are"
    " against `annotation`.",
    "queries": "A query answered alone against all queries of its video answered together, which"
    " CSM lets see each other. The difference is against all of them.",
    "sentence": "Test sentences that also occur in training, and those that do not. The"
    " difference is seen minus unseen.",
    "retrieval": "How often the first n videos by a similarity hold the paired video, or one with"
    " a query of the same text; beside it chance, computed exactly, and the difference to it.",
}


@dataclass(frozen=True)
class Diagnosis:
    """One number of one seed; `difference` with its interval where it is against a reference."""

    dataset: str
    diagnostic: str
    setting: str
    metric: str
    n: int | None
    iou: float | None
    value: Interval
    chance: float | None
    difference: Interval | None
    queries: int
    seed: int
    source: str

    @property
    def key(self) -> tuple[Any, ...]:
        """What the seeds of one number share."""
        return self.dataset, self.diagnostic, self.setting, self.metric, self.n, self.iou


@dataclass(frozen=True)
class Row:
    """One number over its seeds."""

    of: Diagnosis
    value: Interval
    difference: Interval | None
    seeds: int

    @property
    def ratio(self) -> float | None:
        """How many times chance the value is."""
        return self.value.value / self.of.chance if self.of.chance else None

    def cells(self) -> list[str]:
        """The fields in the order of COLUMNS."""
        one = self.of
        difference = self.difference
        numbers = [self.value.value, self.value.ci_low, self.value.ci_high]
        differing = (
            [difference.value, difference.ci_low, difference.ci_high] if difference else [None] * 3
        )
        return [
            one.dataset,
            one.diagnostic,
            one.setting,
            one.metric,
            "" if one.n is None else str(one.n),
            "" if one.iou is None else f"{one.iou:g}",
            *(f"{number:.2f}" for number in numbers),
            "" if one.chance is None else f"{one.chance:.4f}",  # of all videos it is small
            *("" if number is None else f"{number:.2f}" for number in (self.ratio, *differing)),
            str(one.queries),
            str(self.seeds),
            one.source,
        ]
