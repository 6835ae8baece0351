"""Matching scores of every video with every query, without a tensor of all their parts.

V videos, Q queries, T frames, L words, A object, P phrase, E activity prototypes, d width.
S and S_op are maxima of products. The forward pass makes the products in blocks and keeps each
maximum and its place; the backward pass reads only the vectors that won. Neither ever holds
(V,T,Q,L) or (V,T,A,Q,P). All compute in float32 at least, under autocast too.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from mktn.models.layers import full

BLOCK_ELEMENTS = 1_000_000  # of the largest tensor of a block: 4 MB in float32
GPU_ELEMENTS = 32_000_000  # of the winning vectors that a block of a GPU's backward pass gathers
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


def word_relevance(frames: Tensor, words: Tensor, word_mask: Tensor) -> Tensor:
    """How a frame matches a query: the maximum over its words. Of every frame with every query.

    frames (V,T,d) and words (Q,L,d), both of unit norm; word_mask (Q,L) -> (V,Q,T). NOTHING for a
    query without a real word.
    """
    best = _Best.apply(words[:, :, None], word_mask, frames[:, :, None], None, False)
    return best[:, :, 0].transpose(0, 1)  # (Q,V,1,T) -> (V,Q,T)


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
    # In bfloat16 prototypes that are alike would tie, and share one gradient.
    with torch.autocast(activities.device.type, enabled=False):
        activities, sentences = (
            functional.normalize(full(each), dim=-1) for each in (activities, sentences)
        )
        return torch.einsum("ved,qd->vqe", activities, sentences).amax(dim=-1)


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
        x_grad, y_grad = (torch.zeros(z.shape, dtype=best.dtype, device=z.device) for z in (x, y))
        grad = grad.masked_fill(place < 0, 0)
        for won in _pulling(grad, width):
            v, q, a, g = at = won.unbind(dim=1)
            won_at = place[at].clamp(min=0)  # where all is masked the gradient is 0
            p, t = won_at // frames, won_at % frames
            left, right = x[v, t, a].to(best.dtype), y[q, g, p].to(best.dtype)  # (rows,d)
            value = best[at][:, None] if ctx.cosine else None
            to_left, to_right = _pulls(left, right, grad[at][:, None], value)
            x_rows, y_rows = (v * frames + t) * slots + a, (q * groups + g) * parts + p
            x_grad.view(-1, width).index_add_(0, x_rows, to_left)
            y_grad.view(-1, width).index_add_(0, y_rows, to_right)
        return x_grad.to(x.dtype), None, y_grad.to(y.dtype), None, None


def _pulling(grad: Tensor, width: int) -> Iterator[Tensor]:
    """Blocks (rows,4) of the places v, q, a, g of a gradient that may be other than 0."""
    if not grad.is_cuda:
        # Most hinges are inactive and many words padding: only what pulls is gathered.
        yield from grad.nonzero().split(max(1, BLOCK_ELEMENTS // width))
        return
    # On a GPU the host would wait to hear which they are: all of them.
    for rows in torch.arange(grad.numel(), device=grad.device).split(GPU_ELEMENTS // width or 1):
        at = []
        for size in reversed(grad.shape):
            at.append(rows % size)
            rows = rows // size
        yield torch.stack(at[::-1], dim=1)


def _search(
    x: Tensor, x_mask: Tensor, y: Tensor, y_mask: Tensor | None, cosine: bool
) -> tuple[Tensor, Tensor]:
    """The maxima (V,Q,A,G) and their places p * T + t, int32; -1 where all is masked."""
    (videos, frames, slots, width), (queries, groups, parts, _) = x.shape, y.shape
    dtype = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
    best = x.new_empty((videos, queries, slots, groups), dtype=dtype)
    place = torch.empty_like(best, dtype=torch.int32)
    y = y.to(dtype)
    y = y * _inverse_norm(y) if cosine else y
    pair = slots * frames * groups * parts  # products of one video with one query
    videos_a_block = _at_least_one(pair * queries, slots * frames * width)
    queries_a_block = _at_least_one(pair * videos_a_block)
    for v in _slices(videos, videos_a_block):
        block = x[v].to(dtype)
        block = block * _inverse_norm(block) if cosine else block
        block = block.transpose(1, 2).reshape(-1, frames, width).transpose(1, 2)  # (v*A,d,T)
        for q in _slices(queries, queries_a_block):
            rows = y[q].reshape(-1, width)  # (q*G*P,d)
            scores = torch.bmm(rows.expand(len(block), -1, -1), block)
            scores = scores.view(-1, slots, len(rows), frames)
            scores.masked_fill_(~x_mask[v, None, None], -torch.inf)
            value, t = (z.unflatten(2, (-1, groups, parts)) for z in scores.max(dim=-1))
            if y_mask is not None:
                value = value.masked_fill(~y_mask[q], -torch.inf)
            value, p = value.max(dim=-1, keepdim=True)  # (v,A,q,G,1)
            t = t.gather(-1, p) + frames * p
            best[v, q] = value[..., 0].transpose(1, 2)
            place[v, q] = t[..., 0].transpose(1, 2).to(place.dtype)
    nothing = best == -torch.inf
    return best.masked_fill_(nothing, NOTHING), place.masked_fill_(nothing, -1)


def _pulls(
    left: Tensor, right: Tensor, pull: Tensor, cosine: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Gradients on the winning rows left and right (R,d) of scores with gradients pull (R,1)."""
    if cosine is None:
        return right * pull, left * pull
    # d cos / d left = (right/|right| - cos left/|left|) / |left|
    left_inverse, right_inverse = _inverse_norm(left), _inverse_norm(right)
    left, right = left * left_inverse, right * right_inverse
    return (
        torch.addcmul(right, cosine, left, value=-1).mul_(pull * left_inverse),
        torch.addcmul(left, cosine, right, value=-1).mul_(pull * right_inverse),
    )


def _inverse_norm(vectors: Tensor) -> Tensor:
    norm = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
    return norm.reciprocal().masked_fill(norm < SHORTEST, 0)


def _at_least_one(*elements: int) -> int:
    """How many units of so many elements make a block."""
    return max(1, BLOCK_ELEMENTS // max(1, *elements))


def _slices(length: int, step: int) -> Iterator[slice]:
    return (slice(start, start + step) for start in range(0, length, step))
