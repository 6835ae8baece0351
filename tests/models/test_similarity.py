"""Similarities against slow loops, in blocks and whole, on masked input; and what they keep."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mktn.models import similarity
from mktn.models.apa import APA
from mktn.models.fusion import Fusion


def ragged(rows: int, length: int, seed: int) -> Tensor:
    lengths = torch.randint(1, length + 1, (rows,), generator=torch.Generator().manual_seed(seed))
    return torch.arange(length) < lengths[:, None]


def normal(*shape: int, seed: int) -> Tensor:
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
    frame_mask, word_mask = ragged(2, 3, 2), ragged(3, 2, 3)
    frames, words = normal(2, 3, 4, seed=0), normal(3, 2, 4, seed=1)
    objects, sentences = normal(2, 3, 2, 4, seed=4), normal(3, 4, seed=5)

    def eq_1(frames: Tensor, words: Tensor) -> Tensor:
        return similarity.frame_word_similarity(frames, frame_mask, words, word_mask)

    def s_op(objects: Tensor, phrases: Tensor) -> Tensor:
        return similarity.object_phrase_similarity(objects, frame_mask, phrases, word_mask)

    for function, *inputs in (
        (eq_1, frames, words),
        (s_op, objects, words),
        (similarity.activity_sentence_similarity, frames, sentences),
    ):
        assert torch.autograd.gradcheck(function, [x.requires_grad_() for x in inputs])


def plain(objects: Tensor, frame_mask: Tensor, phrases: Tensor, mask: Tensor) -> Tensor:
    """All cosines (V,Q,A,T,P) at once, then the maxima."""
    objects, phrases = normalize(objects, dim=-1), normalize(phrases, dim=-1)
    cosines = torch.einsum("vtad,qpd->vqatp", objects, phrases)
    real = frame_mask[:, None, None, :, None] & mask[None, :, None, None, :]
    return cosines.masked_fill(~real, -2).amax(dim=(3, 4))


@pytest.mark.usefixtures("_blocks")
@pytest.mark.parametrize(("videos", "queries"), [(1, 1), (1, 5), (4, 1), (4, 5)])
def test_values_and_gradients_are_those_of_all_cosines_at_once(videos: int, queries: int) -> None:
    frames, words = ragged(videos, 7, 0), ragged(queries, 6, 1)
    # As another module may hand them on: a view whose frames are not adjacent in memory.
    objects = normal(videos, 3, 7, 5, seed=2).transpose(1, 2).requires_grad_()
    phrases, weight = (
        normal(queries, 6, 5, seed=3).requires_grad_(),
        normal(videos, queries, seed=4),
    )
    by_hand = plain(objects, frames, phrases, words).mean(dim=-1)
    found = similarity.object_phrase_similarity(objects, frames, phrases, words)
    torch.testing.assert_close(found, by_hand, rtol=1e-6, atol=0)
    expected = torch.autograd.grad((by_hand * weight).sum(), (objects, phrases))
    for _ in range(2):  # gradients are taken of the same graph more than once
        given = torch.autograd.grad((found * weight).sum(), (objects, phrases), retain_graph=True)
        torch.testing.assert_close(given, expected, rtol=1e-6, atol=1e-12)


def test_nothing_to_compare_is_a_constant_and_no_nan() -> None:
    frames, words = normal(2, 3, 4, seed=0), normal(2, 2, 4, seed=1)
    frames.requires_grad_(), words.requires_grad_()
    frame_mask = torch.tensor([[True] * 3, [False] * 3])
    word_mask = torch.tensor([[True, False], [False, False]])
    for found in (
        similarity.frame_word_similarity(frames, frame_mask, words, word_mask),
        similarity.object_phrase_similarity(frames[:, :, None], frame_mask, words, word_mask),
    ):
        assert found.isfinite().all()
        to_frames, to_words = torch.autograd.grad(found.sum(), (frames, words))
        assert not to_frames[1].any()
        assert not to_words[1].any()
        assert to_frames[0].any()


def test_half_precision_is_compared_in_single_precision() -> None:
    frames, words = normal(2, 3, 8, seed=0).bfloat16(), normal(3, 2, 8, seed=1).bfloat16()
    masks = torch.ones(2, 3, dtype=torch.bool), torch.ones(3, 2, dtype=torch.bool)
    with torch.autocast("cpu", torch.bfloat16):
        found = similarity.frame_word_similarity(frames, masks[0], words, masks[1])
    expected = similarity.frame_word_similarity(
        frames.double(), masks[0], words.double(), masks[1]
    )
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected)


class Largest(TorchDispatchMode):
    """Remembers the most elements of any tensor that an operation made."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        made = function(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(made) if isinstance(leaf, Tensor)]
        self.elements = max(self.elements, *sizes, 0)
        return made


def largest(compute: Callable[[], Tensor]) -> int:
    """Elements of the largest tensor made in a forward and backward pass."""
    with Largest() as seen:
        compute().sum().backward()
    return seen.elements


def test_no_tensor_of_all_frames_and_all_words_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(similarity, "BLOCK_ELEMENTS", 2000)
    frames, words = normal(4, 10, 4, seed=0).requires_grad_(), normal(12, 5, 4, seed=1)
    objects, words = normal(4, 10, 3, 4, seed=2).requires_grad_(), words.requires_grad_()
    masks = torch.ones(4, 10, dtype=torch.bool), torch.ones(12, 5, dtype=torch.bool)
    made = largest(lambda: similarity.frame_word_similarity(frames, masks[0], words, masks[1]))
    assert made <= 2000 < 4 * 10 * 12 * 5
    made = largest(lambda: similarity.object_phrase_similarity(objects, masks[0], words, masks[1]))
    assert made <= 2000 < 4 * 10 * 3 * 12 * 5


def test_a_frame_attends_to_its_own_objects_without_a_matrix_of_all_objects() -> None:
    frames, kinds, width = 40, 3, 4
    torch.manual_seed(0)
    apa = APA(width, frames, 2)
    given = torch.randn(1, frames, width), torch.ones(1, frames, dtype=torch.bool)
    objects = torch.randn(1, frames, kinds, width)
    made = largest(lambda: apa.of_video(*given, objects).activities)
    assert made <= frames * kinds * width < frames * frames * kinds


def test_the_fusion_never_multiplies_frames_with_frames() -> None:
    frames, width = 200, 4
    torch.manual_seed(0)
    fusion = Fusion(width, 0.0)
    x, words = torch.randn(1, frames, width), torch.randn(1, 3, width)
    masks = torch.ones(1, frames, dtype=torch.bool), torch.ones(1, 3, dtype=torch.bool)
    made = largest(lambda: fusion(x, masks[0], words, masks[1]))
    assert made < frames * frames


def test_activities_are_compared_in_full_precision_under_autocast() -> None:
    """In bfloat16 prototypes that are alike would tie and share one gradient."""
    torch.manual_seed(0)
    activities = torch.randn(3, 1, 16) + 1e-3 * torch.randn(3, 4, 16)
    sentences = torch.randn(5, 16)
    expected = similarity.activity_sentence_similarity(activities, sentences)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = similarity.activity_sentence_similarity(activities, sentences)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
