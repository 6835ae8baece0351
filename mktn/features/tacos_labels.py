"""What a simulated recogniser of TACoS sees: the words that annotators of a segment agree on.

Many annotators describe each video. Sentences whose spans overlap speak of one segment, which
emits the concept words that at least two differently worded sentences of it share. So a sentence
alone emits nothing, and a word of a query is in the features only where another annotator's
sentence has it too: leaving the query out would change nothing about its own words but for that.
"""

from pathlib import Path
from typing import Literal

import numpy as np

from mktn.datasets import read_pairs
from mktn.datasets.sentences import content_words, normalised
from mktn.features.concept_words import concept_words, own_directions, word_labels
from mktn.features.simulated_recogniser import LabelledInterval, LabelSet

AGREED = 2  # differently worded sentences that must share a word

STATEMENT = (
    "simulated from the annotators' sentences of TACoS: a segment shows the concept words that at"
    " least two differently worded sentences on it share, so of a query only what another"
    " annotator said of the segment too; queries of all splits make features in this way; a"
    " labelled surrogate, not comparable with published numbers"
)


def read_labels(
    directory: str | Path, version: Literal["2dtan", "tall"], occurrences: int, overlap: float
) -> LabelSet:
    """The labels of all videos. Raises UserError on a file that is absent or broken."""
    pairs, _ = read_pairs("tacos", directory, version=version)
    words = concept_words(pairs.filter(split="train")["sentence"], occurrences)
    intervals: dict[str, tuple[LabelledInterval, ...]] = {}
    silent = 0
    for (video_id,), of_video in pairs.group_by("video_id", maintain_order=True):
        spans_s = of_video.select("start_s", "end_s").to_numpy()
        found = []
        for members in segments(spans_s, overlap):
            labels = word_labels(agreed(of_video["sentence"][members].to_list()) & words)
            if labels:
                start_s, end_s = spans_s[members].mean(axis=0)
                found.append(LabelledInterval(labels, float(start_s), float(end_s)))
            else:
                silent += len(members)
        intervals[str(video_id)] = tuple(found)
    return LabelSet(
        directions=own_directions(word_labels(words)),
        intervals=intervals,
        statement=STATEMENT,
        absent=f"no sentence in the {version} version",
        counts={
            "concept_words": len(words),
            "segments": sum(map(len, intervals.values())),
            "sentences": len(pairs),
            "sentences_that_emit_nothing": silent,
        },
    )


def segments(spans_s: np.ndarray, overlap: float) -> list[list[int]]:
    """Rows of the spans (n,2), seconds, that speak of one segment; each row is in one list.

    The row with most free rows at an IoU of at least `overlap` takes them, the earlier row where
    two have as many, and so on until no row is free.
    """
    start, end = spans_s[:, 0], spans_s[:, 1]
    shared = np.minimum(end[:, None], end) - np.maximum(start[:, None], start)
    near = shared >= overlap * ((end - start)[:, None] + (end - start) - shared)
    free = np.ones(len(spans_s), dtype=bool)
    found = []
    while free.any():
        counts = np.where(free, (near & free).sum(axis=1), -1)
        members = np.flatnonzero(near[counts.argmax()] & free)
        free[members] = False
        found.append(members.tolist())
    return found


def agreed(sentences: list[str]) -> set[str]:
    """Content words that stand in `AGREED` sentences that do not read alike, or more."""
    held = [content_words(sentence) for sentence in {normalised(s): s for s in sentences}.values()]
    return {word for words in held for word in words if sum(word in h for h in held) >= AGREED}
