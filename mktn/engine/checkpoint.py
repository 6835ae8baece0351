"""A trained run on disk: weights as safetensors, everything else as JSON; no pickle.

The weights name their model, variant and sizes themselves: some variants have the same parameters
(`full` and `wo_cosine`, say), and the number of heads is in no parameter's shape.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mktn.checksums import (
    KEY,
    UNSEALED,
    check,
    note_unverified,
    read_sealed_json,
    seal,
    write_sealed_json,
)
from mktn.config import fill
from mktn.engine.criterion import LossConfig
from mktn.errors import UserError
from mktn.files import written_beside
from mktn.models import SIZES_OF, VARIANTS_OF, build

FORMAT = 1
AGAIN = "train it again"
KEYS: dict[str, type] = {  # of config.json, as far as a run is read by them
    "model": str,
    "variant": str,
    "sizes": dict,
    "variant_parts": dict,
    "losses": dict,
    "source": str,
    "dataset": str,
    "seed": int,
    "features": dict,
    "text": dict,
    "patches": str,
}


def save(
    directory: str | Path,
    network: nn.Module,
    *,
    model: str,
    variant: str,
    config: Any,
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
        # One entry: safetensors writes several in an order that differs from run to run.
        identity = json.dumps({KEY: UNSEALED, **_identity(model, variant, config)})
        save_file(state, beside, metadata={"run": identity})
        seal(beside)
    settings = {
        "format": FORMAT,
        "model": model,
        "variant": variant,
        "sizes": dataclasses.asdict(config),
        "variant_parts": dataclasses.asdict(VARIANTS_OF[model][variant]),
        "losses": dataclasses.asdict(losses),
        **record,
    }
    write_sealed_json(settings, directory / "config.json")


def load(directory: str | Path) -> tuple[nn.Module, dict[str, Any]]:
    """The network, on the CPU, and the contents of config.json.

    Raises UserError where a file is damaged, the folder holds no run or a run of another format,
    where config.json lacks a key or has a value that cannot be, and where the weights are not
    those of the model, variant and sizes that it names.
    """
    from safetensors import SafetensorError, safe_open

    directory = Path(directory)
    where, weights = directory / "config.json", directory / "model.safetensors"
    try:
        settings = read_sealed_json(where)
        known = check(weights.read_bytes(), weights)
        with safe_open(weights, "pt") as file:
            written = json.loads((file.metadata() or {}).get("run", "{}"))
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, ValueError, SafetensorError) as error:
        raise UserError("not a trained run", where=directory, found=error, do=AGAIN) from error
    if not known:
        note_unverified(weights)
    _check_keys(settings, where)
    model, variant = settings["model"], settings["variant"]
    _check_named(written, {"model": model}, where)
    _check_variant(model, variant, where)
    config = _sizes(settings["sizes"], model, where)
    _check_named(written, _identity(model, variant, config), where)
    _check_parts(settings["variant_parts"], model, variant, where)
    _check_parameters(state, model, variant, config, directory)
    network = build(model, variant, config)
    network.load_state_dict(state)
    return network, settings


def _check_named(written: Mapping[str, Any], here: Mapping[str, Any], where: Path) -> None:
    """Raise UserError where config.json says otherwise than the weights of what they are."""
    # Weights written before they named their variant have no such names.
    for name, named in here.items():
        if written.get(name, named) != named:
            raise UserError(
                f"config.json names another {name} than the weights",
                where=where,
                found=named,
                expected=written[name],
                do="restore config.json, or train it again",
            )


def _identity(model: str, variant: str, config: Any) -> dict[str, Any]:
    """What the weights say of themselves."""
    # As JSON gives them back: a tuple is a list there.
    sizes = {
        f"sizes.{name}": list(value) if isinstance(value, tuple) else value
        for name, value in dataclasses.asdict(config).items()
    }
    return {"model": model, "variant": variant, **sizes}


def _check_keys(settings: Any, where: Path) -> None:
    """Raise UserError unless this is a config.json of this format with all that is read."""
    found = settings.get("format") if isinstance(settings, dict) else None
    if found != FORMAT:
        raise UserError(
            "run written by another version",
            where=where,
            found=f"format {found!r}",
            expected=f"format {FORMAT}",
            do=AGAIN,
        )
    for key, kind in KEYS.items():
        if key not in settings:
            raise UserError("missing key", where=where, expected=repr(key), do=AGAIN)
        value = settings[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise UserError(
                "value of another type",
                where=f"{where}, {key}",
                found=repr(value),
                expected=kind.__name__,
                do=AGAIN,
            )


def _check_variant(model: str, variant: str, where: Path) -> None:
    """Raise UserError unless there is such a model, and such a variant of it."""
    for key, found, known in (
        ("model", model, VARIANTS_OF),
        ("variant", variant, VARIANTS_OF.get(model, {})),
    ):
        if found not in known:
            raise UserError(
                f"unknown {key}",
                where=f"{where}, {key}",
                found=repr(found),
                expected=f"one of {', '.join(known)}",
            )


def _sizes(sizes: Mapping[str, Any], model: str, where: Path) -> Any:
    # All of them: a default in place of a lost one would be another model.
    for field in dataclasses.fields(SIZES_OF[model]):
        if field.name not in sizes:
            raise UserError("missing key", where=f"{where}, sizes", expected=repr(field.name))
    return fill(SIZES_OF[model], sizes, f"{where}, sizes")


def _check_parts(parts: Mapping[str, Any], model: str, variant: str, where: Path) -> None:
    """Raise UserError where the variant was trained with other parts than it has."""
    expected = {name: _parts(model, name) for name in VARIANTS_OF[model]}
    if parts == expected[variant]:
        return
    own = next((name for name, known in expected.items() if parts == known), None)
    if own is not None:
        raise UserError(
            "the run is of another variant than config.json names",
            where=f"{where}, variant",
            found=repr(variant),
            expected=repr(own),
            do="restore config.json, or train it again",
        )
    names = [*expected[variant], *(name for name in parts if name not in expected[variant])]
    changed = next(
        name
        for name in names
        if name not in parts
        or name not in expected[variant]
        or parts[name] != expected[variant][name]
    )
    raise UserError(
        "the variant meant something else when this run was trained",
        where=f"{where}, variant_parts.{changed}",
        found=repr(parts.get(changed)),
        expected=repr(expected[variant].get(changed)),
        do=AGAIN,
    )


def _parts(model: str, variant: str) -> dict[str, Any]:
    """The variant as config.json has it: tuples are lists."""
    parts: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(VARIANTS_OF[model][variant])))
    return parts


def _check_parameters(
    state: Mapping[str, Tensor], model: str, variant: str, config: Any, directory: Path
) -> None:
    """Raise UserError where names or shapes of the weights are not those of the model."""
    try:
        # Without memory: sizes that are not the weights' own may be of any magnitude.
        with torch.device("meta"):
            expected = build(model, variant, config).state_dict()
    except (RuntimeError, OverflowError, TypeError) as error:
        raise UserError(
            "no model has these sizes",
            where=f"{directory / 'config.json'}, sizes",
            found=str(error).splitlines()[0],
        ) from error
    shared = [name for name in expected if name in state]
    differing = {
        "missing": [name for name in expected if name not in state],
        "unexpected": sorted(name for name in state if name not in expected),
        "of another shape": [n for n in shared if state[n].shape != expected[n].shape],
    }
    found = [
        f"{len(names)} {what} (first: {names[0]})" for what, names in differing.items() if names
    ]
    if found:
        raise UserError(
            f"weights are not of the variant {variant}",
            where=directory / "model.safetensors",
            found=f"parameters {' and '.join(found)}",
            expected=f"the {len(expected)} parameters of config.json's variant and sizes",
            do=AGAIN,
        )
