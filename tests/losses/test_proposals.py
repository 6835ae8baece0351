"""2D-TAN's loss against a loop, whole and in parts."""

import math

import pytest
import torch

from mktn.losses.proposals import moment_iou, scaled_iou

MOMENTS = torch.tensor([[0.0, 0.25], [0.25, 0.5], [0.0, 0.5], [0.25, 1.0]])
SPANS = torch.tensor([[0.0, 0.25], [0.2, 0.6], [0.9, 1.0], [0.3, 0.3]])


def slow_iou(a: list[float], b: list[float]) -> float:
    inner = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = a[1] - a[0] + b[1] - b[0] - inner
    return inner / union


def test_the_iou_is_that_of_each_pair():
    expected = [[slow_iou(m, s) for m in MOMENTS.tolist()] for s in SPANS.tolist()]
    assert moment_iou(MOMENTS, SPANS).tolist() == [
        pytest.approx(row, abs=1e-6) for row in expected
    ]
    each = MOMENTS.expand(len(SPANS), -1, -1)
    assert torch.equal(moment_iou(each, SPANS), moment_iou(MOMENTS, SPANS))


@pytest.mark.parametrize(("t_min", "t_max"), [(0.5, 1.0), (0.3, 0.7)])
def test_the_loss_is_the_loop(t_min, t_max):
    logits = torch.randn(4, 4, generator=torch.Generator().manual_seed(0)) * 3
    total = 0.0
    for query, span in enumerate(SPANS.tolist()):
        for k, moment in enumerate(MOMENTS.tolist()):
            iou = slow_iou(moment, span)
            y = 0.0 if iou <= t_min else 1.0 if iou >= t_max else (iou - t_min) / (t_max - t_min)
            p = 1 / (1 + math.exp(-float(logits[query, k])))
            total -= y * math.log(p) + (1 - y) * math.log(1 - p)
    found = scaled_iou(logits, moment_iou(MOMENTS, SPANS), t_min, t_max)
    assert float(found) == pytest.approx(total / 16, rel=1e-5)


def test_parts_of_a_batch_sum_to_the_whole():
    logits, iou = torch.randn(4, 4), moment_iou(MOMENTS, SPANS)
    parts = [scaled_iou(logits[s], iou[s], 0.5, 1.0, 4) for s in (slice(3), slice(3, 4), slice(0))]
    torch.testing.assert_close(sum(parts), scaled_iou(logits, iou, 0.5, 1.0))
