"""`mktn oracle`: what simulated features answer to one who knows the recogniser's directions.

Nothing is trained. A query's concept words and the classes named by them give the bins of its
video a score; a window's evidence is how far its mean stands above the rest of the video, and the
moments of the training set are the prior. A surrogate that this cannot answer is impossible,
one that it answers always is trivial; the prior alone (evidence 0) is what a model must beat.

Shape legend: Q queries, T bins, D feature, W windows, L labels.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mktn.config import fill, read_settings
from mktn.engine.baselines import candidate_moments
from mktn.engine.metrics import recall_at, temporal_iou

EVIDENCES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # weights tried on the validation split
IOUS = (0.3, 0.5, 0.7)


@dataclass(frozen=True)
class OracleSettings:
    """windows: cells of the map of candidate moments. queries: of each split, at most."""

    windows: int = 32
    queries: int = 4000
    seed: int = 0


def evidence(scores: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """(T,) scores and (W,2) windows, fractions of the video -> (W,): t statistic of inside.

    The mean inside less the mean outside, in standard errors of that difference were all bins
    alike; 0 for a window of the whole video.
    """
    frames = len(scores)
    summed = np.concatenate([[0.0], np.cumsum(scores)])
    edges = np.interp(windows * frames, np.arange(frames + 1), summed)  # (W,2)
    inside = (windows[:, 1] - windows[:, 0]) * frames
    outside = np.maximum(frames - inside, 1e-9)
    within = edges[:, 1] - edges[:, 0]
    difference = within / inside - (summed[-1] - within) / outside
    spread = max(float(scores.std()), 1e-9)
    t = difference / spread * np.sqrt(inside * outside / frames)
    return np.where(outside < 0.5, 0.0, t)


def best_window(
    t: np.ndarray, prior: np.ndarray, weight: float, hits: np.ndarray
) -> int:
    """The window that is likeliest a hit: posterior prior * exp(weight * t), `hits` (W,W)."""
    logit = prior + weight * t
    posterior = np.exp(logit - logit.max())
    return int((hits @ (posterior / posterior.sum()).astype(np.float32)).argmax())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", required=True, choices=["activitynet", "tacos"])
    parser.add_argument("--annotations", type=Path, required=True, help="as for mktn simulate")
    parser.add_argument("--pairs", type=Path, required=True, help="pairs.parquet")
    parser.add_argument("--features", type=Path, required=True, help="what mktn simulate wrote")
    parser.add_argument("--settings", help="JSON: windows, queries, seed")


def run(arguments: argparse.Namespace) -> None:
    from mktn.datasets.sentences import content_words
    from mktn.features.pairs_file import read_pairs_file
    from mktn.features.simulate import read_labels
    from mktn.features.simulated_recogniser import SimulateSettings, class_vectors
    from mktn.features.store import ResampledStore
    from mktn.seeds import named_rng

    settings = fill(OracleSettings, read_settings(arguments.settings))
    store = ResampledStore(arguments.features)
    simulated = fill(SimulateSettings, store.attributes["settings"])
    labels = read_labels(arguments.dataset, arguments.annotations, simulated)
    vectors = class_vectors(labels.directions, simulated.dimension, simulated.seed)
    naming = [content_words(label.partition("/")[2]) for label in labels.directions]
    holding: dict[str, list[int]] = {}
    for row, words in enumerate(naming):
        for word in words:
            holding.setdefault(word, []).append(row)

    pairs = read_pairs_file(arguments.pairs)
    training = pairs.filter(split="train")
    frequency: dict[str, int] = {}
    for sentence in training["sentence"]:
        for word in content_words(sentence):
            frequency[word] = frequency.get(word, 0) + 1
    windows = candidate_moments(settings.windows)
    spans = training.select("start_s", "end_s").to_numpy() / training["duration_s"].to_numpy()[:, None]
    nearest = np.concatenate(
        [temporal_iou(part[:, None], windows[None]).argmax(1) for part in np.array_split(spans, 64)]
    )
    prior = np.log(np.bincount(nearest, minlength=len(windows)) + 0.5)
    overlap = temporal_iou(windows[:, None], windows[None])

    def answers(split: str) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        frame = pairs.filter(split=split)
        if frame.height > settings.queries:
            chosen = named_rng(settings.seed, "oracle", split).permutation(frame.height)
            frame = frame[np.sort(chosen[: settings.queries])]
        found = []
        for video_id, sentence in frame.select("video_id", "sentence").iter_rows():
            query = np.zeros(simulated.dimension, np.float32)
            for word in content_words(sentence):
                for row in holding.get(word, ()):
                    weight = np.log(len(training) / frequency.get(word, 1))
                    query += np.float32(weight) * vectors[row]
            features = store.read([video_id])[0][0].astype(np.float32)
            found.append(evidence((features @ query).astype(np.float64), windows))
        duration_s = frame["duration_s"].to_numpy()
        return found, frame.select("start_s", "end_s").to_numpy(), duration_s

    split_answers = {split: answers(split) for split in ("val", "test")}
    for iou in IOUS:
        hits = (overlap > iou).astype(np.float32)

        def recall(split: str, weight: float) -> float:
            found, target_s, duration_s = split_answers[split]
            best = [best_window(t, prior, weight, hits) for t in found]
            ranked = (windows[best] * duration_s[:, None])[:, None]
            return recall_at(ranked, target_s, 1, iou)

        chosen = max(EVIDENCES, key=lambda weight: recall("val", weight))
        print(
            f"R@1, IoU={iou}: prior alone {recall('test', 0.0):.2f}, oracle"
            f" {recall('test', chosen):.2f} (val {recall('val', chosen):.2f},"
            f" evidence {chosen:g}) on {len(split_answers['test'][0])} test queries"
        )
