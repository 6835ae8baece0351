"""Whether the matching works: which video does each query find by S, S_op and S_es?

V videos, Q queries. A query's positives are its own video and every video that has a query of the
same normalised text. Recall at r is the share of queries with a positive among their first r.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mktn.models.encoders import Encoded
from mktn.seeds import named_rng

if TYPE_CHECKING:
    from mktn.grouping.loader import PairData

SIMILARITIES = {"S": "s_avm", "S_op": "s_op", "S_es": "s_es"}
RANKS = (1, 5, 10)

Bools = npt.NDArray[np.bool_]


def found_at(similarity: npt.ArrayLike, positive: npt.ArrayLike, ranks: Sequence[int]) -> Bools:
    """Whether each query has a positive video among its first r: (V,Q), (V,Q) -> (Q, ranks).

    A tie counts for the negatives, so a constant similarity finds nothing. Raises ValueError
    where a query has no positive.
    """
    scores, positives = np.asarray(similarity, np.float64), np.asarray(positive, np.bool_)
    if scores.shape != positives.shape or not positives.any(axis=0).all():
        raise ValueError(f"{scores.shape = }, {positives.shape = }, or a query without positive")
    best = np.where(positives, scores, -np.inf).max(axis=0)  # (Q,)
    above = (~positives & (scores >= best)).sum(axis=0)
    return above[:, None] < np.asarray(ranks)


def chance_at(
    positives: npt.ArrayLike, videos: int, ranks: Sequence[int]
) -> npt.NDArray[np.float64]:
    """Probability that r videos drawn from `videos` hold one of k positives: (Q,) -> (Q, ranks).

    One minus the hypergeometric probability of none.
    """
    k = np.asarray(positives, np.float64)[:, None]
    drawn = np.arange(max(ranks))
    left = np.clip(videos - k - drawn, 0, None) / np.clip(videos - drawn, 1, None)  # (Q, max)
    none: npt.NDArray[np.float64] = np.cumprod(left, axis=1, dtype=np.float64)
    return 1 - none[:, [min(rank, videos) - 1 for rank in ranks]]


def groups_of(videos: Sequence[str], size: int, seed: int) -> list[tuple[list[str], list[str]]]:
    """(scored, candidates) video ids: groups of exactly `size`, drawn from the seed.

    The last group is filled up with videos of the others, whose queries are not scored in it. With
    fewer videos than `size` all of them are one group.
    """
    shuffled = [videos[i] for i in named_rng(seed, "retrieval").permutation(len(videos))]
    groups = []
    for start in range(0, len(shuffled), size):
        scored = shuffled[start : start + size]
        groups.append((scored, [*scored, *shuffled[: min(size - len(scored), start)]]))
    return groups


@torch.inference_mode()
def similarities(
    model: Any, data: "PairData", split: str, device: torch.device
) -> tuple[dict[str, npt.NDArray[np.float32]], list[str], npt.NDArray[np.int64]]:
    """Each similarity (V,Q) of all videos of a split with all its queries.

    Also the video ids in the order of V, and the row numbers of `data` in the order of Q. Videos
    and queries are encoded in the loader's batches and compared block by block.
    """
    model.eval()
    packed = data.packed(split)
    texts: list[tuple[Tensor, Tensor, Tensor]] = []
    for rows in packed:
        batch = data.batch(rows).to(device)
        words, sentences = model.text(batch)
        texts.append((words, batch.word_mask, sentences))
    names: list[str] = []
    blocks: dict[str, list[npt.NDArray[np.float32]]] = {}
    for rows in packed:  # the videos of one batch at a time: all of them need not fit
        batch = data.batch(rows).to(device)
        video = model.encode_video(batch)
        names += batch.video_ids
        across: dict[str, list[npt.NDArray[np.float32]]] = {}
        for text in texts:
            beside = Encoded(video.frames, video.patches, video.frame_mask, *text)
            for name, value in model.transfer.match(beside, video).items():
                across.setdefault(name, []).append(value.float().cpu().numpy())
        for name, output in SIMILARITIES.items():
            if output in across:
                blocks.setdefault(name, []).append(np.concatenate(across[output], axis=1))
    found = {name: np.concatenate(rows, axis=0) for name, rows in blocks.items()}
    return found, names, np.concatenate(packed)


def retrieved(
    similarity: npt.NDArray[np.float32],
    positive: Bools,
    videos: Sequence[str],
    owners: Sequence[str],
    size: int | None,
    seed: int,
) -> tuple[Bools, npt.NDArray[np.float64]]:
    """Hits (Q, ranks) and their chances (Q, ranks), in groups of `size` videos, or of all.

    similarity, positive (V,Q); videos (V,) ids, owners (Q,) the id of each query's own video.
    """
    row_of = {name: row for row, name in enumerate(videos)}
    owner = np.array([row_of[name] for name in owners])
    hits = np.zeros((len(owners), len(RANKS)), np.bool_)
    chances = np.zeros((len(owners), len(RANKS)))
    for scored, candidates in groups_of(videos, size or len(videos), seed):
        rows = np.array([row_of[name] for name in candidates])
        queries = np.flatnonzero(np.isin(owner, [row_of[name] for name in scored]))
        block = np.ix_(rows, queries)
        hits[queries] = found_at(similarity[block], positive[block], RANKS)
        chances[queries] = chance_at(positive[block].sum(axis=0), len(rows), RANKS)
    return hits, chances


def positives_of(
    videos: Sequence[str], owners: Sequence[str], text_index: npt.NDArray[np.int64]
) -> Bools:
    """(V,Q): whether a video is the query's own, or has a query of the same text."""
    row_of = {name: row for row, name in enumerate(videos)}
    owner = np.array([row_of[name] for name in owners])
    _, text = np.unique(text_index, return_inverse=True)
    has = np.zeros((len(videos), text.max() + 1), np.bool_)
    has[owner, text] = True
    return has[:, text]
