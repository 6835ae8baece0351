"""MMN, alone and with knowledge transfer."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from mktn.engine.checkpoint import load, save
from mktn.engine.criterion import Criterion, LossConfig
from mktn.engine.decode import moments_of
from mktn.engine.grounding.mmn import MutualLoss
from mktn.engine.metrics import temporal_iou
from mktn.grouping.batch import PairBatch
from mktn.models import VARIANTS_OF, build
from mktn.models.base import GroundingModel
from mktn.models.config import MMNConfig
from mktn.models.mmn import MMN, MapNetwork
from mktn.models.proposals import sparse_cells
from tests.batches import SIZES, random_batch

MMN_SIZES = MMNConfig(
    **dataclasses.asdict(SIZES), cells=8, counts=(4, 2), kernel=3, layers=4, joint=8
)
FLAVOURS = ("origin", "plus_mktn")


def model(variant: str, **changes: Any) -> GroundingModel:
    torch.manual_seed(0)
    built = build("mmn", variant, dataclasses.replace(MMN_SIZES, **changes)).eval()
    assert isinstance(built, GroundingModel)
    return built


def criterion(variant: str) -> Criterion:
    transfer = VARIANTS_OF["mmn"][variant].transfer
    return Criterion(LossConfig(), transfer, MutualLoss())


@pytest.mark.parametrize(("kernel", "layers"), [(3, 4), (3, 3), (5, 2), (3, 1)])
def test_the_smaller_maps_answer_as_the_published_ones(kernel: int, layers: int) -> None:
    side, width = 8, 4
    cells = sparse_cells(side, (4, 2))
    mask = torch.zeros(side, side, dtype=torch.bool)
    mask[cells[:, 0], cells[:, 1]] = True
    torch.manual_seed(0)
    network = MapNetwork(width, kernel, layers, mask).eval()
    layers_of = list(zip(network.convolutions, network.norms, strict=True))
    for _, norm in layers_of:
        for value in norm.state_dict().values():
            if value.is_floating_point():
                value.uniform_(0.5, 2)
    proposals = torch.randn(2, width, side, side) * mask
    # Published: all the padding before the first layer, none behind it.
    pad = [(kernel - 1) * layers // 2] * 4
    x, content = functional.pad(proposals, pad), functional.pad(mask[None, None].float(), pad)
    for convolve, norm in layers_of:
        weight, bias = convolve.state_dict().values()
        x = norm(functional.conv2d(x, weight, bias)).relu()
        count = functional.conv2d(content, torch.ones(1, 1, kernel, kernel))
        x = torch.where(count > 0, x / count.clamp(min=1), torch.zeros(()))
        content = (count > 0).float()
    torch.testing.assert_close(network(proposals), x, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("variant", FLAVOURS)
def test_masked_frames_and_words_change_nothing(variant: str) -> None:
    batch, grounding = random_batch(), model(variant)
    assert not batch.frame_mask.all()
    assert not batch.word_mask.all()
    expected = grounding(batch)
    assert batch.patches is not None
    frames, patches = batch.frames.clone(), batch.patches.clone()
    frames[~batch.frame_mask], patches[~batch.frame_mask] = 1e3, 1e3
    words = batch.words.masked_fill(~batch.word_mask[..., None], 1e3)
    found = grounding(dataclasses.replace(batch, frames=frames, patches=patches, words=words))
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("variant", FLAVOURS)
def test_an_answer_does_not_depend_on_the_other_videos(variant: str) -> None:
    batch, grounding = random_batch((3, 1, 2)), model(variant)
    together = grounding(batch, matching=False)["confidence"]
    for video in range(3):
        queries = (batch.video_index == video).nonzero().flatten()
        alone = grounding(batch.only(queries.tolist()), matching=False)["confidence"]
        torch.testing.assert_close(alone, together[queries], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("variant", FLAVOURS)
def test_a_video_encoded_earlier_answers_the_same(variant: str) -> None:
    batch, grounding = random_batch(), model(variant)
    expected = grounding(batch, matching=False)["confidence"]
    video = grounding.encode_video(batch, matching=False)
    nothing = dataclasses.replace(batch, frames=torch.full_like(batch.frames, torch.nan))
    torch.testing.assert_close(grounding(nothing, video, False)["confidence"], expected)


@pytest.mark.parametrize("variant", FLAVOURS)
def test_decoded_moments_are_inside_sorted_and_distinct(variant: str) -> None:
    batch = random_batch()
    outputs = model(variant)(batch)
    assert (outputs["confidence"] >= 0).all()
    assert (outputs["confidence"] <= 1).all()
    assert outputs["confidence"].shape[1] == len(sparse_cells(8, (4, 2)))
    spans, scores = moments_of(outputs, batch, 5, 0.5)
    for q, video in enumerate(batch.video_index.tolist()):
        kept = spans[q][~spans[q].isnan().any(dim=1)]
        assert len(kept) > 1
        assert (kept >= 0).all()
        assert (kept <= batch.duration_s[video]).all()
        assert (kept[:, 0] < kept[:, 1]).all()
        assert (scores[q].diff() <= 0).all()
        for i, a in enumerate(kept.tolist()):
            for b in kept[:i].tolist():
                inner = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
                assert inner <= 0.5 * (a[1] - a[0] + b[1] - b[0] - inner) + 1e-4


def test_the_score_is_the_published_product() -> None:
    batch, grounding = random_batch(), model("origin", power=0.3)
    outputs = grounding(batch)
    own = outputs["similarity"][torch.arange(6), batch.video_index]
    expected = (0.5 * own + 0.5) ** 0.3 * outputs["overlap_logits"].sigmoid()
    torch.testing.assert_close(outputs["confidence"], expected)
    assert outputs["overlap_logits"].abs().max() <= 10


def test_other_videos_are_compared_with_raw_text_alone() -> None:
    """A query's cosines with moments of other videos must not know its own video's frames."""
    batch, grounding = random_batch(), model("plus_mktn")
    moments = grounding.encode_video(batch)
    before = grounding(batch, moments)
    batch.video_index = batch.video_index.flip(0)  # every query enriched by another video
    after = grounding(batch, moments)
    torch.testing.assert_close(after["similarity"], before["similarity"])
    assert not torch.allclose(after["overlap_logits"], before["overlap_logits"])


def noise(seed: int) -> PairBatch:
    """Videos, each of a colour of its own, and sentences that have nothing to do with them."""
    batch = random_batch((1,) * 12, seed)
    colours = torch.Generator().manual_seed(1_000_000 + seed)
    batch.frames = 0.3 * batch.frames + torch.randn(12, 1, SIZES.dimension, generator=colours)
    batch.span_s = batch.duration_s[:, None] * torch.tensor([0.25, 0.75])
    return batch


def retrieved(similarity: torch.Tensor, batch: PairBatch) -> float:
    """Share of queries whose own video holds their best matching moment."""
    return float((similarity.amax(dim=2).argmax(dim=1) == batch.video_index).float().mean())


def test_matching_cannot_tell_videos_of_noise_apart() -> None:
    """Trained on pure noise, fresh at each step, the matching has nothing but a leak to learn.

    With text that has seen its own video it finds that video for 39 % of the queries.
    """
    network, loss = model("plus_mktn").train(), criterion("plus_mktn")
    optimiser = torch.optim.Adam(network.parameters(), lr=8e-3)
    for step in range(90):
        batch = noise(step)
        optimiser.zero_grad()
        loss(network(batch, matching=False), batch, 0.5)["mutual"].backward()
        optimiser.step()
    network.eval()
    with torch.no_grad():
        found = [
            retrieved(network(b, matching=False)["similarity"], b)
            for b in map(noise, range(900, 920))
        ]
    assert sum(found) / len(found) < 0.2  # of 240 queries; chance is 1 in 12


@pytest.mark.parametrize("variant", FLAVOURS)
def test_one_batch_is_learned_by_heart(variant: str) -> None:
    batch, network, loss = random_batch((3, 2, 3)), model(variant, layers=2), criterion(variant)
    assert batch.span_s is not None
    optimiser = torch.optim.Adam(network.train().parameters(), lr=8e-3)
    for _ in range(120):
        terms = loss(network(batch, matching=False), batch, 1.0)
        optimiser.zero_grad()
        terms["total"].backward()
        optimiser.step()
    outputs = network(batch, matching=False)
    moments_s = outputs["moments"][None] * batch.duration_s[batch.video_index, None, None]
    best = temporal_iou(moments_s.numpy(), batch.span_s[:, None].numpy()).max(axis=1)
    spans, _ = moments_of(outputs, batch, 1, 0.5)
    found = temporal_iou(spans[:, 0].detach().numpy(), batch.span_s.numpy())
    assert (found > 0.9 * best).all()  # as good as the candidates allow
    assert terms["mutual"].item() < 0.2  # from about 16


@pytest.mark.parametrize("variant", FLAVOURS)
def test_a_saved_model_answers_as_before(variant: str, tmp_path: Path) -> None:
    batch, network = random_batch(), model(variant)
    network.train()(batch)  # batch norm's statistics are part of the answer
    expected = network.eval()(batch)["confidence"]
    given = {"model": "mmn", "variant": variant, "config": MMN_SIZES, "losses": LossConfig()}
    record = dict.fromkeys(("source", "dataset", "patches"), "charades")
    record |= {"seed": 0, "features": {}, "text": {}}
    save(tmp_path, network, **given, record=record)
    loaded, _ = load(tmp_path)
    torch.testing.assert_close(loaded.eval()(batch)["confidence"], expected)


@pytest.mark.parametrize("variant", FLAVOURS)
def test_every_parameter_learns(variant: str) -> None:
    batch, grounding = random_batch(), model(variant).train()
    criterion(variant)(grounding(batch), batch, 0.25)["total"].backward()
    silent = [
        name
        for name, parameter in grounding.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    # Batch norm takes the mean of each channel, and with it the bias before it.
    takes_mean = [n for n in silent if ".convolutions." in n and n.endswith(".bias")]
    assert sorted(set(silent) - set(takes_mean)) == []


@pytest.mark.parametrize(
    "changes", [{"kernel": 4}, {"layers": 0}, {"power": -1.0}, {"counts": (9,)}, {"counts": ()}]
)
def test_impossible_sizes_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        dataclasses.replace(MMN_SIZES, **changes)


def test_the_video_side_has_the_published_parameters() -> None:
    """Of Charades-STA: 4096 -> 512, eight 5x5 layers with batch norm, two 1x1 to 256."""
    config = MMNConfig(
        frames=32, dimension=4096, patch_dimension=0, word_dimension=300, sentence_dimension=8,
        width=512,
    )  # fmt: skip
    counts = {
        name: sum(parameter.numel() for parameter in part.parameters())
        for name, part in MMN(config).named_children()
    }
    assert counts["video"] == 4096 * 512 + 512
    assert counts["network"] == 8 * (512 * 512 * 25 + 512) + 8 * 2 * 512
    assert counts["moment_overlap"] == counts["moment_contrast"] == 512 * 256 + 256
    assert sum(counts.values()) - counts["text"] < 55.1e6
