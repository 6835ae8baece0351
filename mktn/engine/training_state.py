"""All that the next steps of a training depend on, taken between two of them and put back."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from mktn.engine.fit import Training


@dataclasses.dataclass
class Progress:
    """Where a training stands; with the tensors of `Training.state` it is all there is."""

    epoch: int = 0
    position: int = 0  # batches of the epoch that are done
    step: int = 0
    best: float = -1.0  # validation mIoU
    best_epoch: int = 0
    elapsed_s: float = 0.0  # of the epoch
    terms: list[str] = dataclasses.field(default_factory=list)
    norms: dict[str, float] = dataclasses.field(default_factory=dict)  # of the epoch
    meter: dict[str, Any] | None = None  # what EpochMeter has of the epoch
    log: list[dict[str, Any]] = dataclasses.field(default_factory=list)  # a row an epoch


def taken(training: "Training") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by name, and the rest as JSON has it. All processes take it together."""
    processes = training.processes
    training.progress.meter = training.meter.state()
    optimizer = training.optimizer.state_dict()
    states = _rng_states(training.device).items()
    tensors = {f"rng/{name}": processes.rows(state) for name, state in states}
    for part, values in (
        ("network", training.network.state_dict()),
        ("best", training.best_state),
        ("criterion", training.criterion.state_dict()),
        *((f"optimizer/{i}", moments) for i, moments in optimizer["state"].items()),
    ):
        tensors |= {f"{part}/{name}": value for name, value in values.items()}
    if training.rows:
        tensors["rows"] = torch.stack(training.rows)
    return tensors, {
        "progress": dataclasses.asdict(training.progress),
        "optimizer": optimizer["param_groups"],
        "scheduler": training.scheduler.state_dict(),
    }


def restore(
    training: "Training", tensors: Mapping[str, Tensor], values: Mapping[str, Any]
) -> None:
    """What `taken` gave goes back into a training of the same configuration."""
    device = training.device
    parts: dict[str, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        part, _, rest = name.partition("/")
        parts.setdefault(part, {})[rest] = value
    training.network.load_state_dict(parts["network"])
    training.best_state = {name: value.to(device) for name, value in parts["best"].items()}
    training.criterion.load_state_dict(parts.get("criterion", {}))
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in parts.get("optimizer", {}).items():
        index, _, key = name.partition("/")
        moments.setdefault(int(index), {})[key] = value
    groups = [{**group, "betas": tuple(group["betas"])} for group in values["optimizer"]]
    training.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    training.scheduler.load_state_dict(dict(values["scheduler"]))
    training.progress = Progress(**values["progress"])
    if training.progress.meter:
        training.meter.restore(training.progress.meter)
    training.rows = [row.to(device) for row in tensors["rows"]] if "rows" in tensors else []
    # A copy: torch reads a state from where its storage begins, also of a row of a tensor.
    own = {name: states[training.processes.rank].clone() for name, states in parts["rng"].items()}
    torch.set_rng_state(own["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(own["cuda"], device)


def _rng_states(device: torch.device) -> dict[str, Tensor]:
    # All other draws are from named seeds, which have no state.
    states = {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {}
    return {"cpu": torch.get_rng_state(), **states}
