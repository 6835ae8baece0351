"""The validation that chooses a training's epoch."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from mktn.engine.distributed import Processes
from mktn.engine.metrics import temporal_iou
from mktn.engine.predict import predict
from mktn.errors import UserError

if TYPE_CHECKING:
    from mktn.grouping.loader import PairData


def validate(
    network: nn.Module,
    data: "PairData",
    processes: Processes,
    between: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Validation mIoU and R@1 at IoU .5 of the best moment, in per cent; they choose the epoch.

    Each process answers batches of its own; the result is that of all, the same in each.
    `between` is called after each batch, where there is one process: several cannot stop there
    together, as they have different numbers of batches.
    """
    device, alone = processes.device, processes.size == 1
    found = predict(
        network,
        data,
        "val",
        device=device,
        n=1,
        nms_thresholds=[1.0],
        part=processes.part,
        between=between if alone else lambda: None,
    )[1.0]
    target = dict(zip(data.pair_ids, data.span_s, strict=True))
    spans_s = np.array([target[p] for p in found.pair_ids]).reshape(-1, 2)
    iou = temporal_iou(found.spans_s[:, 0], spans_s)
    sums = torch.tensor([iou.sum(), (iou > 0.5).sum(), len(iou)], dtype=torch.float64)
    all_iou, above, count = processes.total(sums.to(device)).tolist()
    if not count:
        raise UserError("there is no usable validation pair", where="groups.parquet")
    mean = float(iou.mean()) if alone else all_iou / count
    return {"val_mIoU": 100 * mean, "val_R1_0.5": 100 * above / count}
