"""Decoding against a slow search over all cells and the project's own NMS."""

import numpy as np
import torch

from mktn.engine.decode import decode, decode_candidates
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


def test_candidates_are_ranked_suppressed_and_cut_as_by_a_slow_search() -> None:
    generator = torch.Generator().manual_seed(1)
    queries, candidates, threshold = 4, 60, 0.4
    moments = torch.rand(queries, candidates, 2, generator=generator).sort(dim=-1).values
    moments = moments * 1.4 - 0.2  # some reach over the video's ends
    confidence = torch.rand(queries, candidates, generator=generator)
    confidence[torch.rand(queries, candidates, generator=generator) < 0.3] = -1.0  # absent
    confidence[3] = -1.0
    duration_s = torch.tensor([10.0, 31.0, 4.0, 7.0])
    spans, scores = decode_candidates(moments, confidence, duration_s, 5, threshold)
    for q in range(queries):
        cut = moments[q].clamp(0, 1) * duration_s[q]
        left = [k for k in confidence[q].argsort(descending=True) if confidence[q, k] >= 0]
        kept: list[torch.Tensor] = []
        for k in left:
            if cut[k, 1] <= cut[k, 0]:
                continue
            if all(float(temporal_iou(cut[k].numpy(), o.numpy())) <= threshold for o in kept):
                kept.append(cut[k])
        kept = kept[:5]
        assert spans[q, len(kept) :].isnan().all()
        assert (scores[q, len(kept) :] == 0).all()
        if kept:
            assert torch.allclose(spans[q, : len(kept)], torch.stack(kept))
    assert spans[3].isnan().all()


def test_candidates_of_all_queries_may_be_the_same() -> None:
    shared = torch.tensor([[0.0, 0.5], [0.5, 1.0], [0.0, 1.0]])
    confidence = torch.tensor([[0.2, 0.9, 0.1], [0.8, 0.1, 0.5]])
    duration_s = torch.tensor([8.0, 20.0])
    one = decode_candidates(shared, confidence, duration_s, 3, 0.6)
    other = decode_candidates(shared.expand(2, 3, 2), confidence, duration_s, 3, 0.6)
    assert torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])
    assert one[0][0, 0].tolist() == [4.0, 8.0]
    assert one[0][1, 0].tolist() == [0.0, 10.0]
