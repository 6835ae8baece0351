"""What a simulated recogniser of ActivityNet Captions sees: class segments and concept words.

Class segments are the action segments of ActivityNet 1.3, an annotation of its own. Concept words
are those of the annotators' sentences, on the sentences' spans: of val_1 where both val_1 and
val_2 annotate the video, so that no query of val_2 made the features that answer it; else of the
only annotation that there is, marked as `sole`.
"""

from collections import defaultdict
from pathlib import Path

from mktn.datasets import read_pairs
from mktn.datasets.annotations import annotation_file, annotation_folder, number, read_csv
from mktn.datasets.sentences import content_words
from mktn.errors import UserError
from mktn.features.concept_words import concept_words, own_directions, word_labels
from mktn.features.simulated_recogniser import LabelledInterval, LabelSet

CLASS = "class/"
ACTION = "Action"  # the other rows lie between the segments
LABEL_FILES = ("labels/train_tsp_groundtruth.csv", "labels/valid_tsp_groundtruth.csv")
COLUMNS = ("video-name", "t-start", "t-end", "action-label", "temporal-region-label")

STATEMENT = (
    "simulated from the class segments of ActivityNet and from concept words of the annotators'"
    " sentences: of val_1 for videos of val_1 and val_2, so that no test query made the features"
    " that answer it; of the video's own queries, thinned, confused and blurred, for training"
    " videos; validation on val_1 asks queries of features made from themselves, validation held"
    " out asks as training does; a labelled surrogate, not comparable with published numbers"
)


def read_labels(directory: str | Path, occurrences: int) -> LabelSet:
    """The labels of all videos. Raises UserError on a file that is absent or broken."""
    segments = read_segments(annotation_folder(Path(directory), "activitynet_captions"))
    pairs, _ = read_pairs("activitynet", directory)
    training = pairs.filter(split="train")["sentence"]
    words = concept_words(training, occurrences)
    first, second = (set(pairs.filter(split=s)["video_id"]) for s in ("val", "test"))
    twice = first & second
    intervals = defaultdict(list, {video_id: list(found) for video_id, found in segments.items()})
    asked = pairs.select("split", "video_id", "sentence", "start_s", "end_s")
    spoken = 0
    for split, video_id, sentence, start_s, end_s in asked.iter_rows():
        labels = word_labels(content_words(sentence) & words)
        if not labels or (split == "test" and video_id in twice):
            continue
        sole = video_id not in twice
        intervals[video_id].append(LabelledInterval(labels, start_s, end_s, sole))
        spoken += 1
    classes = {label for found in segments.values() for i in found for label in i.labels}
    return LabelSet(
        directions=own_directions([*sorted(classes), *word_labels(words)]),
        intervals={video_id: tuple(found) for video_id, found in intervals.items()},
        statement=STATEMENT,
        absent="no class segment and no sentence with a concept word",
        counts={
            "classes": len(classes),
            "concept_words": len(words),
            "class_segments": sum(map(len, segments.values())),
            "sentences": spoken,
            "videos_annotated_twice": len(twice),
        },
    )


def read_segments(folder: Path) -> dict[str, tuple[LabelledInterval, ...]]:
    """Video id (with its `v_`) -> its class segments, from both label files, plain or .gz.

    Empty segments show nothing and are left out. Raises UserError on a missing file or column, a
    number that is none, a segment without a class, or one that ends before it starts.
    """
    segments: dict[str, list[LabelledInterval]] = defaultdict(list)
    for name in LABEL_FILES:
        path = annotation_file(folder, name)
        for line, row in read_csv(path, COLUMNS):
            if row["temporal-region-label"] != ACTION:
                continue
            where = f"{path}, line {line}, video {row['video-name']}"
            start_s = number(row["t-start"], where, "t-start")
            end_s = number(row["t-end"], where, "t-end")
            if start_s == end_s:  # twelve are published so
                continue
            if start_s > end_s or not row["action-label"]:
                raise UserError(
                    "broken segment",
                    where=where,
                    found=f"{row['action-label']!r} from {start_s} to {end_s}",
                    expected="a class, and t-start before t-end",
                )
            label = CLASS + row["action-label"]
            segments[f"v_{row['video-name']}"].append(LabelledInterval((label,), start_s, end_s))
    return {video_id: tuple(found) for video_id, found in segments.items()}
