"""What MMN is trained for."""

import dataclasses

import pytest
import torch
from torch.nn import functional

from mktn.config import fill
from mktn.engine.grounding import grounding_loss
from mktn.engine.grounding.mmn import MutualLoss
from mktn.errors import UserError
from mktn.grouping.batch import PairBatch
from tests.batches import random_batch

MOMENTS = torch.tensor([[0.0, 0.25], [0.0, 0.5], [0.25, 0.75], [0.5, 1.0], [0.0, 1.0]])


def outputs(batch: PairBatch, similarity: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
    queries, videos = len(batch.video_index), len(batch.frames)
    if similarity is None:
        similarity = torch.zeros(queries, videos, len(MOMENTS))
    return {
        "moments": MOMENTS,
        "overlap_logits": torch.zeros(queries, len(MOMENTS)),
        "similarity": similarity,
    }


def terms(batch: PairBatch, given: dict[str, torch.Tensor], **settings: float) -> dict[str, float]:
    found = MutualLoss(**settings)(given, batch, slice(None), None)  # type: ignore[arg-type]
    return {name: value.item() for name, (_, value) in found.items()}


def test_terms_and_their_weights() -> None:
    batch = random_batch()
    found = MutualLoss(w_map=2.0, w_mutual=0.3)(outputs(batch), batch, slice(None), None)
    assert {name: weight for name, (weight, _) in found.items()} == {"map": 2.0, "mutual": 0.3}
    assert grounding_loss("mmn", {"w_mutual": 0.1}) == MutualLoss(w_mutual=0.1)
    assert not MutualLoss.shares


def test_the_overlap_is_learned_as_a_scaled_iou() -> None:
    batch = random_batch((1,))
    batch.span_s = torch.tensor([[0.0, 0.4]]) * batch.duration_s[:, None]
    given = outputs(batch)
    given["overlap_logits"] = torch.tensor([[3.0, 2.0, -1.0, -2.0, 1.0]])
    expected = 0.0
    for p, iou in zip(
        given["overlap_logits"].sigmoid()[0], (0.625, 0.8, 0.2, 0, 0.4), strict=True
    ):
        target = min(max((iou - 0.3) / (0.7 - 0.3), 0), 1)
        expected -= (target * p.log() + (1 - target) * (1 - p).log()).item() / 5
    found = terms(batch, given, t_min=0.3, t_max=0.7)["map"]
    assert found == pytest.approx(expected, rel=1e-5)


def test_matching_moments_cost_less_than_others() -> None:
    batch = random_batch((1, 1))
    batch.span_s = MOMENTS[[1, 3]] * batch.duration_s[:, None]
    right = torch.full((2, 2, len(MOMENTS)), -1.0)
    right[0, 0, 1] = right[1, 1, 3] = 1.0
    wrong = torch.full((2, 2, len(MOMENTS)), -1.0)
    wrong[0, 1, 1] = wrong[1, 0, 3] = 1.0
    assert terms(batch, outputs(batch, right))["mutual"] < 0.01
    assert terms(batch, outputs(batch, wrong))["mutual"] > 20
    # 1 - margin against -1 of each other sentence, at a temperature of 1.
    matched = terms(batch, outputs(batch, right), temperature=1.0, margin=0.4)["mutual"]
    one_way = functional.softplus(torch.tensor(-1 - 0.6)).item()
    # Own moments below an IoU of 0.5, and all of the other video.
    negatives = torch.tensor([2.0 + 5.0, 3.0 + 5.0])
    other_way = functional.softplus(-1 - 0.6 + negatives.log()).mean().item()
    assert matched == pytest.approx(one_way + other_way, abs=1e-5)


def test_sentences_of_the_same_text_do_not_repel_each_other() -> None:
    batch = random_batch((1, 1))
    assert batch.text_index is not None
    similarity = torch.ones(2, 2, len(MOMENTS))
    apart = terms(batch, outputs(batch, similarity))["mutual"]
    batch.text_index[:] = 7
    same = terms(batch, outputs(batch, similarity))["mutual"]
    assert same < apart
    # Only moments of the own video are left to tell apart.
    grown = similarity.clone()
    grown[0, 1] = grown[1, 0] = -1
    assert terms(batch, outputs(batch, grown))["mutual"] == pytest.approx(same)


def test_times_are_shares_of_the_duration() -> None:
    batch = random_batch()
    given = outputs(batch, torch.rand(6, 3, len(MOMENTS)))
    expected = terms(batch, given)
    assert batch.span_s is not None
    longer = dataclasses.replace(batch, span_s=batch.span_s * 7, duration_s=batch.duration_s * 7)
    assert terms(longer, given) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "settings", [{"t_min": 1.0}, {"temperature": 0.0}, {"positives": 0}, {"margins": 0.1}]
)
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(UserError):
        fill(MutualLoss, settings)
