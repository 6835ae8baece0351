"""LCNet: what a user relies on, alone and with knowledge transfer."""

import dataclasses

import pytest
import torch
from torch import Tensor

from mktn.engine.criterion import Criterion, LossConfig
from mktn.engine.decode import moments_of
from mktn.engine.grounding.lcnet import CorrespondenceLoss
from mktn.grouping.batch import PairBatch
from mktn.models import build, similarity
from mktn.models.base import GroundingModel, Text
from mktn.models.config import LCNetConfig
from mktn.models.lcnet import LCNet
from mktn.models.variants import VARIANTS_OF, transfer_of
from tests.batches import SIZES, random_batch
from tests.models.test_similarity import largest

CONFIG = LCNetConfig(**vars(SIZES), cells=6, counts=(6,), clip=3, top=0.25, temperature=0.2)
VARIANTS = tuple(VARIANTS_OF["lcnet"])
both = pytest.mark.parametrize("variant", VARIANTS)


def model_of(variant: str, config: LCNetConfig = CONFIG) -> GroundingModel:
    torch.manual_seed(0)
    return build("lcnet", variant, config)


def outputs_of(variant: str, batch: PairBatch) -> dict[str, Tensor]:
    """In training mode, which has all outputs; these sizes have no dropout."""
    with torch.no_grad():
        return model_of(variant).train()(batch)


@both
def test_padding_cannot_leak(variant: str) -> None:
    batch = random_batch()
    poisoned = dataclasses.replace(
        batch,
        frames=batch.frames.masked_fill(~batch.frame_mask[..., None], 1e3),
        patches=batch.patches.masked_fill(~batch.frame_mask[..., None, None], -1e3),
        words=batch.words.masked_fill(~batch.word_mask[..., None], 1e3),
    )
    clean, dirty = outputs_of(variant, batch), outputs_of(variant, poisoned)
    real = batch.frame_mask[batch.video_index]
    for name, value in clean.items():
        a, b = value, dirty[name]
        if name in ("relevance", "returns"):
            a, b = a[real], b[real]
        torch.testing.assert_close(a, b, msg=lambda m, n=name: f"{n}: {m}")
    grounding = CorrespondenceLoss()
    whole = slice(None)
    for name, (_, value) in grounding(clean, batch, whole, None).items():
        torch.testing.assert_close(value, grounding(dirty, poisoned, whole, None)[name][1])


@both
def test_padding_reaches_no_gradient_and_every_weight_has_one(variant: str) -> None:
    model, batch = model_of(variant), random_batch()
    batch.frames.requires_grad_()
    batch.words.requires_grad_()
    # No hinge is at rest, and no term is left out.
    criterion = Criterion(LossConfig(phi_initial=0.9), transfer_of("lcnet", variant),
                          CorrespondenceLoss(margin=3.0))  # fmt: skip
    criterion(model(batch), batch, 0.25)["total"].backward()
    assert not batch.frames.grad[~batch.frame_mask].any()
    assert not batch.words.grad[~batch.word_mask].any()
    still = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not still


@both
def test_an_answer_does_not_depend_on_other_videos(variant: str) -> None:
    batch = random_batch((3, 1, 2))
    model = model_of(variant).eval()
    with torch.no_grad():
        together = model(batch, matching=False)
        for v in range(3):
            mine = torch.nonzero(batch.video_index == v)[:, 0].tolist()
            alone = model(batch.only(mine), matching=False)
            torch.testing.assert_close(alone["confidence"], together["confidence"][mine])


@both
def test_a_pairs_score_does_not_depend_on_other_videos(variant: str) -> None:
    batch = random_batch((2, 2))
    part = batch.only([0, 1])
    part.related = batch.related = None
    together, alone = outputs_of(variant, batch), outputs_of(variant, part)
    torch.testing.assert_close(together["scores"][:1, :2], alone["scores"])


def test_scores_are_relevance_of_three_levels_by_a_slow_loop() -> None:
    model, batch = model_of("origin").train(), random_batch()
    with torch.no_grad():
        found = model(batch)
        video = model.encode_video(batch)
        words, sentences = model.encode_sentences(batch)
        text = model._levels(words, batch.word_mask, sentences)
    for v in range(len(batch.frames)):
        real = int(batch.frame_mask[v].sum())
        for q in range(len(batch.words)):
            said = int(batch.word_mask[q].sum())
            relevance = []
            for t in range(real):
                word = max((video.frames[v, t] @ text.words[q, i]).item() for i in range(said))
                phrase = max((video.clips[v, t] @ text.phrases[q, i]).item() for i in range(said))
                sentence = (video.videos[v, t] @ text.sentences[q]).item()
                relevance.append((word + phrase + sentence) / 3)
            if batch.video_index[q] == v:
                expected = torch.tensor(relevance)
                torch.testing.assert_close(found["relevance"][q, :real], expected)
            best = sorted(relevance, reverse=True)[: -(-real // 4)]
            assert found["scores"][v, q].item() == pytest.approx(sum(best) / len(best), abs=1e-5)


def test_other_videos_are_compared_with_the_raw_text_alone() -> None:
    model, batch = model_of("origin").train(), random_batch()
    assert isinstance(model, LCNet)
    words, sentences = model.encode_sentences(batch)
    mask, video = batch.word_mask, model.encode_video(batch)
    plain = model.ground(video, Text(words, mask, sentences, words, mask, sentences), batch)
    enriched = Text(torch.randn_like(words), mask, torch.randn_like(sentences), words, mask,
                    sentences)  # fmt: skip
    other = model.ground(video, enriched, batch)
    assert torch.equal(plain["scores"], other["scores"])
    assert torch.equal(plain["relevance"], other["relevance"])
    for name in ("confidence", "returns"):
        assert not torch.allclose(plain[name], other[name])


@both
def test_moments_lie_in_the_video_sorted_and_apart(variant: str) -> None:
    batch = random_batch()
    with torch.no_grad():
        outputs = model_of(variant).eval()(batch, matching=False)
    assert ((outputs["confidence"] >= 0) & (outputs["confidence"] <= 1)).all()
    spans_s, scores = moments_of(outputs, batch, 4, 0.5)
    duration_s = batch.duration_s[batch.video_index]
    assert (spans_s[:, 0] >= 0).all()
    kept = ~spans_s.isnan().any(dim=-1)
    assert kept[:, :2].all()
    for q, video_s in enumerate(duration_s.tolist()):
        found = spans_s[q][kept[q]]
        assert (found[:, 0] >= 0).all()
        assert (found[:, 1] <= video_s + 1e-4).all()
        assert (found[:, 1] > found[:, 0]).all()
        assert scores[q][kept[q]].tolist() == sorted(scores[q][kept[q]].tolist(), reverse=True)
        for i in range(len(found)):
            for j in range(i):
                inner = min(found[i, 1], found[j, 1]) - max(found[i, 0], found[j, 0])
                outer = max(found[i, 1], found[j, 1]) - min(found[i, 0], found[j, 0])
                assert max(inner.item(), 0) <= 0.5 * outer.item() + 1e-5


def test_no_tensor_of_all_frames_and_words_of_all_pairs_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(similarity, "BLOCK_ELEMENTS", 2000)
    batch, model = random_batch((4,) * 12), model_of("origin").train()
    videos, frames = batch.frame_mask.shape
    queries, words = batch.word_mask.shape

    def loss() -> Tensor:
        return model(batch)["scores"]

    made = largest(loss)
    assert made < videos * queries * frames * words / 2
    monkeypatch.setattr(similarity, "BLOCK_ELEMENTS", 10**9)
    assert largest(loss) >= videos * queries * frames * words


def test_knowledge_transfer_predicts_no_span() -> None:
    batch = random_batch()
    assert "csm_span" not in outputs_of("plus_mktn", batch)
    assert not [n for n, _ in model_of("plus_mktn").named_parameters() if ".csm.span" in n]
