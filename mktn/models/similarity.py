"""Matching scores of every video with every query, without a tensor of all their parts.

V videos, Q queries, T frames, L words, A object, P phrase, E activity prototypes, d width.
A score is a maximum of products. The forward pass makes the products in blocks and keeps each
maximum and its place; the backward pass reads only the vectors that won. Neither ever holds
(V,T,Q,L) or (V,T,A,Q,P). All of it is in float32 at least, under autocast too.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

BLOCK_ELEMENTS = 1_000_000  # of the largest tensor of a block: 4 MB in float32
NOTHING = -2.0  # the score where everything is masked: below any cosine
SHORTEST = 1e-12  # as in functional.normalize; a shorter vector has cosine 0 and no gradient


def frame_word_similarity(
    frames: Tensor, frame_mask: Tensor, words: Tensor, word_mask: Tensor
) -> Tensor:
    """S of Eq. 1 as a number a pair: mean over words of the maximum over frames.

    frames (V,T,d) and words (Q,L,d), both of unit norm; masks (V,T), (Q,L) -> (V,Q).
    0 for a query without a real word.
    """
    best = _Best.apply(frames[:, :, None], frame_mask, words[:, :, None], None, False)
    best = best[:, :, 0].masked_fill(~word_mask, 0)  # (V,Q,L)
    return best.sum(dim=-1) / word_mask.sum(dim=-1).clamp(min=1)


def object_phrase_similarity(
    objects: Tensor, frame_mask: Tensor, phrases: Tensor, phrase_mask: Tensor
) -> Tensor:
    """S_op: mean over objects of the maximum over frames and phrases of the cosine.

    objects (V,T,A,d), frame_mask (V,T), phrases (Q,P,d), phrase_mask (Q,P) -> (V,Q).
    """
    best = _Best.apply(objects, frame_mask, phrases[:, None], phrase_mask[:, None], True)
    return best[..., 0].mean(dim=-1)


def activity_sentence_similarity(activities: Tensor, sentences: Tensor) -> Tensor:
    """S_es: the maximum over activity prototypes of the cosine.

    activities (V,E,d), sentences (Q,d) -> (V,Q). E is a handful, so (V,Q,E) may stand.
    """
    activities = functional.normalize(activities.float(), dim=-1)
    scores = torch.einsum("ved,qd->vqe", activities, functional.normalize(sentences, dim=-1))
    return scores.amax(dim=-1)


class _Best(torch.autograd.Function):
    """(V,Q,A,G): the maximum over t and p of <x[v,t,a], y[q,g,p]>, or of their cosine.

    x (V,T,A,d), x_mask (V,T), y (Q,G,P,d), y_mask (Q,G,P) or None for all real. Of several
    equal maxima one gets the gradient.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, x_mask: Tensor, y: Tensor, y_mask: Tensor | None, cosine: bool
    ) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            best, place = _search(x, x_mask, y, y_mask, cosine)
        ctx.cosine = cosine
        ctx.save_for_backward(x, y, best, place)
        return best

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, y, best, place = ctx.saved_tensors
        (_, frames, slots, width), (_, groups, parts, _) = x.shape, y.shape
        x_grad, y_grad = (torch.zeros_like(each, dtype=best.dtype) for each in (x, y))
        x_grad, y_grad = x_grad.contiguous(), y_grad.contiguous()
        grad = grad.masked_fill(place < 0, 0)
        with torch.autocast(x.device.type, enabled=False):
            # Most hinges are inactive and many words padding: only what pulls is gathered.
            for won in grad.nonzero().split(max(1, BLOCK_ELEMENTS // width)):
                v, q, a, g = at = won.unbind(dim=1)
                p, t = place[at] // frames, place[at] % frames
                left, right = x[v, t, a].to(best.dtype), y[q, g, p].to(best.dtype)  # (rows,d)
                pull = grad[at][:, None]
                to_left, to_right = right, left
                left_pull = right_pull = pull
                if ctx.cosine:  # d cos / dx = (y/|y| - cos x/|x|) / |x|
                    left_pull, right_pull = _inverse_norm(left), _inverse_norm(right)
                    left, right = left * left_pull, right * right_pull
                    to_left = torch.addcmul(right, best[at][:, None], left, value=-1)
                    to_right = torch.addcmul(left, best[at][:, None], right, value=-1)
                    left_pull, right_pull = left_pull * pull, right_pull * pull
                x_rows, y_rows = (v * frames + t) * slots + a, (q * groups + g) * parts + p
                x_grad.view(-1, width).index_add_(0, x_rows, to_left * left_pull)
                y_grad.view(-1, width).index_add_(0, y_rows, to_right * right_pull)
        return x_grad.to(x.dtype), None, y_grad.to(y.dtype), None, None
