"""What a training run is told: `--settings` of `mktn train`."""

import dataclasses
from typing import TYPE_CHECKING, Any, Literal

from mktn.config import fill
from mktn.engine.criterion import LossConfig
from mktn.errors import UserError
from mktn.models import SIZES_OF

if TYPE_CHECKING:
    from mktn.grouping.loader import PairData

# Of an unfinished run, in its folder.
CHECKPOINT = "resume.safetensors"
NOT_FINITE = "not_finite.json"
DATA_SIZES = ("frames", "dimension", "patch_dimension", "word_dimension", "sentence_dimension")


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Optimisation; the paper gives none of it."""

    epochs: int = 8
    learning_rate: float = 6e-4
    warm_up: float = 0.1  # share of the steps
    decay: Literal["one_cycle", "constant"] = "one_cycle"  # of the learning rate
    weight_decay: float = 1e-4
    clip: float = 1.0  # gradient norm
    patience: int = 8  # validations without improvement before training stops
    validate_every: int = 1  # epochs
    gradients_every: int = 5  # epochs between logs of each term's gradient norm; 0: never

    def __post_init__(self) -> None:
        if min(self.epochs, self.patience, self.validate_every) < 1:
            raise ValueError("epochs, patience and validate_every must be 1 or more")
        if self.learning_rate <= 0 or self.clip <= 0 or not 0 <= self.warm_up < 1:
            raise ValueError("learning_rate > 0, clip > 0 and 0 <= warm_up < 1 must hold")


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """The whole of `--settings` of `mktn train`."""

    source: str
    dataset: str
    model: str = "mktn"
    variant: str = "full"
    partition: str = "standard"  # mktn.datasets.PARTITIONS
    seed: int = 0
    device: str = "auto"
    threads: int = 1
    processes: int = 1  # that share each batch
    sizes: dict[str, Any] = dataclasses.field(default_factory=dict)
    losses: LossConfig = dataclasses.field(default_factory=LossConfig)
    grounding: dict[str, Any] = dataclasses.field(default_factory=dict)  # of a model beside mktn
    loader: dict[str, Any] = dataclasses.field(default_factory=dict)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ValueError(f"threads {self.threads} is below 1")
        if self.processes < 1:
            raise ValueError(f"processes {self.processes} is below 1")


def model_config(data: "PairData", sizes: dict[str, Any], model: str = "mktn") -> Any:
    """The sizes of the data and the hyperparameters together, as the model's dataclass."""
    given = sorted(set(DATA_SIZES) & set(sizes))
    if given:
        raise UserError(
            "key follows from the data", where=f"settings.sizes.{given[0]}", do="leave it out"
        )
    return fill(
        SIZES_OF[model],
        {**data.sizes(), **sizes},
        "settings.sizes",
    )
