"""LCNet finds what it was never told: moments whose place no loss has seen."""

import dataclasses

import pytest
import torch

from mktn.engine.criterion import Criterion, LossConfig
from mktn.engine.decode import moments_of
from mktn.engine.grounding.lcnet import CorrespondenceLoss
from mktn.engine.metrics import temporal_iou
from mktn.grouping.batch import PairBatch
from mktn.models import build
from mktn.models.config import LCNetConfig
from mktn.models.variants import transfer_of
from tests.batches import SIZES

FRAMES, ACTIONS, VIDEOS = 12, 6, 9


def planted() -> PairBatch:
    """Nine videos, in each two of six actions one after the other, what all show around them.

    A query names an action among other words; no span is given. Each action is in three videos,
    which are no negatives of each other, with another action in each.
    """
    generator = torch.Generator().manual_seed(0)
    seen = torch.randn(ACTIONS, SIZES.dimension, generator=generator)
    named = torch.randn(ACTIONS, SIZES.word_dimension, generator=generator)
    filler = torch.randn(3, SIZES.word_dimension, generator=generator)
    around = torch.randn(SIZES.dimension, generator=generator).expand(VIDEOS, FRAMES, -1)
    frames = around + 0.05 * torch.randn(around.shape, generator=generator)
    words, spans, action = [], [], []
    for video in range(VIDEOS):
        start = 1 + video % 3
        for which in (video % ACTIONS, (video + 1 + video // ACTIONS * 2) % ACTIONS):
            end = start + 3 + video % 2
            frames[video, start:end] += seen[which]
            words.append(torch.cat([filler[:2], named[which : which + 1], filler[2:]]))
            spans.append([float(start), float(end)])
            action.append(which)
            start = end
    queries = len(words)
    return PairBatch(
        frames=frames,
        frame_mask=torch.ones(VIDEOS, FRAMES, dtype=torch.bool),
        patches=frames[:, :, None, : SIZES.patch_dimension].repeat(1, 1, 4, 1),
        words=torch.stack(words),
        word_mask=torch.ones(queries, 4, dtype=torch.bool),
        sentences=torch.randn(queries, SIZES.sentence_dimension, generator=generator),
        video_index=torch.arange(VIDEOS).repeat_interleave(2),
        order=torch.arange(2).repeat(VIDEOS),
        duration_s=torch.full((VIDEOS,), float(FRAMES)),
        span_s=torch.tensor(spans),
        text_index=torch.tensor(action),
    )


@pytest.mark.parametrize("variant", ["origin", "plus_mktn"])
def test_planted_moments_are_found_without_having_been_shown(variant: str) -> None:
    torch.manual_seed(0)
    batch = planted()
    config = LCNetConfig(
        **{**vars(SIZES), "width": 32}, cells=FRAMES, counts=(FRAMES,), clip=1, top=0.25
    )
    model = build("lcnet", variant, config)
    criterion = Criterion(
        LossConfig(w_proto=0.1, w_cl=0.1),
        transfer_of("lcnet", variant),
        CorrespondenceLoss(margin=1.0),
    )
    unseen = dataclasses.replace(batch, span_s=None)

    def iou() -> float:
        with torch.no_grad():
            outputs = model.eval()(batch, matching=False)
        spans_s, _ = moments_of(outputs, batch, 1, 0.5)
        return float(temporal_iou(spans_s[:, 0].numpy(), batch.span_s.numpy()).mean())

    before = iou()
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    for step in range(100):
        terms = criterion(model.train()(unseen), unseen, step / 99)
        optimizer.zero_grad()
        terms["total"].backward()
        optimizer.step()
        if step == 0:
            first = terms["rank"].item()
    assert terms["rank"].item() < 0.05 * first
    assert before < 0.6
    assert iou() > 0.9
