"""`mktn oracle`: what simulated features answer to one who knows the recogniser's directions.

Nothing is trained. A query's concept words, and the classes that are named by them, give each bin
of its video a score; a window's evidence is how far its mean stands above the rest of the video,
and the moments of the training set are the prior, of all queries or of those that stand at the
same place among as many queries. A surrogate that the oracle cannot answer is impossible, one
that it always answers is trivial; what the prior answers alone owes nothing to the features.

Shape legend: T bins, D feature, W windows, L labels.
"""

import argparse
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mktn.config import fill, read_settings
from mktn.datasets.sentences import content_words
from mktn.engine.baselines import CHUNK, candidate_moments, places
from mktn.engine.metrics import recall_at, temporal_iou
from mktn.errors import UserError
from mktn.seeds import named_rng

if TYPE_CHECKING:
    import polars as pl

    from mktn.features.store import ResampledStore

WEIGHTS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)  # of the evidence; chosen on validation


@dataclass(frozen=True)
class OracleSettings:
    """How the oracle is asked."""

    windows: int = 32  # cells of the map of candidate moments
    queries: int = 2000  # of a split, at most, drawn by the seed
    ious: tuple[float, ...] = (0.3, 0.5, 0.7)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("windows", "queries"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected at least 1")


def evidence(scores: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Bin scores (T,) and windows (W,2), fractions of the video -> (W,) float64.

    The mean inside less the mean outside, in standard errors of that difference were all bins
    alike; 0 for a window that leaves less than half a bin outside.
    """
    frames = len(scores)
    summed = np.concatenate([[0.0], np.cumsum(scores, dtype=np.float64)])
    edges = np.interp(windows * frames, np.arange(frames + 1), summed)
    inside = (windows[:, 1] - windows[:, 0]) * frames
    outside = np.maximum(frames - inside, 0.5)
    within = edges[:, 1] - edges[:, 0]
    difference = within / inside - (summed[-1] - within) / outside
    errors = difference * np.sqrt(inside * outside / frames) / max(float(scores.std()), 1e-9)
    return np.where(frames - inside < 0.5, 0.0, errors)


def likeliest(evidence: np.ndarray, prior: np.ndarray, weight: float, hits: np.ndarray) -> int:
    """The window that most probably hits when exp(prior + weight * evidence) is the target's.

    evidence (W,), prior (W,) log probabilities, hits (W,W) float32: which window hits which.
    """
    logit = prior + weight * evidence
    posterior = np.exp(logit - logit.max())
    return int((hits @ (posterior / posterior.sum()).astype(np.float32)).argmax())


def nearest_windows(fractions: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Moments (n,2) as fractions of their videos -> (n,) the window of largest IoU."""
    parts = [fractions[i : i + CHUNK // 8] for i in range(0, len(fractions), CHUNK // 8)]
    return np.concatenate([temporal_iou(p[:, None], windows[None]).argmax(axis=1) for p in parts])


def places_of(pairs: "pl.DataFrame") -> list[tuple[int, int]]:
    """Of each pair: how many queries its video has in the split, and its place among them."""
    return places(*(pairs[name].to_list() for name in ("split", "video_id", "order")))


def moments_s(pairs: "pl.DataFrame") -> np.ndarray:
    """(n,2) seconds."""
    return pairs.select("start_s", "end_s").to_numpy()


class Oracle:
    """Knows the class vectors of a store's labels, and the training moments of `pairs`."""

    def __init__(
        self, dataset: str, annotations: Path, store: "ResampledStore", pairs: "pl.DataFrame"
    ) -> None:
        from mktn.features.simulate import read_labels
        from mktn.features.simulated_recogniser import SimulateSettings, class_vectors

        settings = fill(SimulateSettings, store.attributes["settings"])
        labels = read_labels(dataset, annotations, settings)
        self.store, self.pairs = store, pairs
        self.vectors = class_vectors(labels.directions, settings.dimension, settings.seed)
        self.rows: dict[str, list[int]] = {}  # word -> the labels that have it in their name
        for row, label in enumerate(labels.directions):
            for word in content_words(label.partition("/")[2]):
                self.rows.setdefault(word, []).append(row)
        training = pairs.filter(split="train")
        held = Counter(word for s in training["sentence"] for word in content_words(s))
        self.rarity = {word: np.log(len(training) / count) for word, count in held.items()}

    def priors(self, windows: np.ndarray) -> tuple[np.ndarray, dict[tuple[int, int], np.ndarray]]:
        """Log probability of each window (W,), of all training queries and by their place."""
        training = self.pairs.filter(split="train")
        fractions = moments_s(training) / training["duration_s"].to_numpy()[:, None]
        nearest = nearest_windows(fractions, windows)
        share = (np.bincount(nearest, minlength=len(windows)) + 0.5) / (len(nearest) + 0.5)
        by_place: dict[tuple[int, int], np.ndarray] = {}
        for place, window in zip(places_of(training), nearest, strict=True):
            # At a rare place the prior of all counts, as much as 20 queries do.
            by_place.setdefault(place, 20 * share)[window] += 1
        return np.log(share), {place: np.log(counts) for place, counts in by_place.items()}

    def scores(self, video_id: str, sentence: str) -> np.ndarray:
        """(T,) of a query: bins times the vectors of its concepts, rare words counting more."""
        query = np.zeros(self.vectors.shape[1], np.float32)
        for word in sorted(content_words(sentence)):
            for row in self.rows.get(word, ()):
                query += np.float32(self.rarity.get(word, 0.0)) * self.vectors[row]
        return self.store.read([video_id])[0][0].astype(np.float32) @ query


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", required=True, choices=["activitynet", "tacos"])
    parser.add_argument("--annotations", type=Path, required=True, help="as for `mktn simulate`")
    parser.add_argument("--pairs", type=Path, required=True, help="pairs.parquet")
    parser.add_argument("--features", type=Path, required=True, help="what `mktn simulate` wrote")
    parser.add_argument("--settings", help="JSON: windows, queries, ious, seed")


def run(arguments: argparse.Namespace) -> None:
    """Print R@1 at each IoU: of either prior alone, and of the oracle with it."""
    from mktn.features.pairs_file import read_pairs_file
    from mktn.features.store import ResampledStore

    settings = fill(OracleSettings, read_settings(arguments.settings))
    store = ResampledStore(arguments.features)
    found = (store.attributes.get("source"), store.attributes.get("dataset"))
    if found != ("simulated", arguments.dataset):
        raise UserError(
            "not simulated features of this dataset",
            where=arguments.features,
            found=" ".join(map(str, found)),
            expected=f"simulated {arguments.dataset}",
            do="give the store that `mktn simulate` wrote",
        )
    pairs = read_pairs_file(arguments.pairs).with_row_index("row")
    oracle = Oracle(arguments.dataset, arguments.annotations, store, pairs)
    windows = candidate_moments(settings.windows)
    overlap = temporal_iou(windows[:, None], windows[None])
    prior, by_place = oracle.priors(windows)
    place = places_of(pairs)
    asked, evidences = {}, {}
    for split in ("val", "test"):
        of_split = pairs.filter(split=split)
        chosen = named_rng(settings.seed, "oracle", split).permutation(of_split.height)
        asked[split] = of_split[np.sort(chosen[: settings.queries])]
        queries = asked[split].select("video_id", "sentence").iter_rows()
        evidences[split] = [evidence(oracle.scores(*query), windows) for query in queries]
    print(f"{asked['test'].height} test queries; weight of the evidence chosen on val")
    for iou in settings.ious:
        hits = (overlap > iou).astype(np.float32)
        for name, known in (("moments", {}), ("moments by place", by_place)):
            recall = {}
            for split, frame in asked.items():
                priors = [known.get(place[row], prior) for row in frame["row"]]
                duration_s = frame["duration_s"].to_numpy()[:, None]
                for weight in WEIGHTS:
                    both = zip(evidences[split], priors, strict=True)
                    best = [likeliest(e, p, weight, hits) for e, p in both]
                    ranked = (windows[best] * duration_s)[:, None]
                    recall[split, weight] = recall_at(ranked, moments_s(frame), 1, iou)
            chosen_weight = max(WEIGHTS, key=lambda weight: recall["val", weight])
            print(
                f"R@1, IoU={iou:g}, prior of {name}: alone {recall['test', 0.0]:.2f}, with"
                f" features {recall['test', chosen_weight]:.2f} (weight {chosen_weight:g}; val"
                f" {recall['val', 0.0]:.2f}, {recall['val', chosen_weight]:.2f})"
            )
