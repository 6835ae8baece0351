"""IA-Net's losses against loops written from Eqs. 14 and 15."""

import math

import pytest
import torch
from torch import Tensor

from mktn.losses.windows import window_alignment, window_boundary, window_iou


def windows() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Windows (3,20,2), spans (3,2), logits (3,20), exists (3,20); 16 frames."""
    generator = torch.Generator().manual_seed(0)
    spans = (torch.rand(3, 20, 2, generator=generator) * 12).sort(dim=-1).values
    spans[..., 1] += 1
    annotated = torch.tensor([[0.0, 5.5], [3.25, 9.0], [15.5, 16.0]])
    exists = torch.rand(3, 20, generator=generator) < 0.7
    return spans, annotated, torch.randn(3, 20, generator=generator), exists


def slow_iou(a: list[float], b: list[float]) -> float:
    overlap = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    return overlap / ((a[1] - a[0]) + (b[1] - b[0]) - overlap)


def smooth_l1(difference: float) -> float:
    size = abs(difference)
    return size * size / 2 if size < 1 else size - 0.5


def slow(threshold: float) -> tuple[list[float], list[float]]:
    """L_align and L_b of each query."""
    spans, annotated, logits, exists = windows()
    align, boundary = [], []
    for q in range(3):
        values, moved = [], []
        for w in range(20):
            if not exists[q, w]:
                continue
            o = slow_iou(spans[q, w].tolist(), annotated[q].tolist())
            cs = 1 / (1 + math.exp(-float(logits[q, w])))
            values.append(-(o * math.log(cs) + (1 - o) * math.log(1 - cs)))
            if o > threshold:
                moved.append(
                    sum(
                        smooth_l1(0.5 * (k + 1) - float(annotated[q, k] - spans[q, w, k]))
                        for k in range(2)
                    )
                )
        align.append(sum(values) / len(values))
        boundary.append(sum(moved) / len(moved) if moved else 0.0)
    return align, boundary


def found(threshold: float, own: slice, of: int | None) -> tuple[Tensor, Tensor]:
    spans, annotated, logits, exists = (x[own] for x in windows())
    iou = window_iou(spans, annotated)
    offsets = torch.tensor([0.5, 1.0]).expand_as(spans)
    positive = exists & (iou > threshold)
    return (
        window_alignment(logits, iou, exists, of),
        window_boundary(offsets, spans, annotated, positive, of),
    )


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.45])
def test_alignment_and_boundary(threshold: float) -> None:
    align, boundary = slow(threshold)
    assert boundary[2] == 0  # a moment that no window meets
    assert boundary[0] > 0
    values = found(threshold, slice(None), None)
    torch.testing.assert_close(values[0], torch.tensor(sum(align) / 3))
    torch.testing.assert_close(values[1], torch.tensor(sum(boundary) / 3))


def test_parts_of_a_batch_add_up_to_it() -> None:
    whole = torch.stack(found(0.3, slice(None), None))
    parts = [torch.stack(found(0.3, own, 3)) for own in (slice(0, 1), slice(1, 3), slice(3, 3))]
    torch.testing.assert_close(sum(parts), whole)


def test_no_gradient_comes_from_windows_that_do_not_exist() -> None:
    spans, annotated, logits, exists = windows()
    logits.requires_grad_()
    window_alignment(logits, window_iou(spans, annotated), exists).backward()
    assert not logits.grad[~exists].any()
    assert logits.grad[exists].all()
