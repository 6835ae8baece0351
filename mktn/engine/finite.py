"""A loss or a gradient that is not finite stops the training before it updates anything."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from mktn.engine.run_config import CHECKPOINT, NOT_FINITE
from mktn.errors import UserError
from mktn.files import write_json

if TYPE_CHECKING:
    from mktn.engine.distributed import Processes
    from mktn.grouping.batch import PairBatch

SHOWN = 4  # names in the line; all of them are in the file


def check_finite(
    value: Tensor,
    what: str,
    terms: Mapping[str, Tensor],
    batch: "PairBatch",
    place: tuple[int, int, Path | None],
    parameters: Mapping[str, nn.Parameter] | None = None,
    processes: "Processes | None" = None,
) -> None:
    """Raise UserError where `value`, the loss or the norm of the gradient, is not finite.

    `place` is the epoch, the step and the run's folder. The line has the loss terms, the batch's
    pairs, what of its input is not finite, and whose gradients are not; where there is a folder,
    not_finite.json there has all of the names. The checkpoint is left as it is: the updates
    since may be what led here. Where several `processes` share the batch, each is told the same.
    """
    if torch.isfinite(value):
        return
    epoch, step, run = place
    values = {name: f"{term.item():g}" for name, term in terms.items()}
    inputs, pair_ids, writes = _inputs(batch), batch.whole.pair_ids, True
    if processes is not None:
        inputs, writes = processes.names(inputs), processes.first
    broken = [
        name
        for name, parameter in (parameters or {}).items()
        if parameter.grad is not None and not torch.isfinite(parameter.grad).all()
    ]
    names = {"pairs": pair_ids, "inputs": inputs, "gradients": broken}
    account = None if run is None else run / NOT_FINITE
    if account is not None:
        # A full disk must not hide the reason.
        with contextlib.suppress(OSError, UserError):
            if writes:
                write_json({"epoch": epoch, "step": step, "terms": values, **names}, account)
        if processes is not None:
            processes.wait()
        account = account if account.is_file() else None
    shown = SHOWN if account else len(pair_ids)
    found = ", ".join(f"{name} {term}" for name, term in values.items())
    for label, of in (("not finite: gradients of", broken), ("not finite:", inputs)):
        if of:
            found += f"; {label} {_first(of, SHOWN)}"
    found += f"; pairs {_first(pair_ids, shown)}"
    found += f", all in {account}" if account and len(pair_ids) > shown else ""
    do = (
        "mend these features or vectors"
        if inputs
        else "lower train.learning_rate or the weight of the term"
    )
    if run is not None and (run / CHECKPOINT).is_file():
        do += f" and delete {run / CHECKPOINT}, which is kept as it was before"
    raise UserError(
        f"the {what} is not finite; nothing was updated",
        where=f"epoch {epoch}, step {step}",
        found=found,
        do=do,
    )


def _inputs(batch: "PairBatch") -> list[str]:
    """Which videos and queries of the batch have a number that is none."""
    videos = torch.isfinite(batch.frames).flatten(1).all(dim=1)
    if batch.patches is not None:
        videos &= torch.isfinite(batch.patches).flatten(1).all(dim=1)
    queries = torch.isfinite(batch.words).flatten(1).all(dim=1)
    queries &= torch.isfinite(batch.sentences).all(dim=1)
    return [
        *(f"features of {batch.video_ids[i]}" for i in (~videos).nonzero().flatten().tolist()),
        *(f"text of {batch.pair_ids[i]}" for i in (~queries).nonzero().flatten().tolist()),
    ]


def _first(names: list[str], shown: int) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
