"""Grounding models, built by name; they load with torch and NumPy alone."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mktn.config import fill
from mktn.errors import UserError
from mktn.models.config import ModelConfig
from mktn.models.variants import VARIANTS

if TYPE_CHECKING:
    from torch import nn

__all__ = ["VARIANTS", "ModelConfig", "build"]


def build(model: str, variant: str, config: ModelConfig | Mapping[str, Any]) -> "nn.Module":
    """The model `model` (mktn) in the variant `variant`, with the sizes of `config`.

    Raises UserError on an unknown model, variant or key.
    """
    # Late, so that the table of variants can be read without loading torch.
    from mktn.models.mktn import MKTN

    if not isinstance(config, ModelConfig):
        config = fill(ModelConfig, config, "model")
    if model != "mktn":
        raise UserError("unknown model", found=repr(model), expected="mktn")
    if variant not in VARIANTS:
        raise UserError(
            "unknown variant", found=repr(variant), expected=f"one of {', '.join(VARIANTS)}"
        )
    return MKTN(config, VARIANTS[variant])
