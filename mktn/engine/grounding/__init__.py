"""The losses of each model's own answer, beside those of knowledge transfer, by the model's name.

Each is a frozen dataclass: its settings, and a call that gives the terms.
"""

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Protocol

from torch import Tensor

from mktn.config import fill
from mktn.errors import UserError
from mktn.grouping.batch import PairBatch


class GroundingLoss(Protocol):
    """The terms of one model's answer."""

    shares: ClassVar[bool]  # whether several processes may share a batch

    def __call__(
        self, outputs: dict[str, Tensor], batch: PairBatch, own: slice, of: int | None
    ) -> dict[str, tuple[float, Tensor]]:
        """Each term's weight and value.

        `own`: this process's queries of the batch. `of`: the queries of the whole batch, which
        sums are divided by; None: they are means of this one.
        """


# Of models beside mktn, whose weights stand in LossConfig.
CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "ianet": "mktn.engine.grounding.ianet.WindowLoss",
        "tan2d": "mktn.engine.grounding.tan2d.MapLoss",
        "mmn": "mktn.engine.grounding.mmn.MutualLoss",
        "lcnet": "mktn.engine.grounding.lcnet.CorrespondenceLoss",
    }
)


def grounding_loss(model: str, settings: Mapping[str, Any]) -> GroundingLoss | None:
    """The loss of a model's answer, None for mktn's.

    Raises UserError where a setting is unknown or refused.
    """
    if model not in CLASSES:
        if settings:
            raise UserError(
                "this model's answer has no settings of its own",
                where="settings.grounding",
                found=", ".join(map(str, settings)),
                do="set the weights in settings.losses",
            )
        return None
    module, _, name = CLASSES[model].rpartition(".")
    made: GroundingLoss = fill(
        getattr(importlib.import_module(module), name), settings, "settings.grounding"
    )
    return made
