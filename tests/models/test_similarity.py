"""Similarities against slow loops, in blocks and whole, on masked input."""

import pytest
import torch
from torch.nn.functional import cosine_similarity, normalize

from mktn.models import similarity


def ragged(rows: int, length: int, seed: int) -> torch.Tensor:
    lengths = torch.randint(1, length + 1, (rows,), generator=torch.Generator().manual_seed(seed))
    return torch.arange(length) < lengths[:, None]


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=[4_000_000, 50])
def _blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity, "BLOCK_ELEMENTS", request.param)


@pytest.mark.usefixtures("_blocks")
def test_frame_word_similarity() -> None:
    frames, words = (
        normalize(normal(3, 5, 4, seed=0), dim=-1),
        normalize(normal(4, 6, 4, seed=1), dim=-1),
    )
    frame_mask, word_mask = ragged(3, 5, 2), ragged(4, 6, 3)
    found = similarity.frame_word_similarity(frames, frame_mask, words, word_mask)
    for v in range(3):
        for q in range(4):
            best = [
                max((words[q, w] @ frames[v, t]).item() for t in range(5) if frame_mask[v, t])
                for w in range(6)
                if word_mask[q, w]
            ]
            assert found[v, q].item() == pytest.approx(sum(best) / len(best), 1e-6)


@pytest.mark.usefixtures("_blocks")
def test_object_phrase_similarity() -> None:
    objects, phrases = normal(2, 3, 2, 4, seed=0), normal(3, 2, 4, seed=1)
    frame_mask, phrase_mask = ragged(2, 3, 2), ragged(3, 2, 3)
    found = similarity.object_phrase_similarity(objects, frame_mask, phrases, phrase_mask)
    for v in range(2):
        for q in range(3):
            best = [
                max(
                    cosine_similarity(objects[v, t, a], phrases[q, p], dim=0).item()
                    for t in range(3)
                    for p in range(2)
                    if frame_mask[v, t] and phrase_mask[q, p]
                )
                for a in range(2)
            ]
            assert found[v, q].item() == pytest.approx(sum(best) / 2, 1e-6)


def test_activity_sentence_similarity() -> None:
    activities, sentences = normal(2, 3, 4, seed=0), normal(3, 4, seed=1)
    found = similarity.activity_sentence_similarity(activities, sentences)
    for v in range(2):
        for q in range(3):
            expected = max(cosine_similarity(a, sentences[q], dim=0).item() for a in activities[v])
            assert found[v, q].item() == pytest.approx(expected, 1e-6)


@pytest.mark.usefixtures("_blocks")
def test_the_gradient_is_that_of_the_value() -> None:
    frames, words = (
        normal(2, 3, 4, seed=0).requires_grad_(),
        normal(3, 2, 4, seed=1).requires_grad_(),
    )
    masks = ragged(2, 3, 2), ragged(3, 2, 3)
    assert torch.autograd.gradcheck(
        lambda f, w: similarity.frame_word_similarity(f, masks[0], w, masks[1]), (frames, words)
    )
