"""`mktn pretrain`: a narrow video backbone trained on labelled clips of the training split.

Shape legend: B clips, L labels, K actors.
"""

import argparse
import dataclasses
import time
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from mktn.config import fill, read_settings
from mktn.errors import UserError
from mktn.features.backbones import BackboneDescription, build, save
from mktn.features.c3d import C3D
from mktn.features.clip_classifier import BINS, ClipClassifier, actor_loss
from mktn.features.clip_labels import (
    PARTS,
    clip_labels,
    mean_average_precision,
    read_actions,
)
from mktn.features.i3d import I3D
from mktn.features.labelled_clips import LabelledVideos
from mktn.features.preprocessing import Preprocessing
from mktn.seeds import named_rng, named_seed

PretrainedName = Literal["c3d", "i3d"]


@dataclasses.dataclass(frozen=True)
class PretrainSettings:
    """What `--settings` of `mktn pretrain` holds.

    width: 64 is the published C3D, 1.0 the published I3D; class_weight: weight of the loss of
    the class logits; jitter: random crops reach so many pixels from the centre; mirrored: clips
    may be mirrored left-right, which must not change a label; memory_gb: most memory that the
    decoded videos of a split may take; log_every in steps.
    """

    width: float
    preprocessing: Preprocessing
    patch_grid: tuple[int, ...] = (2, 2)
    steps: int = 400
    batch: int = 24
    learning_rate: float = 4e-3
    warm_up: float = 0.1
    weight_decay: float = 1e-2
    clip_norm: float = 5.0
    dropout: float = 0.1
    class_weight: float = 0.1
    jitter: int = 4
    mirrored: bool = False
    memory_gb: float = 8.0
    log_every: int = 50
    threads: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 2 or self.log_every < 1:
            raise ValueError(
                f"steps {self.steps}, batch {self.batch}, log_every {self.log_every}, "
                "expected 1, 2 and 1 or more"
            )


def pretrain(
    actions: list[Path], videos: list[Path], name: PretrainedName, settings: PretrainSettings
) -> tuple[C3D | I3D, BackboneDescription]:
    """A backbone trained on the training splits, and its description with validation scores.

    The same weights for the same settings with one thread. Raises UserError on unusable input.
    """
    torch.set_num_threads(settings.threads)
    torch.manual_seed(named_seed(settings.seed, "pretrain", "weights"))
    recipe = settings.preprocessing
    if recipe.clip != 16:
        raise UserError("clips of another length", where="settings.preprocessing.clip",
                        found=recipe.clip, expected=16)  # fmt: skip
    if len(actions) != len(videos):
        raise UserError("a folder of videos for each table of actions is needed",
                        where="--videos", found=len(videos), expected=len(actions))  # fmt: skip
    table = read_actions(actions)
    labels = clip_labels(table)
    splits = {
        split: LabelledVideos(
            {
                video_id: videos[source] / f"{video_id}.mp4"
                for video_id, source in sorted(
                    table.filter(split=split).select("video_id", "source").unique().iter_rows()
                )
            },
            labels,
            recipe,
            BINS,
            settings.memory_gb,
        )
        for split in ("train", "val")
        if not table.filter(split=split).is_empty()
    }
    training = splits["train"]
    try:
        description = BackboneDescription(
            backbone=name, width=settings.width, classes=len(labels.names), labels=labels.names,
            preprocessing=recipe, patch_grid=settings.patch_grid,
        )  # fmt: skip
    except ValueError as error:
        raise UserError("value refused", where="settings", found=error) from error
    backbone = build(description, settings.dropout)
    assert isinstance(backbone, C3D | I3D)
    model = ClipClassifier(backbone, labels)
    clips = training.all_clips()
    model.initialise(np.mean([training.targets(*clip) for clip in clips], axis=0))
    log = _train(model, training, settings)
    scores = score(model, splits["val"], settings.batch) if "val" in splits else {}
    if scores:
        print("validation " + "  ".join(f"{key} {value:.3f}" for key, value in scores.items()))
    trained: dict[str, Any] = {
        "settings": dataclasses.asdict(settings), "videos": len(training.frames),
        "log": log, "validation": scores,
        "errors": {k: v for split in splits.values() for k, v in split.errors.items()},
    }  # fmt: skip
    return model.finish(), dataclasses.replace(description, training=trained)


def score(model: ClipClassifier, videos: LabelledVideos, batch: int) -> dict[str, float]:
    """Over all clips: the share of actors whose color, object, activity or none, and activity
    while they act, the last map names right; and the mean average precision of the class logits,
    named `map/...`."""
    model.eval()
    logits, targets = [], []
    right: dict[str, list[np.ndarray]] = {key: [] for key in (*PARTS, "activity while acting")}
    none = len(videos.labels.values[2])
    for clips in videos.in_order(batch):
        with torch.inference_mode():
            whole, (named, _) = model(clips)
        logits.append(whole.numpy())
        targets.append(clips.targets.numpy())
        color, thing, activity = (part.argmax(-1) for part in named)
        right["color"].append((color == clips.looks[:, :1]).flatten().numpy())
        right["object"].append((thing == clips.looks[:, 1:]).flatten().numpy())
        hit = activity == clips.activity
        right["activity"].append(hit.flatten().numpy())
        right["activity while acting"].append(hit[clips.activity < none].numpy())
    precision = mean_average_precision(
        np.concatenate(logits), np.concatenate(targets), videos.labels.group
    )
    shares = {key: float(np.concatenate(hits).mean()) for key, hits in right.items()}
    return {**shares, **{f"map/{name}": value for name, value in precision.items()}}


def _train(
    model: ClipClassifier, videos: LabelledVideos, settings: PretrainSettings
) -> list[dict[str, float]]:
    model.to(memory_format=torch.channels_last_3d)
    rng = named_rng(settings.seed, "pretrain", "clips")
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.learning_rate, settings.steps + 1,
        pct_start=settings.warm_up, div_factor=5,
    )  # fmt: skip
    model.train()
    log: list[dict[str, float]] = []
    recent: list[tuple[float, ...]] = []
    for step in tqdm(range(1, settings.steps + 1), desc="pretrain", disable=None):
        clips = videos.draw(rng, settings.batch, settings.jitter, settings.mirrored)
        logits, heads = model(clips)
        whole = functional.binary_cross_entropy_with_logits(
            logits, clips.targets, reduction="none"
        )
        losses = [whole.sum(1).mean(), *(actor_loss(named, clips) for named in heads)]
        loss = settings.class_weight * losses[0] + losses[1] + losses[2]
        if not torch.isfinite(loss):
            raise UserError(
                "the loss is not finite", where=f"step {step}", found=loss.item(),
                do="lower learning_rate",
            )  # fmt: skip
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        optimiser.step()
        schedule.step()
        recent.append(tuple(value.item() for value in losses))
        if step % settings.log_every == 0 or step == settings.steps:
            classes, last, middle = np.mean(recent, axis=0).tolist()
            log.append({"step": step, "classes": classes, "last": last, "middle": middle})
            print(
                f"step {step}/{settings.steps}  classes {classes:.3f}  actors {last:.3f} "
                f"{middle:.3f}",
                flush=True,
            )
            recent.clear()
    return log


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Inputs and outputs of `mktn pretrain`."""
    parser.add_argument(
        "--actions", type=Path, nargs="+", required=True, help="actions.parquet, times in s"
    )
    parser.add_argument(
        "--videos", type=Path, nargs="+", required=True, help="folder of VIDEO.mp4 of each table"
    )
    parser.add_argument("--backbone", choices=get_args(PretrainedName), required=True)
    parser.add_argument(
        "--weights", type=Path, required=True, help=".safetensors; .json beside it"
    )
    parser.add_argument("--settings", required=True, help="JSON: PretrainSettings")


def run(arguments: argparse.Namespace) -> None:
    """`mktn pretrain`."""
    settings = fill(PretrainSettings, read_settings(arguments.settings))
    began = time.perf_counter()
    backbone, description = pretrain(
        arguments.actions, arguments.videos, arguments.backbone, settings
    )
    save(backbone, description, arguments.weights)
    failed = len(description.training["errors"])
    print(
        f"{arguments.weights}: {description.classes} labels, {failed} videos left out, "
        f"{time.perf_counter() - began:.0f} s"
    )
