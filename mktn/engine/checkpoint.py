"""A trained run on disk: weights as safetensors, everything else as JSON; no pickle."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from torch import nn

from mktn.engine.criterion import LossConfig
from mktn.errors import UserError
from mktn.files import write_json, written_beside
from mktn.models import VARIANTS, ModelConfig, build

FORMAT = 1


def save(
    directory: str | Path,
    network: nn.Module,
    *,
    model: str,
    variant: str,
    config: ModelConfig,
    losses: LossConfig,
    record: dict[str, Any],
) -> None:
    """Write model.safetensors and config.json; `record` says what the run was trained on."""
    from safetensors.torch import save_file

    directory = Path(directory)
    state = {
        name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()
    }
    with written_beside(directory / "model.safetensors") as beside:
        save_file(state, beside)
    settings = {
        "format": FORMAT,
        "model": model,
        "variant": variant,
        "sizes": dataclasses.asdict(config),
        "variant_parts": dataclasses.asdict(VARIANTS[variant]),
        "losses": dataclasses.asdict(losses),
        **record,
    }
    write_json(settings, directory / "config.json")


def load(directory: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """The network, on the CPU, and the contents of config.json.

    Raises UserError where the folder holds no run, or a run of another format.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    directory = Path(directory)
    try:
        settings = json.loads((directory / "config.json").read_text(encoding="utf-8"))
        state = load_file(directory / "model.safetensors")
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError(
            "not a trained run", where=directory, found=error, do="train it again"
        ) from error
    found = settings.get("format") if isinstance(settings, dict) else None
    if found != FORMAT:
        raise UserError(
            "run written by another version",
            where=directory / "config.json",
            found=f"format {found!r}",
            expected=f"format {FORMAT}",
            do="train it again",
        )
    parts = dataclasses.asdict(VARIANTS[settings["variant"]])
    if settings["variant_parts"] != json.loads(json.dumps(parts)):
        raise UserError(
            "the variant meant something else when this run was trained",
            where=directory / "config.json",
            found=settings["variant_parts"],
            expected=parts,
            do="train it again",
        )
    network = build(settings["model"], settings["variant"], settings["sizes"])
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise UserError(
            "weights are not of this model", where=directory, found=error, do="train it again"
        ) from error
    return network, settings
