"""What a user relies on: padding cannot leak, batched equals single, one batch can be learned."""

import dataclasses

import pytest
import torch
from torch import Tensor

from mktn.engine.criterion import Criterion, LossConfig
from mktn.errors import UserError
from mktn.grouping.batch import PairBatch
from mktn.models import VARIANTS, build
from tests.batches import SIZES, random_batch

PER_QUERY = ("start_logits", "end_logits", "offsets", "csm_span")


def outputs_of(variant: str, batch: PairBatch) -> dict[str, Tensor]:
    torch.manual_seed(0)
    model = build("mktn", variant, SIZES).eval()
    with torch.no_grad():
        return model(batch)


@pytest.mark.parametrize("variant", VARIANTS)
def test_padding_cannot_leak(variant: str) -> None:
    batch = random_batch()
    assert not batch.frame_mask.all()
    assert not batch.word_mask.all()
    poisoned = dataclasses.replace(
        batch,
        frames=batch.frames.masked_fill(~batch.frame_mask[..., None], 1e3),
        patches=batch.patches.masked_fill(~batch.frame_mask[..., None, None], -1e3),
        words=batch.words.masked_fill(~batch.word_mask[..., None], 1e3),
    )
    clean, dirty = outputs_of(variant, batch), outputs_of(variant, poisoned)
    real = batch.frame_mask[batch.video_index]
    for name, value in clean.items():
        a, b = (x[real] if name in PER_QUERY[:3] else x for x in (value, dirty[name]))
        torch.testing.assert_close(a, b, msg=lambda m, n=name: f"{n}: {m}")
    assert (dirty["start_logits"].softmax(dim=1)[~real] == 0).all()


@pytest.mark.parametrize("variant", VARIANTS)
def test_longer_padding_changes_nothing(variant: str) -> None:
    batch = random_batch(words=6)
    wider = dataclasses.replace(
        batch,
        words=torch.cat([batch.words, torch.ones(len(batch.words), 3, SIZES.word_dimension)], 1),
        word_mask=torch.cat([batch.word_mask, torch.zeros(len(batch.words), 3).bool()], 1),
    )
    for a, b in zip(
        outputs_of(variant, batch).values(), outputs_of(variant, wider).values(), strict=True
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_batch_of_videos_equals_one_video_at_a_time(variant: str) -> None:
    batch = random_batch((3, 1, 2))
    together = outputs_of(variant, batch)
    for v in range(3):
        mine = batch.video_index == v
        alone = dataclasses.replace(
            batch,
            frames=batch.frames[v : v + 1],
            frame_mask=batch.frame_mask[v : v + 1],
            patches=batch.patches[v : v + 1],
            duration_s=batch.duration_s[v : v + 1],
            video_index=torch.zeros(int(mine.sum()), dtype=torch.long),
            related=None,
            **{
                name: getattr(batch, name)[mine]
                for name in ("words", "word_mask", "sentences", "order", "span_s", "text_index")
            },
        )
        single = outputs_of(variant, alone)
        for name in together.keys() & set(PER_QUERY):
            torch.testing.assert_close(together[name][mine], single[name])
        for name in together.keys() & {"s_avm", "s_op", "s_es"}:
            torch.testing.assert_close(together[name][v : v + 1, mine], single[name])


def permuted(batch: PairBatch, videos: Tensor, queries: Tensor) -> PairBatch:
    """The same batch with its videos and its queries in another order."""
    place = torch.empty_like(videos)
    place[videos] = torch.arange(len(videos))
    return dataclasses.replace(
        batch,
        video_index=place[batch.video_index[queries]],
        related=batch.related[queries][:, queries],
        **{
            name: getattr(batch, name)[videos]
            for name in ("frames", "frame_mask", "patches", "duration_s")
        },
        **{
            name: getattr(batch, name)[queries]
            for name in ("words", "word_mask", "sentences", "order", "span_s", "text_index")
        },
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_order_of_videos_and_queries_in_a_batch_means_nothing(variant: str) -> None:
    batch = random_batch((3, 1, 2, 1))
    batch.text_index[6] = batch.text_index[0]
    batch.related[0, 6] = batch.related[4, 3] = True
    videos, queries = torch.tensor([2, 0, 3, 1]), torch.tensor([5, 3, 0, 6, 1, 4, 2])
    other = permuted(batch, videos, queries)
    before, after = outputs_of(variant, batch), outputs_of(variant, other)
    for name, value in before.items():
        if name in PER_QUERY or name == "avm_words":
            expected = value[queries]
        elif name == "avm_frames":
            expected = value[videos]
        else:
            expected = value[videos][:, queries]
        torch.testing.assert_close(after[name], expected, msg=lambda m, n=name: f"{n}: {m}")
    criterion = Criterion(LossConfig(phi_initial=0.9), VARIANTS[variant])
    before, after = criterion(before, batch, 0.25), criterion(after, other, 0.25)
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("variant", VARIANTS)
def test_padding_reaches_no_gradient(variant: str) -> None:
    torch.manual_seed(0)
    model, batch = build("mktn", variant, SIZES), random_batch()
    batch.frames.requires_grad_()
    batch.words.requires_grad_()
    batch.patches.requires_grad_()
    Criterion(LossConfig(), VARIANTS[variant])(model(batch), batch, 0.25)["total"].backward()
    assert not batch.frames.grad[~batch.frame_mask].any()
    assert not batch.patches.grad[~batch.frame_mask].any()
    assert not batch.words.grad[~batch.word_mask].any()
    assert batch.frames.grad[batch.frame_mask].any()
    assert batch.words.grad[batch.word_mask].any()


def test_queries_of_a_video_help_each_other_and_those_of_others_only_when_related() -> None:
    batch = random_batch((2, 1))
    changed = dataclasses.replace(batch, sentences=batch.sentences.clone())
    changed.sentences[2] += 1
    before, after = outputs_of("full", batch), outputs_of("full", changed)
    torch.testing.assert_close(before["csm_span"][:2], after["csm_span"][:2])
    related = torch.zeros(3, 3, dtype=torch.bool)
    related[0, 2] = True
    seeing = [dataclasses.replace(b, related=related) for b in (batch, changed)]
    before, after = (outputs_of("full", b) for b in seeing)
    assert not torch.allclose(before["csm_span"][0], after["csm_span"][0])
    torch.testing.assert_close(before["csm_span"][1], after["csm_span"][1])


def test_one_batch_is_learned_to_near_zero() -> None:
    torch.manual_seed(0)
    sizes = dataclasses.replace(SIZES, width=32)
    model, batch = build("mktn", "full", sizes), random_batch((2, 2, 2), seed=3)
    criterion = Criterion(LossConfig(), VARIANTS["full"])
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    for step in range(200):
        terms = criterion(model(batch), batch, step / 199)
        optimizer.zero_grad()
        terms["total"].backward()
        optimizer.step()
        if step == 0:
            first = terms["span"].item()
    assert first > 3
    assert terms["span"].item() < 0.05
    assert terms["float"].item() < 0.01


def test_positives_are_own_videos_and_videos_with_the_same_text() -> None:
    batch = random_batch((2, 1, 1))
    batch.text_index[:] = torch.tensor([0, 1, 0, 2])
    expected = [[1, 1, 1, 0], [1, 0, 1, 0], [0, 0, 0, 1]]
    assert batch.positive().int().tolist() == expected


def test_an_unknown_variant_or_size_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match=r"unknown variant.*wo_cms.*expected one of full"):
        build("mktn", "wo_cms", SIZES)
    with pytest.raises(UserError, match="unknown key"):
        build("mktn", "full", {**dataclasses.asdict(SIZES), "widht": 3})
