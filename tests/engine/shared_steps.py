"""Loss and gradients of batches that several processes share, for test_distributed.py.

`python -m tests.engine.shared_steps RANK FOLDER DATASET`, once for each of three processes, writes
what two and three processes find. They import torch once for all cases.
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, distributed

from mktn.engine.criterion import Criterion, LossConfig
from mktn.engine.distributed import Processes
from mktn.engine.fit import Training
from mktn.engine.grounding import grounding_loss
from mktn.engine.late import Step
from mktn.engine.objective import Objective
from mktn.engine.run_config import RunConfig, TrainConfig
from mktn.engine.train import model_config
from mktn.errors import UserError
from mktn.grouping.batch import PairBatch
from mktn.grouping.loader import LoaderConfig, PairData
from mktn.grouping.share import share
from mktn.models import SIZES_OF, VARIANTS, VARIANTS_OF, build
from mktn.models.variants import transfer_of
from mktn.seeds import named_seed
from tests.batches import SIZES, random_batch

NAMES = ("pairs.parquet", "groups.parquet", "t.zarr", "text.zarr", "relations.parquet")
UNEVEN = (3, 1, 2, 2, 1)
MORE_SIZES: dict[str, dict[str, Any]] = {
    "mktn": {},
    "ianet": {"windows": [2, 4, 9], "window_frames": 12},
    "tan2d": {"cells": 4, "counts": [4], "kernel": 3, "layers": 2, "text_layers": 1},
}


@dataclasses.dataclass(frozen=True)
class Case:
    """A batch by the queries of its videos, a variant, and changes of the losses and sizes."""

    name: str
    variant: str = "full"
    model: str = "mktn"
    queries: tuple[int, ...] = UNEVEN
    learnable: bool = False
    printed: bool = False
    virtual: bool = False  # features without patches
    blind: bool = False  # a batch without text, order and relations
    sizes: tuple[int, ...] = (3, 2)  # numbers of processes, falling


CASES = [
    Case("full"),
    *(Case(name, name, sizes=(2,)) for name in VARIANTS if name != "full"),
    Case("learnable", learnable=True),
    Case("learnable wo_opm", "wo_opm", learnable=True),
    Case("printed", printed=True, learnable=True),
    Case("no patches", virtual=True),
    Case("no text", blind=True),
    Case("even", queries=(2, 2, 2, 2, 2, 2)),
    Case("a video a process", queries=(4, 5)),
    Case("a small and a large video", queries=(1, 8)),
    Case("a large and a small video", queries=(8, 1)),
    Case("one video", queries=(7,), learnable=True),
    Case("one video wo_aa", "wo_aa", queries=(7,)),
    Case("two queries", queries=(2,)),
    Case("one query", queries=(1,), learnable=True),
    Case("one query raw", "wo_cap", queries=(1,)),
    Case("IA-Net", model="ianet", sizes=(2,)),
    *(Case(f"2D-TAN {name}", name, "tan2d", sizes=(2,)) for name in VARIANTS_OF["tan2d"]),
    Case("one query of 2D-TAN", "plus_mktn", "tan2d", queries=(1,), sizes=(2,)),
]


def whole(case: Case) -> PairBatch:
    """The batch in float64; a sentence comes twice, and two queries see another video's."""
    batch = random_batch(case.queries, seed=3)
    text_index, related = batch.text_index.clone(), batch.related.clone()
    text_index[-1] = text_index[0]
    related[0, -1] = related[-1, 0] = True
    changes = {
        name: getattr(batch, name).double() for name in ("frames", "patches", "words", "sentences")
    }
    if case.virtual:
        changes["patches"] = None
    batch = dataclasses.replace(batch, text_index=text_index, related=related, **changes)
    return batch.without("text") if case.blind else batch


def objective(case: Case) -> Objective:
    """The network and the criterion in float64, the same in each process."""
    sizes = dataclasses.replace(SIZES, patch_dimension=0) if case.virtual else SIZES
    torch.manual_seed(named_seed(0, "shared steps", case.variant))
    given = {**vars(sizes), **MORE_SIZES[case.model]}
    known = {field.name for field in dataclasses.fields(SIZES_OF[case.model])}
    network = build(case.model, case.variant, {k: v for k, v in given.items() if k in known})
    network = network.double()
    losses = LossConfig(
        learnable=case.learnable, printed_rince=case.printed, phi_initial=0.4, q=0.5
    )
    grounding = grounding_loss(case.model, {})
    return Objective(network, Criterion(losses, transfer_of(case.model, case.variant), grounding))


def steps(case: Case, processes: Processes) -> dict[str, Tensor]:
    """Terms and gradients of two steps, the second on other weights, by name."""
    made = objective(case)
    parallel, batch = processes.parallel(made), whole(case)
    own = batch if processes.size == 1 else share(batch, *processes.part)
    found = {}
    for step in range(2):
        made.zero_grad(set_to_none=True)
        terms = parallel(own, 0.7)
        (terms["total"] * processes.size).backward()
        for name, value in terms.items():
            found[f"{step} {name}"] = processes.total(value)
        with torch.no_grad():
            for name, parameter in made.named_parameters():
                found[f"{step} {name}"] = parameter.grad.clone()
                parameter -= 0.05 * parameter.grad
    return found


def stopped_and_resumed(data: PairData, processes: Processes) -> dict[str, Tensor]:
    """Weights of a training with dropout, and of one that stops amid an epoch and goes on."""
    config = RunConfig("synthetic", "charades", train=TrainConfig(epochs=2), processes=2)

    def training() -> Training:
        torch.manual_seed(0)
        network = build("mktn", "full", model_config(data, {"width": 16, "heads": 2}))
        criterion = Criterion(config.losses, VARIANTS["full"])
        return Training(network, criterion, data, config, processes=processes)

    states = []

    def keep() -> None:
        at = training_now.progress
        if at.position == 1 and at.epoch == 1:
            tensors, values = training_now.state()
            copies = {name: tensor.clone() for name, tensor in tensors.items()}
            states.append((copies, json.loads(json.dumps(values))))

    training_now = training()
    training_now.fit(keep)
    again = training()
    again.restore(*states[0])
    again.fit()
    trained = {"whole": training_now.network, "resumed": again.network}
    return {
        f"{k} {n}": p for k, network in trained.items() for n, p in network.state_dict().items()
    }


def not_finite(data: PairData, processes: Processes, run: Path) -> str:
    """The line of a training in which the second process reads features that are no numbers."""
    config = RunConfig("synthetic", "charades", train=TrainConfig(epochs=1), processes=2)
    network = build("mktn", "full", model_config(data, {"width": 16, "heads": 2}))
    criterion = Criterion(config.losses, VARIANTS["full"])
    training = Training(network, criterion, data, config, run, processes)
    read = data._read
    if processes.rank == 1:
        data._read = lambda videos: (read(videos)[0] * float("nan"), read(videos)[1])
    try:
        training.fit()
    except UserError as error:
        return str(error)
    return "it went on"


class Event:
    """The first process's device is fast, the other's slow."""

    def __init__(self, done: bool) -> None:
        self.query = lambda: done

    def synchronize(self) -> None:
        """It is done in the end."""


def heard_late(data: PairData, processes: Processes) -> str:
    """The line of a training that hears of the third step's loss after it, and where it stood.

    The processes exchange a flag of each step meanwhile, as they do for checkpoints.
    """
    config = RunConfig("synthetic", "charades", train=TrainConfig(epochs=4), processes=2)
    torch.manual_seed(0)
    network = build("mktn", "full", model_config(data, {"width": 16, "heads": 2}))
    criterion = Criterion(config.losses, VARIANTS["full"])
    training = Training(network, criterion, data, config, None, processes, late=True)
    late = training.late
    assert late is not None
    guard = late.guard

    def with_event(step: Step) -> None:
        guard(step)
        of_step, flag, _ = late._asked.pop()
        late._asked.append((of_step, flag, Event(processes.first)))  # type: ignore[arg-type]

    late.guard = with_event  # type: ignore[method-assign]

    def between() -> None:
        processes.rows(torch.zeros(3, dtype=torch.int32))
        if training.progress.step == 2:
            criterion.config.__dict__["w_csm"] = float("nan")

    try:
        training.fit(between)
    except UserError as error:
        return f"after {training.progress.step} steps: {error}"
    return "it went on"


def main(rank: int, folder: Path, dataset: Path) -> None:
    torch.set_num_threads(1)
    for size in (3, 2):
        if rank >= size:
            continue
        store = f"file://{folder}/store{size}"
        distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=size)
        for case in (case for case in CASES if size in case.sizes):
            found = steps(case, Processes(torch.device("cpu"), rank, size))
            save_file(found, folder / f"{case.name} {size} {rank}.safetensors")
        if size == 2:
            data = PairData(*(dataset / name for name in NAMES), LoaderConfig(queries=8))
            found = stopped_and_resumed(data, Processes(torch.device("cpu"), rank, size))
            save_file(found, folder / f"resumed {rank}.safetensors")
            line = not_finite(data, Processes(torch.device("cpu"), rank, size), folder)
            (folder / f"not finite {rank}.txt").write_text(line)
            data = PairData(*(dataset / name for name in NAMES), LoaderConfig(queries=4))
            line = heard_late(data, Processes(torch.device("cpu"), rank, size))
            (folder / f"late {rank}.txt").write_text(line)
        distributed.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), *map(Path, sys.argv[2:]))
