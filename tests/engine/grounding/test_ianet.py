"""IA-Net's loss of a batch, and of the shares that several processes have of it."""

from pathlib import Path

import polars as pl
import pytest
import torch

from mktn.cli import main
from mktn.engine.checkpoint import load
from mktn.engine.criterion import Criterion, LossConfig
from mktn.engine.grounding import grounding_loss
from mktn.errors import UserError
from mktn.grouping.share import share
from mktn.losses.windows import window_alignment, window_boundary, window_iou
from mktn.models import build
from tests.batches import random_batch
from tests.engine.runs import command
from tests.models.test_ianet import IANET_SIZES


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return build("ianet", "full", IANET_SIZES).eval()


def criterion(**settings: float) -> Criterion:
    return Criterion(LossConfig(), None, grounding_loss("ianet", settings))


def test_the_terms_and_their_weights() -> None:
    batch = random_batch()
    outputs = network()(batch)
    terms = criterion(w_boundary=0.25, positive_iou=0.2)(outputs, batch, 0.5)
    span_frames, exists = batch.span_frames(), outputs["confidence"] >= 0
    assert not exists.all()
    iou = window_iou(outputs["windows"], span_frames)
    align = window_alignment(outputs["window_logits"], iou, exists)
    positive = exists & (iou > 0.2)
    moved = (outputs["window_offsets"], outputs["windows"], span_frames, positive)
    boundary = window_boundary(*moved)
    torch.testing.assert_close(terms["align"], align)
    torch.testing.assert_close(terms["boundary"], boundary)
    torch.testing.assert_close(terms["total"], align + 0.25 * boundary)
    assert terms["boundary"] > 0


@pytest.mark.parametrize("processes", [2, 5])
def test_shares_of_a_batch_add_up_to_it(processes: int) -> None:
    batch, model, loss = random_batch((3, 1, 2)), network(), criterion()
    whole = loss(model(batch), batch, 0.5)
    parts = [share(batch, rank, processes) for rank in range(processes)]
    terms = [loss(model(part), part, 0.5) for part in parts]
    for name in ("align", "boundary", "total"):
        torch.testing.assert_close(sum(part[name] for part in terms), whole[name])


def test_settings_are_checked() -> None:
    with pytest.raises(UserError, match=r"settings.grounding.alpha: unknown key"):
        grounding_loss("ianet", {"alpha": 1.0})
    with pytest.raises(UserError, match=r"positive_iou 1.0 is outside \[0, 1\)"):
        grounding_loss("ianet", {"positive_iou": 1.0})


def test_a_training_by_command_can_be_loaded(small_dataset: Path, tmp_path: Path) -> None:
    sizes = {"width": 8, "heads": 2, "windows": [1, 2, 4], "window_frames": 5, "stride": 0.5}
    given = {"source": "synthetic", "dataset": "charades", "model": "ianet", "sizes": sizes,
             "variant": "model_c", "grounding": {"w_boundary": 0.1}, "loader": {"queries": 4},
             "train": {"epochs": 2, "gradients_every": 1}}  # fmt: skip
    assert main(command(small_dataset, tmp_path / "run", given)) == 0
    model, settings = load(tmp_path / "run")
    assert model.localizer.sizes == 3
    assert settings["sizes"]["windows"] == [1, 2, 4]
    assert settings["grounding"] == {"w_align": 1.0, "w_boundary": 0.1, "positive_iou": 0.45}
    log = pl.read_parquet(tmp_path / "run" / "log.parquet")
    assert (log["align"] > 0).all()
    assert (log["boundary"] > 0).all()
    assert (log["gradient_align"] > 0).all()
    assert log["span"].null_count() == len(log)
