"""LCNet's losses against slow loops written from their definitions."""

import math

import pytest
import torch

from mktn.losses.correspondence import cycle, ranking
from mktn.models.correspondence import cycle_back

V, Q, T, L, D = 3, 5, 6, 4, 3
VIDEO = torch.tensor([0, 0, 1, 2, 2])


def test_ranking_is_hinges_of_a_pair_against_unpaired_videos_and_queries() -> None:
    scores = torch.randn(V, Q, generator=torch.Generator().manual_seed(0)).double()
    positive = VIDEO[None] == torch.arange(V)[:, None]
    positive[1, 0] = True  # query 0's text is also that of a query of video 1
    margin, expected = 0.3, 0.0
    for q in range(Q):
        own = int(VIDEO[q])
        paired = scores[own, q].item()
        videos = [
            max(0.0, margin - paired + scores[v, q].item()) for v in range(V) if not positive[v, q]
        ]
        queries = [
            max(0.0, margin - paired + scores[own, other].item())
            for other in range(Q)
            if not positive[own, other]
        ]
        expected += sum(videos) / len(videos) + sum(queries) / len(queries)
    found = ranking(scores, VIDEO, positive, margin)
    assert found.item() == pytest.approx(expected / Q)


def test_a_pair_of_the_same_text_is_no_negative() -> None:
    scores = torch.zeros(2, 2, requires_grad=True)
    video, everything = torch.tensor([0, 1]), torch.ones(2, 2, dtype=torch.bool)
    loss = ranking(scores, video, everything, 0.2)
    loss.backward()
    assert loss.item() == 0
    assert not scores.grad.any()
    assert ranking(scores, video, torch.eye(2).bool(), 0.2).item() == pytest.approx(0.4)


def test_a_cycle_is_as_long_as_the_way_from_its_start_to_its_end() -> None:
    torch.manual_seed(0)
    unit = torch.nn.functional.normalize
    frames, words = (unit(torch.randn(2, n, D).double(), dim=-1) for n in (T, L))
    frame_mask = torch.arange(T) < torch.tensor([[T], [4]])
    word_mask = torch.arange(L) < torch.tensor([[L], [2]])
    started = torch.tensor([[1, 0, 0, 1, 1, 0], [0, 1, 0, 0, 0, 0]]).bool()
    temperature = 0.2
    returns = cycle_back(frames, frame_mask, words, word_mask, temperature)
    total = 0.0
    for q in range(2):
        values = []
        for t in range(T):
            near = {
                i: math.exp((frames[q, t] @ words[q, i]).item() / temperature)
                for i in range(L)
                if word_mask[q, i]
            }
            word = sum(w / sum(near.values()) * words[q, i] for i, w in near.items())
            word = word / word.norm()
            back = [
                math.exp((word @ frames[q, j]).item() / temperature) if frame_mask[q, j] else 0.0
                for j in range(T)
            ]
            back = [weight / sum(back) for weight in back]
            assert returns[q, t].tolist() == pytest.approx(back)
            real = int(frame_mask[q].sum())
            if started[q, t]:
                values.append(sum(p * ((j - t) / real) ** 2 for j, p in enumerate(back)))
        total += sum(values) / len(values)
    found = cycle(returns, started, frame_mask.sum(dim=1))
    assert found.item() == pytest.approx(total / 2)


def test_words_that_tell_frames_apart_bring_each_frame_back() -> None:
    frames, four = torch.eye(4)[None], torch.tensor([4])
    everything = torch.ones(1, 4, dtype=torch.bool)
    apart = cycle_back(frames, everything, frames, everything, 0.05)
    assert cycle(apart, everything, four).item() < 1e-6
    one_word = cycle_back(frames, everything, torch.ones(1, 1, 4) / 2, everything[:, :1], 0.05)
    even = sum((i - j) ** 2 for i in range(4) for j in range(4)) / 16 / 16
    assert cycle(one_word, everything, four).item() == pytest.approx(even)


def test_frames_that_do_not_start_have_no_gradient_and_no_nan() -> None:
    frames = torch.nn.functional.normalize(torch.randn(1, 4, 3), dim=-1).requires_grad_()
    mask = torch.tensor([[True, True, False, False]])
    words = torch.nn.functional.normalize(torch.randn(1, 2, 3), dim=-1)
    returns = cycle_back(frames, mask, words, torch.ones(1, 2).bool(), 0.1)
    assert cycle(returns, torch.zeros(1, 4, dtype=torch.bool), mask.sum(dim=1)).item() == 0
    cycle(returns, mask, mask.sum(dim=1)).backward()
    assert torch.isfinite(frames.grad).all()
    assert frames.grad[0, :2].any()
    assert not frames.grad[0, 2:].any()
