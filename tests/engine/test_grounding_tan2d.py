"""2D-TAN's term in the criterion: of a whole batch, and of the parts of a shared one."""

import pytest
import torch

from mktn.engine.criterion import Criterion, LossConfig
from mktn.engine.grounding import grounding_loss
from mktn.errors import UserError
from mktn.losses.proposals import moment_iou, scaled_iou
from mktn.models import build
from tests.batches import random_batch
from tests.models.test_tan2d import CONFIG


def outputs_of(batch):
    torch.manual_seed(0)
    return build("tan2d", "origin", CONFIG)(batch)


def test_the_criterion_weighs_the_term():
    batch = random_batch()
    outputs = outputs_of(batch)
    grounding = grounding_loss("tan2d", {"w_map": 2.0, "t_min": 0.3, "t_max": 0.7})
    terms = Criterion(LossConfig(), None, grounding)(outputs, batch, 0.5)
    spans = batch.span_s / batch.duration_s[batch.video_index, None]
    iou = moment_iou(outputs["moments"], spans)
    torch.testing.assert_close(terms["map"], scaled_iou(outputs["map_logits"], iou, 0.3, 0.7))
    torch.testing.assert_close(terms["total"], 2 * terms["map"])


def test_shares_of_a_batch_sum_to_it():
    batch = random_batch()
    outputs, grounding = outputs_of(batch), grounding_loss("tan2d", {})
    queries = len(batch.video_index)
    _, whole = grounding(outputs, batch, slice(None), None)["map"]
    parts = [slice(0, 2), slice(2, queries)]
    values = [grounding(outputs, batch, own, queries)["map"][1] for own in parts]
    torch.testing.assert_close(sum(values), whole)


@pytest.mark.parametrize("wrong", [{"t_min": 0.7, "t_max": 0.5}, {"t_max": 1.1}, {"w_span": 1.0}])
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(UserError):
        grounding_loss("tan2d", wrong)
