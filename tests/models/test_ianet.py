"""IA-Net and its ablations: nothing leaks, nothing is idle, one batch can be learned."""

import dataclasses
import itertools

import pytest
import torch
from torch import Tensor, nn

from mktn.engine.criterion import Criterion, LossConfig
from mktn.engine.decode import moments_of
from mktn.engine.grounding import grounding_loss
from mktn.engine.metrics import temporal_iou
from mktn.errors import UserError
from mktn.grouping.batch import PairBatch
from mktn.models import VARIANTS_OF, build
from mktn.models.config import IANetConfig
from mktn.models.variants import IANetVariant
from tests.batches import SIZES, random_batch

IANET = VARIANTS_OF["ianet"]
IANET_SIZES = IANetConfig(
    **{f.name: getattr(SIZES, f.name) for f in dataclasses.fields(SIZES)[:5]},
    width=16,
    dropout=0.0,
    windows=(2, 4, 6, 9),
    window_frames=12,
)
BLOCK = ("inter.", "calibrate_frames.", "calibrate_words.", "among_frames.", "among_words.",
         "calibrate_among_frames.", "calibrate_among_words.")  # fmt: skip
# What a block of `full` has and one of the variant has not.
LEFT_OUT = {
    "model_a": BLOCK[1:],
    "model_b": BLOCK[3:],
    "model_c": BLOCK[5:],
    "padding_0": ("inter.frame_padding", "inter.word_padding"),
}
ATTENDING = ("inter.frame.weight", "inter.word.weight", "query.weight", "key.weight")


def with_shared_weights(variant: str, sizes: IANetConfig = IANET_SIZES) -> nn.Module:
    """The variant with the weights of `full` where it has them; padding is cut to its rows."""
    torch.manual_seed(0)
    shared = build("ianet", "full", sizes).state_dict()
    torch.manual_seed(1)
    model = build("ianet", variant, sizes).eval()
    own = model.state_dict()
    for name, value in own.items():
        given = shared.get(name, value)
        own[name] = torch.cat([given, value])[: len(value)]
        if name.endswith(ATTENDING):  # else all maps are nearly uniform, whatever the heads
            own[name] = 5 * own[name]
    model.load_state_dict(own)
    return model


def outputs_of(variant: str, batch: PairBatch) -> dict[str, Tensor]:
    with torch.no_grad():
        return with_shared_weights(variant)(batch)


def terms_of(outputs: dict[str, Tensor], batch: PairBatch) -> dict[str, Tensor]:
    return Criterion(LossConfig(), None, grounding_loss("ianet", {}))(outputs, batch, 0.5)


def test_the_ablations_are_those_of_the_papers_table_4() -> None:
    full = {"calibrate_inter": True, "intra": True, "calibrate_intra": True}
    full |= {"padding": None, "heads": None, "blocks": None}
    defaults = IANetConfig(64, 4, 0, 3, 5)
    assert (defaults.padding, defaults.heads, defaults.blocks) == (3, 4, 3)
    changes = {
        name: {k: v for k, v in dataclasses.asdict(variant).items() if v != full[k]}
        for name, variant in IANET.items()
    }
    assert changes.pop("full") == {}
    assert changes.pop("model_a") == dict.fromkeys(
        ("calibrate_inter", "intra", "calibrate_intra"), False
    )
    assert changes.pop("model_b") == dict.fromkeys(("intra", "calibrate_intra"), False)
    assert changes.pop("model_c") == {"calibrate_intra": False}
    assert changes == {
        **{f"padding_{k}": {"padding": k} for k in (0, 1, 2, 4)},
        **{f"heads_{h}": {"heads": h} for h in (1, 2, 8)},
        **{f"blocks_{n}": {"blocks": n} for n in (1, 2, 4)},
    }


def test_no_two_variants_compute_the_same() -> None:
    batch = random_batch((3, 2, 2))
    outputs = {variant: outputs_of(variant, batch) for variant in IANET}
    for a, b in itertools.combinations(IANET, 2):
        distance = (outputs[a]["window_logits"] - outputs[b]["window_logits"]).abs().max()
        assert distance > 1e-4, (a, b)


@pytest.mark.parametrize("variant", IANET)
def test_every_parameter_of_a_variant_receives_a_gradient(variant: str) -> None:
    dead: dict[str, Tensor] = {}
    for seed in range(8):  # a ReLU may be dead with one seed, not with all
        torch.manual_seed(seed)
        model, batch = build("ianet", variant, IANET_SIZES), random_batch((3, 2, 2, 4), seed)
        terms_of(model(batch), batch)["total"].backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None, name
            dead[name] = dead.get(name, torch.tensor(True)) & (parameter.grad == 0)
    assert [name for name, elements in dead.items() if elements.any()] == []


@pytest.mark.parametrize("variant", IANET)
def test_a_module_that_a_variant_does_not_use_is_not_built(variant: str) -> None:
    full, mine = (with_shared_weights(name).state_dict() for name in ("full", variant))
    blocks = {int(name.split(".")[1]) for name in mine if name.startswith("blocks.")}
    assert len(blocks) == (IANET[variant].blocks or 3)
    starts = LEFT_OUT.get(variant, ())
    missing = {
        name
        for name in full
        if name.startswith(tuple(f"blocks.{n}.{start}" for n in range(3) for start in starts))
        or (name.startswith("blocks.") and int(name.split(".")[1]) not in blocks)
    }
    assert all(any(f".{start}" in name for name in missing) for start in starts)
    assert set(full) - set(mine) == missing
    rows = {len(value) for name, value in mine.items() if name.endswith("_padding")}
    padding = IANET[variant].padding
    assert rows == ({3 if padding is None else padding} - {0})


@pytest.mark.parametrize("variant", IANET)
def test_padding_cannot_leak(variant: str) -> None:
    batch = random_batch()
    assert not batch.frame_mask.all()
    assert not batch.word_mask.all()
    poisoned = dataclasses.replace(
        batch,
        frames=batch.frames.masked_fill(~batch.frame_mask[..., None], 1e3),
        words=batch.words.masked_fill(~batch.word_mask[..., None], 1e3),
    )
    wider = dataclasses.replace(
        poisoned,
        words=torch.cat([poisoned.words, torch.ones(len(batch.words), 3, 9)], 1),
        word_mask=torch.cat([batch.word_mask, torch.zeros(len(batch.words), 3).bool()], 1),
    )
    clean = outputs_of(variant, batch)
    exists = clean["confidence"] >= 0
    for other in (poisoned, wider):
        dirty = outputs_of(variant, other)
        for name in clean:
            torch.testing.assert_close(dirty[name][exists], clean[name][exists])
        for name in ("confidence", "moments"):
            torch.testing.assert_close(dirty[name], clean[name])


def test_padding_reaches_no_gradient() -> None:
    model, batch = with_shared_weights("full"), random_batch()
    batch.frames.requires_grad_()
    batch.words.requires_grad_()
    terms_of(model(batch), batch)["total"].backward()
    assert not batch.frames.grad[~batch.frame_mask].any()
    assert not batch.words.grad[~batch.word_mask].any()
    assert batch.frames.grad[batch.frame_mask].any()
    assert batch.words.grad[batch.word_mask].any()


def test_a_pair_is_answered_as_alone_and_a_video_is_encoded_once() -> None:
    batch, model = random_batch((3, 1, 2)), with_shared_weights("full")
    with torch.no_grad():
        together = model(batch)
        video = model.encode_video(batch)
        assert video.frames.shape == (3, 12, 16)
        unread = dataclasses.replace(batch, frames=batch.frames[..., :0])
        cached = model(unread, video, matching=False)
        for query in range(6):
            alone = model(batch.only([query]))
            for name, value in alone.items():
                torch.testing.assert_close(together[name][query : query + 1], value)
    for name, value in together.items():
        assert torch.equal(cached[name], value)


@pytest.mark.parametrize("variant", ["full", "model_a", "padding_0", "blocks_1"])
def test_attention_maps_of_each_block_can_be_had(variant: str) -> None:
    batch, model = random_batch(), with_shared_weights(variant)
    with torch.no_grad():
        maps = model.attention_maps(batch)
        again = model.attention_maps(batch, model.encode_video(batch))
    k = 0 if variant == "padding_0" else 3
    assert len(maps) == (1 if variant == "blocks_1" else 3)
    assert torch.equal(maps[-1].frames_to_words, again[-1].frames_to_words)
    for of_block in maps:
        assert of_block.frames_to_words.shape == (6, 12, 6 + k)
        assert of_block.words_to_frames.shape == (6, 6, 12 + k)
        shapes = [None if x is None else tuple(x.shape)
                  for x in (of_block.frames_to_frames, of_block.words_to_words)]  # fmt: skip
        assert shapes == ([None, None] if variant == "model_a" else [(6, 12, 12), (6, 6, 6)])
        for attention in vars(of_block).values():
            if attention is not None:
                sums = attention.sum(dim=-1)
                torch.testing.assert_close(sums, torch.ones_like(sums))


def test_one_batch_is_learned_and_decoded() -> None:
    torch.manual_seed(0)
    sizes = dataclasses.replace(IANET_SIZES, width=32, blocks=2)
    model, batch = build("ianet", "full", sizes), random_batch((2, 2, 2), seed=3)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    criterion = Criterion(LossConfig(), None, grounding_loss("ianet", {"w_boundary": 0.05}))
    for _ in range(100):
        terms = criterion(model(batch), batch, 0.5)
        optimizer.zero_grad()
        terms["total"].backward()
        optimizer.step()
    assert terms["boundary"].item() < 0.02
    with torch.no_grad():
        outputs = model.eval()(batch)
    for threshold in (0.4, 0.7):
        spans_s, scores = moments_of(outputs, batch, 5, threshold)
        duration_s = batch.duration_s[batch.video_index]
        for query in range(6):
            found = spans_s[query][~spans_s[query, :, 0].isnan()]
            assert len(found) >= 2
            assert (found[:, 0] >= 0).all()
            assert (found[:, 0] < found[:, 1]).all()
            assert (found[:, 1] <= duration_s[query]).all()
            assert (scores[query].diff() <= 0).all()
            for a, b in itertools.combinations(found.numpy(), 2):
                assert temporal_iou(a, b) <= threshold + 1e-6
    # The best moment is the annotated one, but for those that no window comes near to.
    overlap = temporal_iou(spans_s[:, 0].numpy(), batch.span_s.numpy())
    assert (overlap > 0.7).sum() >= 4


@pytest.mark.parametrize(
    ("variant", "changed"),
    [("padding_2", "padding"), ("heads_2", "heads"), ("blocks_2", "blocks")],
)
def test_an_ablation_that_is_the_configured_network_is_refused(variant: str, changed: str) -> None:
    sizes = dataclasses.replace(IANET_SIZES, **{changed: 2})
    with pytest.raises(UserError, match=rf"model.{changed}: this ablation is the configured"):
        build("ianet", variant, sizes)
    build("ianet", "full", sizes)


def test_half_precision_answers_as_single_does() -> None:
    batch, model = random_batch(), with_shared_weights("full")
    with torch.no_grad():
        single = model(batch)
        with torch.autocast("cpu", torch.bfloat16):
            half = model(batch)
    for name in ("moments", "confidence"):
        assert half[name].dtype == torch.float32
        torch.testing.assert_close(half[name], single[name], atol=0.05, rtol=0.05)


def test_an_ablation_that_does_not_fit_is_the_users_mistake() -> None:
    sizes = dataclasses.replace(IANET_SIZES, width=12)
    with pytest.raises(UserError, match=r"does not fit.*width 12 .* heads 8"):
        build("ianet", "heads_8", sizes)
    with pytest.raises(UserError, match="unknown key"):
        build("ianet", "full", {**dataclasses.asdict(SIZES)})


@pytest.mark.parametrize(("width", "millions"), [(512, 23.0), (1024, 87.4)])
def test_the_parameters_at_the_papers_sizes(width: int, millions: float) -> None:
    """The paper says 68 M on TACoS; its hidden state of 512 may be of one direction of two."""
    sizes = IANetConfig(200, 4096, 0, 300, 4800, width=width, windows=(8, 16, 32, 64, 128),
                        window_frames=200)  # fmt: skip
    with torch.device("meta"):
        count = sum(p.numel() for p in build("ianet", "full", sizes).parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.05)


def test_variants_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        IANET["full"].padding = 1
    assert isinstance(IANET["full"], IANetVariant)
    with pytest.raises(TypeError):
        IANET["more"] = IANetVariant()
