"""Decoding against a slow search over all cells and the project's own NMS."""

import numpy as np
import torch

from mktn.engine.decode import decode
from mktn.engine.metrics import nms, temporal_iou


def slow(start_p, end_p, offsets, frames, duration_s, n, threshold):
    spans, scores = [], []
    for s in range(frames):
        for e in range(s, frames):
            a, b = s + 1 - offsets[s, 0], e + offsets[e, 1]
            if b <= a:
                continue
            spans.append((a * duration_s / frames, min(b * duration_s / frames, duration_s)))
            scores.append(start_p[s] * end_p[e])
    kept = nms(spans, scores, threshold)[:n]
    return np.array(spans)[kept], np.array(scores)[kept]


def test_decoding_is_the_search_over_all_cells_with_nms() -> None:
    generator = torch.Generator().manual_seed(0)
    frames, duration_s = torch.tensor([9, 12, 1]), torch.tensor([30.0, 7.5, 4.0])
    mask = torch.arange(12) < frames[:, None]
    logits = [
        (3 * torch.randn(3, 12, generator=generator)).masked_fill(~mask, torch.finfo().min)
        for _ in range(2)
    ]
    offsets = torch.rand(3, 12, 2, generator=generator)
    spans, scores = decode(*logits, offsets, frames, duration_s, 5, 0.5)
    for q in range(3):
        expected, expected_scores = slow(
            logits[0][q].softmax(0).numpy(),
            logits[1][q].softmax(0).numpy(),
            offsets[q].numpy(),
            int(frames[q]),
            float(duration_s[q]),
            5,
            0.5,
        )
        found = spans[q][~spans[q, :, 0].isnan()].numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-4)
        np.testing.assert_allclose(scores[q, : len(found)], expected_scores, rtol=1e-4)
    assert spans[2, 1:].isnan().all()


def test_a_perfect_model_decodes_to_the_annotated_span() -> None:
    batch_spans = torch.tensor([[2.3, 9.1], [0.0, 30.0], [12.0, 12.4]])
    duration_s, frames = torch.full((3,), 30.0), torch.full((3,), 16)
    from mktn.losses import boundary_cells

    span_frames = batch_spans * 16 / 30
    start, end = boundary_cells(span_frames, frames)
    logits = [torch.nn.functional.one_hot(cell, 16).float() * 50 for cell in (start, end)]
    offsets = torch.zeros(3, 16, 2)
    rows = torch.arange(3)
    offsets[rows, start, 0] = 1 - (span_frames[:, 0] - start)
    offsets[rows, end, 1] = span_frames[:, 1] - end
    spans, _ = decode(*logits, offsets, frames, duration_s, 1, 0.5)
    assert (temporal_iou(spans[:, 0].numpy(), batch_spans.numpy()) > 0.999).all()
