"""Matching scores of every video with every query, reduced in blocks of queries.

V videos, Q queries, T frames, L words, A object, P phrase, E activity prototypes, d width.
No tensor of all videos x frames x queries x words is kept: a block is computed, reduced, and
computed again in the backward pass.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

BLOCK_ELEMENTS = 4_000_000  # of the largest tensor of a block: 16 MB in float32


def frame_word_similarity(
    frames: Tensor, frame_mask: Tensor, words: Tensor, word_mask: Tensor
) -> Tensor:
    """S of Eq. 1 as a number a pair: mean over words of the maximum over frames.

    frames (V,T,d) and words (Q,L,d), both of unit norm; masks (V,T), (Q,L) -> (V,Q).
    """

    def block(words: Tensor, word_mask: Tensor) -> Tensor:
        scores = torch.einsum("vtd,qld->vqlt", frames, words)
        best = _fill(scores, frame_mask[:, None, None, :]).amax(dim=-1)  # (V,Q,L)
        weight = word_mask.to(best.dtype)
        return (best * weight).sum(dim=-1) / weight.sum(dim=-1).clamp(min=1)

    cells = frames.shape[0] * frames.shape[1] * words.shape[1]
    return _in_blocks(block, cells, words, word_mask)


def object_phrase_similarity(
    objects: Tensor, frame_mask: Tensor, phrases: Tensor, phrase_mask: Tensor
) -> Tensor:
    """S_op: mean over objects of the maximum over frames and phrases of the cosine.

    objects (V,T,A,d), frame_mask (V,T), phrases (Q,P,d), phrase_mask (Q,P) -> (V,Q).
    """
    objects = functional.normalize(objects, dim=-1)

    def block(phrases: Tensor, phrase_mask: Tensor) -> Tensor:
        scores = torch.einsum("vtad,qpd->vqatp", objects, functional.normalize(phrases, dim=-1))
        real = frame_mask[:, None, None, :, None] & phrase_mask[None, :, None, None, :]
        return _fill(scores, real).flatten(3).amax(dim=-1).mean(dim=-1)

    cells = objects.shape[:3].numel() * phrases.shape[1]
    return _in_blocks(block, cells, phrases, phrase_mask)


def activity_sentence_similarity(activities: Tensor, sentences: Tensor) -> Tensor:
    """S_es: the maximum over activity prototypes of the cosine.

    activities (V,E,d), sentences (Q,d) -> (V,Q).
    """
    activities = functional.normalize(activities, dim=-1)
    scores = torch.einsum("ved,qd->vqe", activities, functional.normalize(sentences, dim=-1))
    return scores.amax(dim=-1)


def _fill(scores: Tensor, mask: Tensor) -> Tensor:
    # A cosine is at least -1; -2 stays finite where everything is masked.
    return scores.masked_fill(~mask, -2.0)


def _in_blocks(
    block: Callable[[Tensor, Tensor], Tensor], cells: int, queries: Tensor, mask: Tensor
) -> Tensor:
    size = max(1, BLOCK_ELEMENTS // max(cells, 1))
    if size >= len(queries):
        return block(queries, mask)
    parts = [
        checkpoint(block, part, part_mask, use_reentrant=False)
        for part, part_mask in zip(queries.split(size), mask.split(size), strict=True)
    ]
    return torch.cat(parts, dim=1)
