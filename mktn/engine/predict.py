"""Answer every query of a split, all queries of a video together.

N pairs of the split, n moments a pair.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from mktn.cards import take_cards
from mktn.engine.decode import moments_of
from mktn.errors import UserError

if TYPE_CHECKING:
    from mktn.grouping.loader import PairData
    from mktn.grouping.neighbours import OrderMode


@dataclasses.dataclass
class Predictions:
    """Ranked moments: pair_ids (N), spans_s (N,n,2) seconds, NaN where absent, scores (N,n)."""

    pair_ids: list[str]
    spans_s: np.ndarray
    scores: np.ndarray


def choose_device(name: str) -> torch.device:
    """`auto` is the GPU where there is one, else the CPU; UserError where it cannot be used."""
    if name != "cpu":
        take_cards()
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda") or (name == "cuda" and not torch.cuda.is_available()):
        raise UserError(
            "device cannot be used", found=repr(name), expected="auto, cpu, or cuda with a GPU"
        )
    return torch.device(name)


@contextlib.contextmanager
def autocast(device: torch.device) -> Iterator[None]:
    """bfloat16 autocast on a GPU, nothing on the CPU."""
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
        yield


def predict(
    model: nn.Module,
    data: "PairData",
    split: str,
    *,
    device: torch.device,
    n: int,
    nms_thresholds: Sequence[float],
    order: "OrderMode" = "annotation",
    seed: int = 0,
    alone: bool = False,
    part: tuple[int, int] = (0, 1),
    between: Callable[[], None] = lambda: None,
) -> dict[float, Predictions]:
    """The n best moments of each usable pair of a split, for each NMS threshold.

    `alone` answers one query at a time, so that no other query of its video is seen. The model is
    left in evaluation mode. `part`: a process and of how many; each answers batches of its own.
    `between` is called after each batch.
    """
    model.eval()
    pair_ids: list[str] = []
    parts: dict[float, list[tuple[np.ndarray, np.ndarray]]] = {t: [] for t in nms_thresholds}
    # In float32 on every device: bfloat16 moves the best moment of some queries by a cell.
    with torch.inference_mode():
        batches = data.batches(split, order=order, seed=seed, alone=alone, part=part)
        with contextlib.closing(data.ahead(batches)) as read:
            for batch in read:
                batch = batch.to(device)
                outputs = model(batch, matching=False)
                if not _answered(outputs):
                    raise UserError(
                        "the model's answer is not a number",
                        where=f"a query among {batch.pair_ids[0]} ... {batch.pair_ids[-1]}",
                        do="look for a feature that is not finite in these videos",
                    )
                pair_ids += batch.pair_ids
                for threshold, answers in parts.items():
                    spans, scores = moments_of(outputs, batch, n, threshold)
                    answers.append((spans.cpu().numpy(), scores.cpu().numpy()))
                between()
    return {
        threshold: Predictions(
            pair_ids,
            np.concatenate([spans for spans, _ in answers] or [np.empty((0, n, 2))]),
            np.concatenate([scores for _, scores in answers] or [np.empty((0, n))]),
        )
        for threshold, answers in parts.items()
    }


def _answered(outputs: dict[str, Tensor]) -> bool:
    """Whether moments are made of numbers; a masked frame's may be infinite."""
    finite = [outputs[name] for name in ("offsets", "moments", "confidence") if name in outputs]
    logits = [outputs[name] for name in ("start_logits", "end_logits") if name in outputs]
    return all(bool(torch.isfinite(value).all()) for value in finite) and not any(
        bool(value.isnan().any()) for value in logits
    )
