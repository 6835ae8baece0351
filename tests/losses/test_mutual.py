"""MMN's losses against slow loops written from the formulas, in float64."""

import math

import pytest
import torch

from mktn.losses import mutual
from mktn.losses.proposals import moment_iou

TAU, MARGIN = 0.1, 0.4
WHERE = torch.tensor([0, 0, 1, 2, 2])  # p(q)
VIDEOS, QUERIES, MOMENTS = 3, 5, 6


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64)


def related(text_index: list[int]) -> torch.Tensor:
    """(V,Q): a video is related to its queries, and to those that read as one of its own."""
    found = torch.zeros(VIDEOS, QUERIES, dtype=torch.bool)
    for q in range(QUERIES):
        for other in range(QUERIES):
            if text_index[q] == text_index[other]:
                found[WHERE[other], q] = True
    return found


def loop(found: float, others: list[float]) -> float:
    """Cross entropy of one positive cosine among the others."""
    top = math.exp((found - MARGIN) / TAU)
    return -math.log(top / (top + sum(math.exp(other / TAU) for other in others)))


def test_a_sentence_finds_its_moments_among_those_of_all_videos() -> None:
    similarity, iou = numbers(QUERIES, VIDEOS, MOMENTS) * 2 - 1, numbers(QUERIES, MOMENTS, seed=1)
    same = related([0, 1, 0, 2, 3])  # query 2, of video 1, reads as query 0, of video 0
    for count in (1, 2):
        positive = mutual.best_moments(iou, count)
        values = []
        for q in range(QUERIES):
            own = int(WHERE[q])
            chosen = sorted(range(MOMENTS), key=lambda k: -iou[q, k].item())[:count]
            negatives = [
                similarity[q, v, k].item()
                for v in range(VIDEOS)
                for k in range(MOMENTS)
                if (v == own and iou[q, k] < 0.5 and k not in chosen)
                or not (v == own or same[v, q])
            ]
            values += [loop(similarity[q, own, k].item(), negatives) for k in chosen]
        negative = mutual.negative_moments(iou, positive, same, WHERE, 0.5)
        found = mutual.sentence_to_moments(similarity, positive, WHERE, negative, TAU, MARGIN)
        assert found.item() == pytest.approx(sum(values) / len(values), 1e-9)


def test_a_moment_finds_its_sentence_among_those_of_the_batch() -> None:
    similarity, iou = numbers(QUERIES, VIDEOS, MOMENTS) * 2 - 1, numbers(QUERIES, MOMENTS, seed=1)
    spans = torch.tensor([[0.0, 0.5], [0.1, 0.5], [0.2, 0.4], [0.0, 0.5], [0.6, 1.0]]).double()
    text = [0, 1, 0, 2, 3]
    same = related(text)
    for count in (1, 2):
        positive = mutual.best_moments(iou, count)
        values = []
        for q in range(QUERIES):
            own = int(WHERE[q])
            others = []
            for other in range(QUERIES):
                if other == q or text[other] == text[q]:
                    continue
                if WHERE[other] == own:
                    wanted = moment_iou(spans[q : q + 1], spans[other : other + 1]) < 0.5
                else:
                    wanted = ~same[own, other]
                if wanted:
                    others.append(other)
            for k in positive[q].tolist():
                negatives = [similarity[other, own, k].item() for other in others]
                values.append(loop(similarity[q, own, k].item(), negatives))
        index = torch.tensor(text)
        negative = mutual.negative_sentences(spans, same, WHERE, index, 0.5)
        found = mutual.moment_to_sentences(similarity, positive, WHERE, negative, TAU, MARGIN)
        assert found.item() == pytest.approx(sum(values) / len(values), 1e-9)


def test_negatives_are_what_they_should_be() -> None:
    iou = torch.zeros(QUERIES, MOMENTS)
    iou[:, 1], iou[:, 2] = 0.9, 0.5
    iou[4] = torch.tensor([0.0, 0.1, 0.3, 0.2, 0.0, 0.0])  # its best moment is below 0.5
    same = related([0, 1, 0, 2, 3])
    positive = mutual.best_moments(iou, 1)
    assert positive.flatten().tolist() == [1, 1, 1, 1, 2]
    negative = mutual.negative_moments(iou, positive, same, WHERE, 0.5)
    assert negative[0, 0].tolist() == [True, False, False, True, True, True]
    assert negative[4, 2].tolist() == [True, True, False, True, True, True]
    assert not negative[[0, 2], [1, 0]].any()  # the same text
    assert negative[[0, 1], [2, 1]].all()
    spans = torch.tensor([[0.0, 0.5], [0.1, 0.5], [0.2, 0.4], [0.0, 0.5], [0.6, 1.0]])
    found = mutual.negative_sentences(spans, same, WHERE, torch.tensor([0, 1, 0, 2, 3]), 0.5)
    # Queries 0 and 1 overlap; query 2 reads as query 0; video 0 has a query of query 2's text.
    assert found.int().tolist() == [
        [0, 0, 0, 1, 1],
        [0, 0, 0, 1, 1],
        [0, 1, 0, 1, 1],
        [1, 1, 1, 0, 1],
        [1, 1, 1, 1, 0],
    ]
    unknown = mutual.negative_sentences(
        spans, related([0, 1, 2, 3, 4]), WHERE, torch.full((QUERIES,), -1), 0.5
    )
    assert unknown[0, 2]  # -1 is the text of nothing, and so not the same


def test_nothing_to_tell_apart_costs_nothing() -> None:
    similarity = (numbers(1, 1, 3) * 2 - 1).requires_grad_()
    iou, where = torch.tensor([[0.9, 0.6, 0.8]]), torch.zeros(1, dtype=torch.long)
    positive = mutual.best_moments(iou, 1)
    own = torch.ones(1, 1, dtype=torch.bool)
    moments = mutual.negative_moments(iou, positive, own, where, 0.5)
    sentences = mutual.negative_sentences(numbers(1, 2), own, where, None, 0.5)
    value = mutual.sentence_to_moments(similarity, positive, where, moments, TAU, MARGIN)
    value = value + mutual.moment_to_sentences(similarity, positive, where, sentences, TAU, MARGIN)
    value.backward()
    assert value.item() == 0.0
    assert similarity.grad is not None
    assert not similarity.grad.any()


def test_gradients_are_those_of_the_values() -> None:
    similarity = (numbers(QUERIES, VIDEOS, MOMENTS) * 2 - 1).requires_grad_()
    iou = numbers(QUERIES, MOMENTS, seed=1)
    same, positive = related([0, 1, 0, 2, 3]), mutual.best_moments(iou, 2)
    moments = mutual.negative_moments(iou, positive, same, WHERE, 0.5)
    sentences = mutual.negative_sentences(numbers(QUERIES, 2).sort(dim=1).values, same, WHERE,
                                          None, 0.5)  # fmt: skip
    for loss, negative in (
        (mutual.sentence_to_moments, moments),
        (mutual.moment_to_sentences, sentences),
    ):
        assert torch.autograd.gradcheck(
            lambda s, f=loss, n=negative: f(s, positive, WHERE, n, TAU, MARGIN), similarity
        )
