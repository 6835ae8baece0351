"""What is asked about and what is answered: videos as they are seen, moments, answers.

n moments a sentence.
"""

import dataclasses
import math
from pathlib import Path
from typing import Any

from mktn.grounder.own_video import Resampled


@dataclasses.dataclass(frozen=True)
class Moment:
    """[start_s, end_s] seconds of a video, and the model's score, larger is better."""

    start_s: float
    end_s: float
    score: float


@dataclasses.dataclass(frozen=True)
class Answer:
    """What is said of one sentence.

    video: its name; moments: best first, after NMS; unknown: words without a vector of their own;
    cut: words at its end that are not read; matching: of several videos, how well each fits the
    sentence, in deviations from how ordinary sentences fit it, summed over S, S_op and S_es.
    """

    sentence: str
    video: str
    duration_s: float
    moments: tuple[Moment, ...]
    unknown: tuple[str, ...] = ()
    cut: int = 0
    matching: dict[str, float] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedVideo:
    """A video as it is answered about, to be used again: nothing of it depends on a sentence.

    name: the path as it was given; frames: what training would read of it; note: what of the file
    was borne; state: what the model made of it.
    """

    name: str
    path: Path | None
    frames: Resampled
    note: str = ""
    state: Any = None

    @property
    def duration_s(self) -> float:
        """Seconds."""
        return self.frames.duration_s


def moments(spans_s: list[list[float]], scores: list[float]) -> tuple[Moment, ...]:
    """Without those that are absent."""
    return tuple(
        Moment(start_s, end_s, score)
        for (start_s, end_s), score in zip(spans_s, scores, strict=True)
        if not math.isnan(start_s)
    )
