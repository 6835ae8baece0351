"""Each numbered equation against a slow loop written from the formula, in float64."""

import math

import pytest
import torch

from mktn import losses
from tests.batches import random_batch


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=torch.float64) * 2 - 1


def some_positive(rows: int, columns: int) -> torch.Tensor:
    positive = torch.zeros(rows, columns, dtype=torch.bool)
    positive[torch.arange(columns) % rows, torch.arange(columns)] = True
    positive[0, -1] = True  # a repeated sentence: two videos for one query
    return positive


@pytest.mark.parametrize(("r", "expected"), [(0.0, 0.2), (0.5, 0.45), (1.0, 0.7)])
def test_the_threshold_goes_from_initial_to_final(r: float, expected: float) -> None:
    assert losses.adaptive_threshold(r, 0.2, 0.7, "cosine") == pytest.approx(expected)
    assert losses.adaptive_threshold(r, 0.2, 0.7, "linear") == pytest.approx(expected)
    assert losses.adaptive_threshold(r, 0.2, 0.7, "fixed") == 0.7


def test_the_printed_threshold_starts_and_ends_at_neither_endpoint() -> None:
    start = losses.adaptive_threshold(0, 0.2, 0.7, "printed")
    end = losses.adaptive_threshold(1, 0.2, 0.7, "printed")
    assert start == pytest.approx(0.7 - 0.5 * math.cos(1))
    assert end > 0.7
    with pytest.raises(ValueError, match="progress"):
        losses.adaptive_threshold(1.1, 0.2, 0.7)


def rince_by_loop(similarity, positive, tau, q, lam, printed=False):
    rows = []
    for i in range(len(similarity)):
        values = []
        negatives = sum(
            math.exp(similarity[i, k] / tau)
            for k in range(similarity.shape[1])
            if not positive[i, k]
        )
        for j in range(similarity.shape[1]):
            if positive[i, j]:
                p = math.exp(similarity[i, j] / tau)
                first = p if printed else p**q
                values.append(-first / q + (lam * (p + negatives)) ** q / q)
        rows.append(sum(values) / len(values))
    return sum(rows) / len(rows)


CONSTANTS = [(0.5, 0.5, 0.01), (0.1, 0.9, 0.3), (1.0, 1.0, 1.0), (0.1, 0.02, 0.04)]


@pytest.mark.parametrize("printed", [False, True])
@pytest.mark.parametrize(("tau", "q", "lam"), CONSTANTS)
def test_rince_is_the_formula(tau: float, q: float, lam: float, printed: bool) -> None:
    similarity, positive = numbers(4, 7), some_positive(4, 7)
    positive[1] = True  # a row without negatives
    expected = rince_by_loop(similarity, positive, tau, q, lam, printed)
    found = losses.rince(similarity, positive, tau, q, lam, printed=printed)
    assert found.item() == pytest.approx(expected, 1e-6)
    rows = losses.query_to_video(similarity, positive, tau, q, lam, printed=printed)
    assert rows.item() == found.item()
    columns = losses.video_to_query(similarity, positive, tau, q, lam, printed=printed)
    expected = rince_by_loop(similarity.T, positive.T, tau, q, lam, printed)
    assert columns.item() == pytest.approx(expected, 1e-6)


def test_a_row_without_a_positive_is_an_error() -> None:
    positive = some_positive(4, 7)
    positive[2] = False
    with pytest.raises(ValueError, match=r"row 2 of \(4, 7\) has no positive"):
        losses.rince(numbers(4, 7), positive)


def test_rince_tends_to_infonce_plus_log_lambda() -> None:
    similarity, positive = numbers(5, 5), torch.eye(5, dtype=torch.bool)
    info_nce = torch.nn.functional.cross_entropy(similarity / 0.5, torch.arange(5))
    value = losses.rince(similarity, positive, 0.5, 1e-7, 0.2)
    assert value.item() == pytest.approx(info_nce.item() + math.log(0.2), abs=1e-5)


def test_rince_at_q_1_weighs_positives_against_negatives() -> None:
    similarity, positive = numbers(4, 6), torch.zeros(4, 6, dtype=torch.bool)
    positive[:, 1] = True
    tau, lam = 0.5, 0.3
    plus = (similarity[:, 1] / tau).exp()
    minus = (similarity / tau).exp().masked_fill(positive, 0).sum(dim=1)
    expected = (-(1 - lam) * plus + lam * minus).mean()
    found = losses.rince(similarity, positive, tau, 1.0, lam)
    assert found.item() == pytest.approx(expected.item(), 1e-6)


@pytest.mark.parametrize(("tau", "q", "lam"), CONSTANTS)
def test_rince_pulls_all_similarities_together_or_apart(tau: float, q: float, lam: float) -> None:
    """docs/matching.md: the derivative along the direction in which all similarities move."""
    candidates, at = 24, 0.3
    shift = torch.tensor(at, dtype=torch.float64, requires_grad=True)
    positive = torch.eye(3, candidates, dtype=torch.bool)
    losses.rince(shift.expand(3, candidates), positive, tau, q, lam).backward()
    expected = math.exp(q * at / tau) / tau * ((lam * candidates) ** q - 1)
    assert shift.grad.item() == pytest.approx(expected, 1e-6)


def test_the_alignment_loss_is_both_directions_of_both_similarities() -> None:
    a, b, positive = numbers(3, 5), numbers(3, 5, seed=1), some_positive(3, 5)
    expected = sum(
        rince_by_loop(s, p, 0.5, 0.5, 0.1)
        for s, p in [(a, positive), (a.T, positive.T), (b, positive), (b.T, positive.T)]
    )
    found = losses.alignment([a, b], positive, 0.5, 0.5, 0.1)
    assert found.item() == pytest.approx(expected, 1e-6)


def test_a_related_pair_is_never_a_negative() -> None:
    batch = random_batch((2, 1, 2))
    batch.text_index[:] = torch.tensor([0, 1, 0, 2, 3])  # query 2 reads as query 0
    similarity = torch.full((3, 5), -1.0)
    found = losses.negatives(similarity, batch.positive(), 0.5)
    assert found.int().tolist() == [[0, 0, 0, 1, 1], [0, 1, 0, 1, 1], [1, 1, 1, 0, 0]]
    similarity[2, 0] = 0.5  # not below the threshold
    assert not losses.negatives(similarity, batch.positive(), 0.5)[2, 0]
    assert not losses.negatives(similarity.requires_grad_(), batch.positive(), 0.5).requires_grad


def test_the_contrast_is_the_printed_hinge_and_empty_sets_give_zero() -> None:
    video_index, phi = torch.tensor([0, 0, 1, 2, 2]), 0.4
    similarity = numbers(3, 5)
    negative = similarity < 0.2
    negative[video_index, torch.arange(5)] = False
    theta = torch.rand(5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    expected = 0.0
    for q, v in enumerate(video_index.tolist()):
        s = similarity[v, q]
        by_query = [max(0.0, phi - s + similarity[v, k]) for k in range(5) if negative[v, k]]
        by_video = [max(0.0, phi - s + similarity[k, q]) for k in range(3) if negative[k, q]]
        expected += theta[q] * sum(by_query) / max(len(by_query), 1)
        expected += (1 - theta[q]) * sum(by_video) / max(len(by_video), 1)
    found = losses.contrastive(similarity, video_index, negative, theta, phi)
    assert found.item() == pytest.approx(float(expected) / 5, 1e-6)
    nothing = losses.contrastive(similarity, video_index, torch.zeros_like(negative), theta, phi)
    assert nothing.item() == 0.0


def test_the_contrast_weight_follows_equation_4() -> None:
    frames, words = numbers(3, 4), numbers(5, 4, seed=1)
    video_index = torch.tensor([0, 0, 1, 2, 2])
    negative = torch.ones(3, 5, dtype=torch.bool)
    negative[video_index, torch.arange(5)] = False
    negative[2] = False  # video 2 has no negative query
    found = losses.contrast_weight(frames, words, video_index, negative)
    for q, v in enumerate(video_index.tolist()):
        away = [torch.dist(frames[v], words[k]).item() for k in range(5) if negative[v, k]]
        if not away:
            assert found[q] == 0.5
            continue
        near, far = torch.dist(frames[v], words[q]).item(), sum(away) / len(away)
        ratio = ((far - near) / (far + near)) ** 2
        expected = min(max(ratio / (1 + ratio), 0.05), 0.5)
        assert found[q].item() == pytest.approx(expected, 1e-5)
    same = losses.contrast_weight(frames[:1], frames[:1].expand(2, -1), torch.zeros(2).long(),
                                  torch.tensor([[False, True]]))  # fmt: skip
    assert same.tolist() == [0.5, 0.5]


def test_boundary_cells_and_float_targets() -> None:
    spans = torch.tensor([[0.0, 4.0], [1.25, 3.5], [2.0, 2.0], [3.9, 4.0]], dtype=torch.float64)
    start, end = losses.boundary_cells(spans, torch.full((4,), 4))
    assert start.tolist() == [0, 1, 2, 3]
    assert end.tolist() == [3, 3, 2, 3]
    offsets = torch.full((4, 4, 2), 0.5, dtype=torch.float64)
    expected_start = [1.0, 0.75, 1.0, 0.1]
    expected_end = [1.0, 0.5, 0.0, 1.0]
    half = (
        [0.5 * (0.5 - t) ** 2 for t in expected_start],
        [0.5 * (0.5 - t) ** 2 for t in expected_end],
    )
    found = losses.float_boundary(offsets, spans, start, end)
    assert found.item() == pytest.approx(sum(half[0]) / 4 + sum(half[1]) / 4, 1e-6)


def test_the_csm_loss_is_smooth_l1_and_generalised_iou() -> None:
    predicted = torch.tensor([[0.1, 0.4], [0.5, 0.9]], dtype=torch.float64)
    target = torch.tensor([[0.2, 0.6], [0.0, 0.3]], dtype=torch.float64)
    first = 0.2 / 0.5 - 0.0
    second = 0.0 - (0.9 - 0.7) / 0.9
    smooth = sum(0.5 * d * d for d in (0.1, 0.2, 0.5, 0.6)) / 4
    expected = smooth + ((1 - first) + (1 - second)) / 2
    assert losses.csm_span(predicted, target).item() == pytest.approx(expected, 1e-6)


def test_the_span_loss_is_the_cross_entropy_of_both_boundaries() -> None:
    start_logits, end_logits = numbers(3, 4), numbers(3, 4, seed=1)
    start_logits[0, 3] = end_logits[0, 3] = torch.finfo(torch.float64).min  # a masked frame
    start, end = torch.tensor([0, 1, 2]), torch.tensor([2, 1, 3])
    expected = 0.0
    for logits, cells in ((start_logits, start), (end_logits, end)):
        for row, cell in zip(logits.tolist(), cells.tolist(), strict=True):
            expected += (math.log(sum(math.exp(x) for x in row)) - row[cell]) / 3
    found = losses.span(start_logits, end_logits, start, end)
    assert found.item() == pytest.approx(expected, 1e-6)


def test_every_loss_has_the_gradient_of_its_value() -> None:
    similarity, other = numbers(3, 5).requires_grad_(), numbers(3, 5, seed=1).requires_grad_()
    positive = some_positive(3, 5)
    everything = torch.ones(3, 5, dtype=torch.bool)
    constants = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in (0.5, 0.4, 0.1)]
    check = torch.autograd.gradcheck
    for printed, wanted in ((False, positive), (True, positive), (False, everything)):
        assert check(
            lambda s, *c, p=printed, w=wanted: losses.rince(s, w, *c, printed=p),
            (similarity, *constants),
        )
    assert check(
        lambda a, b, *c: losses.alignment([a, b], positive, *c), (similarity, other, *constants)
    )
    video_index = torch.tensor([0, 1, 2, 0, 1])
    theta = torch.full((5,), 0.3, dtype=torch.float64)
    for queries, videos in ((True, True), (True, False), (False, True)):
        assert check(
            lambda s, q=queries, v=videos: losses.contrastive(
                s, video_index, ~positive, theta, 0.4, queries=q, videos=v
            ),
            similarity,
        )
    logits = numbers(4, 6, seed=5).requires_grad_(), numbers(4, 6, seed=6).requires_grad_()
    start, end = torch.tensor([0, 1, 2, 5]), torch.tensor([3, 1, 4, 5])
    assert check(lambda s, e: losses.span(s, e, start, end), logits)
    offsets = (numbers(4, 6, 2, seed=7).abs() * 0.9).requires_grad_()
    cells = torch.stack([start + 0.25, end + 0.5], dim=1).double()
    assert check(lambda o: losses.float_boundary(o, cells, start, end), offsets)
    spans = numbers(4, 2, seed=3).abs().sort(dim=1).values
    target = numbers(4, 2, seed=4).abs().sort(dim=1).values
    spans[0], target[0] = torch.tensor([0.7, 0.9]), torch.tensor([0.1, 0.3])  # they do not touch
    assert check(lambda s: losses.csm_span(s, target), spans.requires_grad_())
