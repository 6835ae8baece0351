"""Relations between queries: `mktn relate` -> `relations.parquet`.

Shape legend: n training queries, B queries of a block, W content words, D_s sentence vector.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch

from mktn.config import fill, read_settings
from mktn.datasets.sentences import content_words, normalised
from mktn.features.pairs_file import read_pairs_file
from mktn.features.text_store import TextStore
from mktn.parquet import write_parquet

SCHEMA = {"pair_a": pl.String, "pair_b": pl.String, "kind": pl.String, "weight": pl.Float64}
# A block of queries, start and end -> its weights with all (B,n) float64, 0 where unrelated.
Weights = Callable[[int, int], torch.Tensor]

SAME_TEXT = 1.0
UNEQUAL = 0.99  # the most that two texts that differ can weigh
BLOCK_ENTRIES = 2**20  # of the (B,n) tables: a few of them are in memory, never (n,n)
SCALE = 10**6  # weights are compared and kept to six decimals, so rounding cannot reorder them


@dataclass(frozen=True)
class RelationSettings:
    """Which queries are related."""

    nearest: int = 8  # kept for each query and kind, but temporal
    shared_words: int = 2  # content words that two queries share to be related
    cosine: float = 0.8  # of sentence vectors
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("nearest", "shared_words", "threads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected at least 1")
        if not -1 <= self.cosine <= 1:
            raise ValueError(f"cosine {self.cosine}: expected from -1 to 1")


def relate(pairs: pl.DataFrame, sentences: np.ndarray, settings: RelationSettings) -> pl.DataFrame:
    """All relations of `pairs` (rows) with sentence vectors (rows, D_s): columns of SCHEMA.

    temporal: queries of one video of one split, each two once, the earlier in `order` as pair_a,
    weight 1 / (1 + |order difference|). contextual and semantic: of each training query
    (pair_a) its `nearest` queries of other training videos, best first; at equal weight those
    that follow it in the order of pair_ids come first, going round, so that no query is
    everyone's. contextual: same normalised text, or `shared_words` content words or more, weight
    shared / union. semantic: cosine of the sentence vectors of at least `cosine`.
    """
    training = (pairs["split"] == "train").arg_true().to_numpy()
    ordered = training[np.argsort(pairs["pair_id"].to_numpy()[training], kind="stable")]
    pair_ids = pairs["pair_id"].to_numpy()[ordered]
    videos = pairs["video_id"].to_numpy()[ordered]
    texts = [pairs["sentence"][int(row)] for row in ordered]
    frames = [temporal(pairs)]
    for kind, weights in (
        ("contextual", _contextual(texts, settings.shared_words)),
        ("semantic", _semantic(sentences[ordered], settings.cosine)),
    ):
        a, b, weight = _nearest(weights, videos, settings.nearest)
        columns = {"pair_a": pair_ids[a], "pair_b": pair_ids[b], "weight": weight}
        frame = pl.DataFrame(columns).with_columns(kind=pl.lit(kind))
        frames.append(frame.select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items()))
    return pl.concat(frames)


def temporal(pairs: pl.DataFrame) -> pl.DataFrame:
    """Queries of the same video, in all splits; columns of SCHEMA, in the order of `pairs`."""
    side = pairs.lazy().select("split", "video_id", "order", "pair_id").with_row_index("row")
    both = side.join(side, on=["split", "video_id"], suffix="_b")
    both = both.filter(pl.col("order") < pl.col("order_b")).sort("row", "order_b")
    return both.select(
        pair_a="pair_id",
        pair_b="pair_id_b",
        kind=pl.lit("temporal"),
        weight=1.0 / (1.0 + pl.col("order_b") - pl.col("order")),
    ).collect()


def _contextual(texts: list[str], least: int) -> Weights:
    n = len(texts)
    held = [content_words(text) for text in texts]
    columns = {word: i for i, word in enumerate(sorted(set().union(*held)))}
    entries = [(row, columns[word]) for row, words in enumerate(held) for word in sorted(words)]
    indices = torch.tensor(entries, dtype=torch.int64).reshape(-1, 2).T
    incidence = torch.sparse_coo_tensor(
        indices,
        torch.ones(indices.shape[1]),
        (n, max(len(columns), 1)),
        is_coalesced=True,
        check_invariants=False,
    )
    sizes = torch.tensor([len(words) for words in held], dtype=torch.float64)
    same = {text: i for i, text in enumerate(dict.fromkeys(map(normalised, texts)))}
    text_index = torch.tensor([same[normalised(text)] for text in texts])

    def weights(start: int, end: int) -> torch.Tensor:
        block = torch.zeros(incidence.shape[1], end - start)
        for column, words in enumerate(held[start:end]):
            block[[columns[word] for word in words], column] = 1.0
        shared = torch.sparse.mm(incidence, block).T.double()  # (B,n)
        union = sizes[start:end, None] + sizes[None] - shared
        weight = (shared / union.clamp(min=1)).clamp(max=UNEQUAL)
        weight[shared < least] = 0.0
        weight[text_index[start:end, None] == text_index[None]] = SAME_TEXT
        return weight

    return weights


def _semantic(vectors: np.ndarray, least: float) -> Weights:
    unit = torch.nn.functional.normalize(torch.from_numpy(vectors).float(), dim=1)

    def weights(start: int, end: int) -> torch.Tensor:
        cosine = (unit[start:end] @ unit.T).double().clamp(max=1.0)
        # Rounded first, so that a text equal to another is never lost to the last digit.
        cosine = (cosine * SCALE).round() / SCALE
        return torch.where(cosine >= least, cosine, 0.0)

    return weights


def _nearest(
    weights: Weights, videos: np.ndarray, nearest: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows a, rows b, weights: of each query its nearest of other videos with weight above 0."""
    n, kept = len(videos), min(nearest, len(videos))
    _, codes = np.unique(videos, return_inverse=True)
    video = torch.from_numpy(codes.astype(np.int64))
    rows = torch.arange(n)
    # Filled in place: results kept from block to block would hold the blocks' memory as well.
    best = torch.zeros((n, kept), dtype=torch.int64)
    neighbours = torch.zeros((n, kept), dtype=torch.int64)
    block = max(BLOCK_ENTRIES // max(n, 1), 1)
    for start in range(0, n, block):
        end = min(start + block, n)
        units = (weights(start, end) * SCALE).round().long()  # (B,n)
        units[video[start:end, None] == video[None]] = 0
        # One whole number a candidate, all different: by weight, then by who follows.
        follows = (rows[None] - rows[start:end, None]) % n
        keys = torch.where(units > 0, units * n + (n - 1 - follows), 0)
        torch.topk(keys, kept, dim=1, out=(best[start:end], neighbours[start:end]))
    weight = best.div(max(n, 1), rounding_mode="floor")
    a, k = torch.nonzero(weight > 0, as_tuple=True)
    return a.numpy(), neighbours[a, k].numpy(), weight[a, k].numpy() / SCALE


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pairs", type=Path, required=True, help="pairs.parquet")
    parser.add_argument("--text", type=Path, required=True, help="text store of those pairs")
    parser.add_argument("--out", type=Path, required=True, help="relations.parquet")
    parser.add_argument("--settings", help="JSON: nearest, shared_words, cosine, threads")


def run(arguments: argparse.Namespace) -> None:
    settings = fill(RelationSettings, read_settings(arguments.settings))
    torch.set_num_threads(settings.threads)
    pairs = read_pairs_file(arguments.pairs, ["pair_id", "video_id", "split", "order", "sentence"])
    text = TextStore(arguments.text, pairs["pair_id"])
    relations = relate(pairs, text.sentences, settings)
    write_parquet(relations, arguments.out)
    counts = dict(relations.group_by("kind").len().sort("kind").iter_rows())
    print("relations: " + ", ".join(f"{count} {kind}" for kind, count in counts.items()))
