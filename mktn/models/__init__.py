"""Grounding models, built by name; they load with torch and NumPy alone."""

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mktn.config import fill
from mktn.errors import UserError
from mktn.models.config import SIZES_OF, ModelConfig
from mktn.models.variants import VARIANTS, VARIANTS_OF

if TYPE_CHECKING:
    from torch import nn

__all__ = ["SIZES_OF", "VARIANTS", "VARIANTS_OF", "ModelConfig", "build", "check_variant"]

# The class of each model, or a function: (config, variant) -> module. By name, so that the tables
# of variants and sizes can be read without loading torch.
CLASSES: Mapping[str, str] = MappingProxyType(
    {
        "mktn": "mktn.models.mktn.MKTN",
        "ianet": "mktn.models.ianet.IANet",
        "tan2d": "mktn.models.tan2d.tan2d",
        "mmn": "mktn.models.mmn.mmn",
        "lcnet": "mktn.models.lcnet.lcnet",
    }
)


def check_variant(model: str, variant: str) -> None:
    """Raise UserError where there is no such model, or no such variant of it."""
    if model not in CLASSES:
        raise UserError(
            "unknown model", found=repr(model), expected=f"one of {', '.join(CLASSES)}"
        )
    known = VARIANTS_OF[model]
    if variant not in known:
        raise UserError(
            "unknown variant", found=repr(variant), expected=f"one of {', '.join(known)}"
        )


def build(model: str, variant: str, config: Any) -> "nn.Module":
    """The model `model` in the variant `variant`, with the sizes of `config`.

    `config` is the model's dataclass of mktn.models.config.SIZES_OF, or a mapping to fill it from.
    Raises UserError on an unknown model, variant or key.
    """
    check_variant(model, variant)
    if isinstance(config, Mapping):
        config = fill(SIZES_OF[model], config, "model")
    module, _, name = CLASSES[model].rpartition(".")
    built = getattr(importlib.import_module(module), name)
    found: nn.Module = built(config, VARIANTS_OF[model][variant])
    return found
