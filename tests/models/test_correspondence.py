"""Relevance, its top frames, and the score of moments against slow loops."""

import math

import pytest
import torch

from mktn.models import similarity
from mktn.models.correspondence import inside_minus_outside, mean_of_top, nearest, top_frames
from mktn.models.proposals import sparse_cells
from mktn.models.similarity import word_relevance

V, Q, T, L, D = 2, 3, 5, 4, 3


def unit(*shape: int, seed: int) -> torch.Tensor:
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()
    return torch.nn.functional.normalize(values, dim=-1)


@pytest.mark.parametrize("block", [4_000_000, 10])
def test_relevance_is_the_largest_cosine_with_a_real_word(
    block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similarity, "BLOCK_ELEMENTS", block)
    frames, words = unit(V, T, D, seed=0), unit(Q, L, D, seed=1)
    mask = torch.arange(L) < torch.tensor([[4], [1], [2]])
    found = word_relevance(frames, words, mask)
    owner = torch.tensor([0, 1, 1])
    own = nearest(frames[owner], words, mask)
    assert found.shape == (V, Q, T)
    for q in range(Q):
        for t in range(T):
            for v in range(V):
                cosines = [(frames[v, t] @ words[q, i]).item() for i in range(L) if mask[q, i]]
                assert found[v, q, t].item() == pytest.approx(max(cosines))
            assert own[q, t] == found[owner[q], q, t]


def test_relevance_of_all_pairs_has_the_gradient_of_one_tensor_of_all() -> None:
    frames, words = unit(V, T, D, seed=0), unit(Q, L, D, seed=1)
    mask = torch.arange(L) < torch.tensor([[4], [1], [2]])
    pull = torch.randn(V, Q, T).double()

    def all_at_once(frames: torch.Tensor, words: torch.Tensor) -> torch.Tensor:
        cosine = torch.einsum("vtd,qld->vqtl", frames, words)
        return cosine.masked_fill(~mask[None, :, None], -torch.inf).amax(dim=-1)

    gradients = []
    for relevance in (lambda f, w: word_relevance(f, w, mask), all_at_once):
        given = frames.clone().requires_grad_(), words.clone().requires_grad_()
        (relevance(*given) * pull).sum().backward()
        gradients.append((given[0].grad, given[1].grad))
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_the_most_relevant_real_frames_make_a_videos_score(share: float) -> None:
    relevance = torch.randn(V, Q, 8).double()
    mask = torch.arange(8) < torch.tensor([[8], [3]])
    found = mean_of_top(relevance, mask[:, None], share)
    chosen = top_frames(relevance, mask[:, None], share)
    for v in range(V):
        for q in range(Q):
            real = [relevance[v, q, t].item() for t in range(8) if mask[v, t]]
            best = sorted(real, reverse=True)[: math.ceil(share * len(real))]
            assert found[v, q].item() == pytest.approx(sum(best) / len(best))
            assert sorted(relevance[v, q][chosen[v, q]].tolist(), reverse=True) == best


def test_a_moment_scores_what_is_inside_minus_what_is_outside() -> None:
    cells, relevance = sparse_cells(6, [6]), torch.randn(Q, 6).double()
    plain, weighed = (inside_minus_outside(relevance, cells, b) for b in (0.0, 0.5))
    for q in range(Q):
        for k, (first, last) in enumerate(cells.tolist()):
            values = relevance[q].tolist()
            inside = values[first : last + 1]
            outside = values[:first] + values[last + 1 :]
            expected = sum(inside) / len(inside) - sum(outside) / len(outside) if outside else 0.0
            assert plain[q, k].item() == pytest.approx(expected, abs=1e-9)
            p = len(inside) / 6
            weight = 2 * math.sqrt(p * (1 - p))
            assert weighed[q, k].item() == pytest.approx(weight * expected, abs=1e-9)


@pytest.mark.parametrize("balance", [0.0, 0.5])
def test_a_step_of_relevance_is_the_best_moment(balance: float) -> None:
    cells = sparse_cells(8, [8])
    relevance = torch.tensor([[0.1, 0.1, 0.8, 0.8, 0.8, 0.1, 0.1, 0.1]])
    best = inside_minus_outside(relevance, cells, balance).argmax(dim=1)
    if balance:  # the plain difference is as high for each part of the step
        assert cells[best].tolist() == [[2, 4]]
    assert 2 <= cells[best][0, 0] <= cells[best][0, 1] <= 4
