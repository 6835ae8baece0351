"""Each variant is the ablation that its name says: built of less, and another computation."""

import dataclasses
import itertools
from functools import cache

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from mktn import losses
from mktn.engine.criterion import Criterion, LossConfig
from mktn.errors import UserError
from mktn.grouping.batch import PairBatch
from mktn.models import VARIANTS, build
from tests.batches import SIZES, random_batch

PROGRESS = 0.25  # the schedules agree at 0, 0.5 and 1
# Thresholds among the similarities of untrained weights: every schedule has some negatives.
LOSSES = LossConfig(phi_initial=0.3, phi_final=0.45)
COSINE = 0.45 - 0.15 * (1 + 0.5**0.5) / 2  # the threshold of the cosine at PROGRESS

# Parameters that `full` has and a variant must not, by the start of their names.
LEFT_OUT = {
    "wo_csm": ("csm.", "token."),
    "wo_opm": ("opm.object_weights.", "opm.phrase_weights."),
    "wo_apa": ("apa.", "to_activities.", "add_activity.", "add_frame."),
    "wo_avm": ("avm.",),
    "wo_contextual": ("csm.among_queries.",),
    "wo_semantic": ("csm.phrases.",),
    "wo_visual_contrast": ("avm.zeta_v.",),
    "wo_textual_contrast": ("avm.zeta_w.",),
    "wo_cap": ("opm.object_weights.", "opm.phrase_weights."),
    "wo_oca": ("opm.phrase_weights.",),
    "wo_bmp": ("apa.", "to_activities.", "add_frame."),
}
# Those that a variant has and `full` has not.
PUT_IN = {"wo_opm": ("opm.project.",), "wo_bmp": ("apa.pooled.",)}
OUTPUTS_LEFT_OUT = {
    "wo_csm": {"csm_span"},
    "wo_opm": {"s_op"},
    "wo_apa": {"s_es"},
    "wo_avm": {"s_avm", "avm_frames", "avm_words"},
    "wo_oca": {"s_op"},
    "wo_aa": {"s_es"},
}
# With the weights of `full` these answer as it does: they differ in what training teaches.
SAME_ANSWERS = {"full", "wo_avm", "wo_visual_contrast", "wo_textual_contrast",
                "fixed_threshold", "wo_cosine", "wo_oca", "wo_aa"}  # fmt: skip
SAME_OUTPUTS = {"full", "fixed_threshold", "wo_cosine"}


def batch_of_videos(seed: int = 0) -> PairBatch:
    return random_batch((3, 2, 2, 4), seed)


@cache
def with_shared_weights(variant: str) -> nn.Module:
    """The variant with the weights of `full` where it has them."""
    torch.manual_seed(0)
    shared = build("mktn", "full", SIZES).state_dict()
    torch.manual_seed(1)
    model = build("mktn", variant, SIZES)
    own = model.state_dict()
    model.load_state_dict({name: shared.get(name, value) for name, value in own.items()})
    return model


def outputs_of(variant: str, batch: PairBatch) -> dict[str, Tensor]:
    with torch.no_grad():
        return with_shared_weights(variant)(batch)


def terms_of(variant: str, outputs: dict[str, Tensor], batch: PairBatch) -> dict[str, Tensor]:
    return Criterion(LOSSES, VARIANTS[variant])(outputs, batch, PROGRESS)


def close(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-4, atol=1e-5)


def equal(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return set(a) == set(b) and all(close(a[name], b[name]) for name in a)


def test_no_two_variants_compute_the_same() -> None:
    batch = batch_of_videos()
    outputs = {variant: outputs_of(variant, batch) for variant in VARIANTS}
    terms = {variant: terms_of(variant, outputs[variant], batch) for variant in VARIANTS}
    for variant in set(VARIANTS) - {"wo_avm"}:
        assert 0 < terms[variant]["negative_share"] < 1, variant
        assert terms[variant]["cl"] > 0, variant
    for a, b in itertools.combinations(VARIANTS, 2):
        assert not close(terms[a]["total"], terms[b]["total"]), (a, b)
        assert equal(outputs[a], outputs[b]) == ({a, b} <= SAME_OUTPUTS), (a, b)


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_ablation_of_the_training_signal_leaves_the_answers_to_the_weights(
    variant: str,
) -> None:
    batch = batch_of_videos()
    full, mine = outputs_of("full", batch), outputs_of(variant, batch)
    same = all(close(full[name], mine[name]) for name in ("start_logits", "end_logits", "offsets"))
    assert same == (variant in SAME_ANSWERS)
    assert set(full) - set(mine) == OUTPUTS_LEFT_OUT.get(variant, set())
    assert not set(mine) - set(full)


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_parameter_of_a_variant_receives_a_gradient(variant: str) -> None:
    dead: dict[str, Tensor] = {}
    for seed in range(8):  # a ReLU may be dead with one seed, not with all
        torch.manual_seed(seed)
        model, batch = build("mktn", variant, SIZES), batch_of_videos(seed)
        criterion = Criterion(dataclasses.replace(LOSSES, learnable=True), VARIANTS[variant])
        criterion(model(batch), batch, PROGRESS)["total"].backward()
        for name, parameter in (*model.named_parameters(), *criterion.named_parameters()):
            assert parameter.grad is not None, name
            dead[name] = dead.get(name, torch.tensor(True)) & (parameter.grad == 0)
    assert [name for name, elements in dead.items() if elements.any()] == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_module_that_a_variant_does_not_use_is_not_built(variant: str) -> None:
    def names(of: str) -> set[str]:
        return {name for name, _ in with_shared_weights(of).named_parameters()}

    def start_with(starts: tuple[str, ...], among: set[str]) -> set[str]:
        found = {n for n in among if n.startswith(tuple(f"transfer.{start}" for start in starts))}
        assert all(any(n.startswith(f"transfer.{start}") for n in found) for start in starts)
        return found

    full, mine = names("full"), names(variant)
    assert full - mine == start_with(LEFT_OUT.get(variant, ()), full)
    assert mine - full == start_with(PUT_IN.get(variant, ()), mine)


def csm_spans_change(variant: str, batch: PairBatch, changed: PairBatch) -> bool:
    """Whether the span that CSM predicts for the first query changes."""
    before, after = (outputs_of(variant, b)["csm_span"][0] for b in (batch, changed))
    return not close(before, after)


@pytest.mark.parametrize(
    ("variant", "field", "query"),
    [("wo_temporal", "order", 0), ("wo_contextual", "sentences", 1), ("wo_semantic", "words", 0)],
)
def test_csm_does_not_see_the_relation_that_is_left_out(
    variant: str, field: str, query: int
) -> None:
    batch = batch_of_videos()
    values = getattr(batch, field).clone()
    values[query] += 5
    changed = dataclasses.replace(batch, **{field: values})
    assert csm_spans_change("full", batch, changed)
    assert not csm_spans_change(variant, batch, changed)


def hinges(similarity: Tensor, batch: PairBatch, phi: float) -> tuple[Tensor, Tensor]:
    """The hinges of Eq. 3 for each query against negative queries and negative videos."""
    by_query, by_video = [], []
    videos, queries = similarity.shape
    for query, video in enumerate(batch.video_index.tolist()):
        own = float(similarity[video, query])
        others = [float(similarity[video, q]) for q in range(queries)
                  if not batch.positive()[video, q]]  # fmt: skip
        elsewhere = [float(similarity[v, query]) for v in range(videos)
                     if not batch.positive()[v, query]]  # fmt: skip
        for values, hinge in ((others, by_query), (elsewhere, by_video)):
            negative = [max(0.0, phi - own + value) for value in values if value < phi]
            hinge.append(sum(negative) / max(1, len(negative)))
    return torch.tensor(by_query), torch.tensor(by_video)


@pytest.mark.parametrize(
    ("variant", "phi", "queries", "videos"),
    [
        ("full", COSINE, 1, 1),
        ("wo_visual_contrast", COSINE, 1, 0),
        ("wo_textual_contrast", COSINE, 0, 1),
        ("fixed_threshold", 0.45, 1, 1),
        ("wo_cosine", 0.3 + 0.15 * 0.25, 1, 1),
    ],
)
def test_contrasts_and_thresholds_of_table_5(
    variant: str, phi: float, queries: int, videos: int
) -> None:
    batch = batch_of_videos()
    outputs = outputs_of(variant, batch)
    similarity = outputs["s_avm"]
    theta = losses.contrast_weight(
        outputs["avm_frames"],
        outputs["avm_words"],
        batch.video_index,
        ~batch.positive() & (similarity < phi),
    )
    by_query, by_video = hinges(similarity, batch, phi)
    assert by_query.any()
    assert by_video.any()
    expected = (queries * theta * by_query + videos * (1 - theta) * by_video).mean()
    torch.testing.assert_close(terms_of(variant, outputs, batch)["cl"], expected)


def test_without_prototypes_patches_are_compared_with_words() -> None:
    batch, model = batch_of_videos(), with_shared_weights("wo_cap")
    with torch.no_grad():
        _, patches = model.video(batch)
        words, _ = model.text(batch)
    expected = torch.zeros(len(patches), len(words))
    for v, q in itertools.product(range(len(patches)), range(len(words))):
        frames = patches[v][batch.frame_mask[v]]  # (T,C+1,d)
        cosine = functional.cosine_similarity(
            frames[:, :, None], words[q][batch.word_mask[q]][None, None], dim=-1
        )
        expected[v, q] = cosine.amax(dim=(0, 2)).mean()
    torch.testing.assert_close(outputs_of("wo_cap", batch)["s_op"], expected)


def test_without_motion_prototypes_the_mean_frame_is_compared_with_the_sentence() -> None:
    batch, model = batch_of_videos(), with_shared_weights("wo_bmp")
    with torch.no_grad():
        frames, _ = model.video(batch)
        _, sentences = model.text(batch)
        means = [f[real].mean(0) for f, real in zip(frames, batch.frame_mask, strict=True)]
        activity = model.transfer.apa.pooled(torch.stack(means))
    expected = functional.cosine_similarity(activity[:, None], sentences[None], dim=-1)
    torch.testing.assert_close(outputs_of("wo_bmp", batch)["s_es"], expected)


@pytest.mark.parametrize(
    ("variant", "schedule"), [("wo_cosine", "linear"), ("fixed_threshold", "fixed")]
)
def test_an_ablation_that_is_the_configured_threshold_is_refused(variant, schedule) -> None:
    with pytest.raises(UserError, match=rf"losses.schedule: this ablation.*{schedule}"):
        Criterion(LossConfig(schedule=schedule), VARIANTS[variant])
