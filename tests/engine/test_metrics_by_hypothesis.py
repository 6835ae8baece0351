"""IoU, NMS, recall and decoding on generated input against searches in exact fractions."""

import math
from fractions import Fraction

import numpy as np
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mktn.engine.decode import decode
from mktn.engine.metrics import nms, recall_at, temporal_iou

generated = settings(max_examples=150)

Span = tuple[float, float]
NOT_FINITE = [math.nan, math.inf, -math.inf]
# A grid of quarters: lengths are exact, equal boundaries and equal IoUs are common.
quarter = st.integers(-4, 40).map(lambda x: x / 4)
boundary = quarter | st.sampled_from(NOT_FINITE)
spans = st.lists(st.tuples(boundary, boundary), max_size=8)
score = st.sampled_from([0.0, 0.25, 0.5, 1.0, -1.0, math.nan, math.inf, -math.inf])
threshold = st.sampled_from([0.0, 0.25, 1 / 3, 0.45, 0.5, 2 / 3, 0.9, 1.0])


def exact_iou(a: Span, b: Span) -> Fraction:
    if not all(map(math.isfinite, (*a, *b))) or a[1] <= a[0] or b[1] <= b[0]:
        return Fraction(0)
    (a0, a1), (b0, b1) = map(Fraction, a), map(Fraction, b)
    inner = max(Fraction(0), min(a1, b1) - max(a0, b0))
    return inner / ((a1 - a0) + (b1 - b0) - inner)


def slow_nms(spans: list[Span], scores: list[float], threshold: float) -> list[int]:
    rank = [-math.inf if math.isnan(score) else score for score in scores]
    kept: list[int] = []
    for i in sorted(range(len(spans)), key=lambda i: (-rank[i], i)):
        if all(float(exact_iou(spans[i], spans[k])) <= threshold for k in kept):
            kept.append(i)
    return kept


@generated
@given(st.tuples(*[st.floats(-1e6, 1e6) | st.sampled_from(NOT_FINITE) | quarter] * 4))
def test_iou_is_the_exact_one(numbers: tuple[float, float, float, float]) -> None:
    a, b = numbers[:2], numbers[2:]
    expected = float(exact_iou(a, b))
    assert math.isclose(temporal_iou(a, b), expected, rel_tol=1e-12, abs_tol=0.0)
    assert temporal_iou(a, b) == temporal_iou(b, a)


@generated
@given(st.tuples(*[st.floats(allow_nan=True, allow_infinity=True)] * 4))
@example((-1.7e308, 1.7e308, -1.7e308, 1.7e308))
def test_iou_of_any_numbers_lies_between_0_and_1(
    numbers: tuple[float, float, float, float],
) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        assert 0 <= temporal_iou(numbers[:2], numbers[2:]) <= 1


@generated
@given(spans, spans)
def test_iou_of_many_is_that_of_each(a: list[Span], b: list[Span]) -> None:
    table = temporal_iou(np.reshape(a, (-1, 1, 2)), np.reshape(b, (1, -1, 2)))
    assert table.shape == (len(a), len(b))
    assert table.tolist() == [[float(exact_iou(x, y)) for y in b] for x in a]


@generated
@given(st.data(), spans, threshold, st.none() | st.integers(1, 5))
def test_nms_is_the_search(
    data: st.DataObject, spans: list[Span], threshold: float, limit: int | None
) -> None:
    scores = data.draw(st.lists(score, min_size=len(spans), max_size=len(spans)))
    expected = slow_nms(spans, scores, threshold)[:limit]
    assert nms(np.reshape(spans, (-1, 2)), scores, threshold, limit).tolist() == expected


@generated
@given(
    st.lists(st.tuples(spans, st.tuples(boundary, boundary)), min_size=1, max_size=6),
    st.integers(1, 6),
    threshold,
    st.booleans(),
)
def test_recall_is_the_count(
    answers: list[tuple[list[Span], Span]], n: int, iou: float, strict: bool
) -> None:
    def answered(moment: Span, target: Span) -> bool:
        found = float(exact_iou(moment, target))
        return found > iou if strict else found >= iou

    # A place that no moment fills has IoU 0, as an empty moment has.
    filled = [(ranking + [(0.0, 0.0)] * n, target) for ranking, target in answers]
    hits = sum(any(answered(m, target) for m in ranking[:n]) for ranking, target in filled)
    ranked, targets = [ranking for ranking, _ in answers], [target for _, target in answers]
    assert recall_at(ranked, targets, n, iou, strict) == 100.0 * (hits / len(answers))
    longest = max(len(ranking) for ranking in ranked)
    table = np.full((len(ranked), longest, 2), np.nan)
    for row, ranking in zip(table, ranked, strict=True):
        row[: len(ranking)] = np.reshape(ranking, (-1, 2))
    assert recall_at(table, targets, n, iou, strict) == recall_at(ranked, targets, n, iou, strict)


@st.composite
def queries(draw: st.DrawFn) -> tuple[torch.Tensor, ...]:
    """Logits with ties and vanishing probabilities, offsets and durations exact in float32."""
    width, count = draw(st.integers(1, 6)), draw(st.integers(1, 3))

    def table(numbers: list[float], *shape: int) -> torch.Tensor:
        size = math.prod(shape)
        drawn = draw(st.lists(st.sampled_from(numbers), min_size=size, max_size=size))
        return torch.tensor(drawn).view(*shape)

    frames = table(list(range(1, width + 1)), count)
    hidden = torch.arange(width) >= frames[:, None]
    logits = [
        table([0.0, 0.5, 1.0, 3.0, -300.0], count, width).masked_fill(hidden, torch.finfo().min)
        for _ in range(2)
    ]
    offsets = table([x / 8 for x in range(9)], count, width, 2)
    duration_s = frames * table([0.25, 1.0, 2.0], count)
    return *logits, offsets, frames, duration_s


def slow_decode(
    start_p: list[float],
    end_p: list[float],
    offsets: list[list[float]],
    frames: int,
    duration_s: float,
    threshold: float,
) -> tuple[list[Span], list[float]]:
    second = duration_s / frames
    cells, scores = [], []
    for s in range(frames):
        for e in range(s, frames):
            start, end = s + 1 - offsets[s][0], e + offsets[e][1]
            if start < end:
                cells.append((start * second, min(end * second, duration_s)))
                scores.append(float(np.float32(start_p[s]) * np.float32(end_p[e])))
    kept = slow_nms(cells, scores, threshold)
    return [cells[i] for i in kept], [scores[i] for i in kept]


@generated
@given(queries(), st.integers(1, 6), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))
def test_decoding_a_batch_is_the_search_for_each_query(
    given_queries: tuple[torch.Tensor, ...], n: int, threshold: float
) -> None:
    start, end, offsets, frames, duration_s = given_queries
    spans, scores = decode(start, end, offsets, frames, duration_s, n, threshold)
    start_p, end_p = start.softmax(dim=1), end.softmax(dim=1)
    assert spans.shape == (len(frames), n, 2)
    for q, length in enumerate(frames.tolist()):
        moments, expected = slow_decode(
            start_p[q].tolist(),
            end_p[q].tolist(),
            offsets[q].tolist(),
            length,
            duration_s[q].item(),
            threshold,
        )
        kept = min(n, len(moments))
        assert [tuple(span) for span in spans[q, :kept].tolist()] == moments[:kept]
        assert scores[q, :kept].tolist() == expected[:kept]
        assert spans[q, kept:].isnan().all()
        assert (scores[q, kept:] == 0).all()
