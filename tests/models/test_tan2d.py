"""2D-TAN: what reaches its answer, what must not, and that it learns."""

import dataclasses

import pytest
import torch
from torch.nn import functional

from mktn.engine.criterion import Criterion, LossConfig
from mktn.engine.decode import moments_of
from mktn.engine.grounding import grounding_loss
from mktn.errors import UserError
from mktn.losses.proposals import moment_iou
from mktn.models import build
from mktn.models.config import TAN2DConfig
from mktn.models.variants import VARIANTS_OF, transfer_of
from tests.batches import SIZES, random_batch

CONFIG = TAN2DConfig(
    **{**vars(SIZES), "width": 16}, cells=8, counts=(4, 2), kernel=3, layers=2, text_layers=1
)
PUBLISHED = {  # dataset: width of the features, sizes, parameters in millions
    "charades": (4096, {"cells": 16, "counts": [16], "kernel": 5, "layers": 8}, 60.9),
    "activitynet": (500, {"cells": 64, "counts": [16, 8, 8], "kernel": 9, "layers": 4}, 91.6),
}


def model_of(variant: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return build("tan2d", variant, CONFIG)


@pytest.mark.parametrize("dataset", PUBLISHED)
def test_the_published_sizes_have_the_published_number_of_parameters(dataset):
    dimension, sizes, millions = PUBLISHED[dataset]
    data = {"frames": 16, "dimension": dimension, "patch_dimension": 0, "word_dimension": 300}
    given = {**data, "sentence_dimension": 8, "width": 512, **sizes}
    model = build("tan2d", "origin", given)
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 1) == millions


@pytest.mark.parametrize("variant", VARIANTS_OF["tan2d"])
def test_an_answer_has_a_score_for_every_moment(variant):
    batch = random_batch()
    outputs = model_of(variant).eval()(batch)
    queries = len(batch.video_index)
    moments = outputs["moments"]
    assert outputs["confidence"].shape == (queries, len(moments))
    assert torch.equal(outputs["confidence"], outputs["map_logits"].sigmoid())
    spans, scores = moments_of(outputs, batch, 5, 0.5)
    assert not spans.isnan().any()
    assert (spans[..., 0] >= 0).all()
    assert (spans[..., 0] < spans[..., 1]).all()
    assert (spans[..., 1] <= batch.duration_s[batch.video_index, None] + 1e-5).all()
    assert (scores.diff(dim=1) <= 0).all()
    start, end = spans.unbind(dim=-1)
    overlap = torch.minimum(end[:, :, None], end[:, None]) - torch.maximum(
        start[:, :, None], start[:, None]
    )
    lengths = end - start
    union = lengths[:, :, None] + lengths[:, None] - overlap.clamp(min=0)
    iou = overlap.clamp(min=0) / union
    assert (iou.masked_fill(torch.eye(5, dtype=torch.bool), 0) <= 0.5 + 1e-5).all()


@pytest.mark.parametrize("variant", VARIANTS_OF["tan2d"])
def test_what_is_masked_never_matters(variant):
    model, batch = model_of(variant).eval(), random_batch()
    with torch.no_grad():
        expected = model(batch)["map_logits"]
        frames = batch.frames.masked_fill(~batch.frame_mask[..., None], 1e3)
        words = batch.words.masked_fill(~batch.word_mask[..., None], -1e3)
        patches = batch.patches.masked_fill(~batch.frame_mask[..., None, None], 1e3)
        noisy = dataclasses.replace(batch, frames=frames, words=words, patches=patches)
        torch.testing.assert_close(model(noisy)["map_logits"], expected, atol=1e-5, rtol=1e-4)


def test_more_padding_changes_no_answer():
    model, batch = model_of("origin").eval(), random_batch()
    longer = dataclasses.replace(
        batch,
        words=torch.nn.functional.pad(batch.words, (0, 0, 0, 3), value=float("nan")),
        word_mask=torch.nn.functional.pad(batch.word_mask, (0, 3)),
        frames=torch.nn.functional.pad(batch.frames, (0, 0, 0, 5), value=7.0),
        frame_mask=torch.nn.functional.pad(batch.frame_mask, (0, 5)),
    )
    with torch.no_grad():
        found, expected = model(longer)["map_logits"], model(batch)["map_logits"]
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_the_sentence_is_the_state_at_the_last_real_word():
    model, batch = model_of("origin"), random_batch()
    _, sentences = model.encode_sentences(batch)
    for query, words in enumerate(batch.word_mask.sum(dim=1).tolist()):
        alone, _ = model.text.lstm(batch.words[query : query + 1, :words])
        torch.testing.assert_close(sentences[query], alone[0, -1])


@pytest.mark.parametrize("variant", VARIANTS_OF["tan2d"])
def test_a_video_is_encoded_once_for_all_its_queries(variant):
    model, batch = model_of(variant).eval(), random_batch()
    with torch.no_grad():
        video = model.encode_video(batch, matching=False)
        unread = dataclasses.replace(batch, frames=batch.frames * torch.nan, patches=None)
        cached = model(unread, video, matching=False)["map_logits"]
        assert torch.equal(cached, model(batch, matching=False)["map_logits"])


def test_the_enriched_sentence_is_what_the_map_is_asked():
    """What else is asked of a video reaches a query's answer through the transfer alone."""
    batch = random_batch((3,))
    other = dataclasses.replace(batch, words=batch.words.clone(), sentences=batch.sentences * -1)
    other.words[1:] = -other.words[1:]
    for variant, same in (("origin", True), ("plus_mktn", False)):
        model = model_of(variant).eval()
        with torch.no_grad():
            first, second = model(batch)["map_logits"][0], model(other)["map_logits"][0]
        assert torch.allclose(first, second, atol=1e-6) == same


@pytest.mark.parametrize("variant", VARIANTS_OF["tan2d"])
def test_every_parameter_gets_a_gradient(variant):
    model, batch = model_of(variant), random_batch((3, 2, 2))
    criterion = criterion_of(variant)
    criterion(model(batch), batch, 0.5)["total"].backward()
    names = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert names == []


@pytest.mark.parametrize("variant", VARIANTS_OF["tan2d"])
def test_it_overfits_one_batch(variant):
    """Down to what no answer undercuts, the targets' own entropy; one for all queries cannot."""
    torch.manual_seed(0)
    model, batch = model_of(variant), random_batch((3, 2, 2), seed=3)
    criterion = criterion_of(variant)
    optimizer = torch.optim.Adam(model.parameters(), lr=8e-3)
    for _ in range(200):
        optimizer.zero_grad()
        terms = criterion(model(batch), batch, 0.5)
        terms["total"].backward()
        optimizer.step()
    spans = batch.span_s / batch.duration_s[batch.video_index, None]
    iou = moment_iou(model(batch)["moments"], spans)
    target = ((iou - 0.3) / 0.4).clamp(0, 1)
    entropy = functional.binary_cross_entropy(target, target)
    for_all = functional.binary_cross_entropy(target.mean(dim=0).expand_as(target), target)
    assert terms["map"] - entropy < 0.25 * (for_all - entropy)


def criterion_of(variant: str) -> Criterion:
    grounding = grounding_loss("tan2d", {"t_min": 0.3, "t_max": 0.7})
    return Criterion(LossConfig(), transfer_of("tan2d", variant), grounding)


@pytest.mark.parametrize(
    "wrong",
    [{"kernel": 4}, {"layers": 0}, {"cells": 4}, {"counts": []}, {"counts": [4, 0]}, {"rings": 1}],
)
def test_sizes_that_cannot_be_are_refused(wrong):
    with pytest.raises(UserError):
        build("tan2d", "origin", {**vars(CONFIG), "counts": [4, 2], **wrong})
