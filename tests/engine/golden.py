"""Each loss of 20 training steps of `full`, for test_golden.py.

`python -m tests.engine.golden` writes golden_losses.json anew. Do so only after a change that was
meant to move the losses, with the other tests passing, and look at the difference.
"""

import dataclasses
from pathlib import Path
from typing import Any

import torch

from mktn.engine.criterion import Criterion, LossConfig
from mktn.files import write_json
from mktn.grouping.batch import PairBatch
from mktn.models import VARIANTS, ModelConfig, build
from mktn.seeds import named_seed
from tests.batches import random_batch

FILE = Path(__file__).with_name("golden_losses.json")
COMMAND = "python -m tests.engine.golden"

# Every field is given: a new default anywhere must not move these losses.
SETTINGS: dict[str, Any] = {
    "variant": "full",
    "seed": 0,
    "steps": 20,
    "batches": 5,  # they come round in turn
    "learning_rate": 1e-3,
    "weight_decay": 1e-2,
    "sizes": {
        "frames": 12,
        "dimension": 10,
        "patch_dimension": 7,
        "word_dimension": 9,
        "sentence_dimension": 11,
        "width": 16,
        "heads": 2,
        "dropout": 0.0,
        "feature_dropout": 0.0,
        "objects": 3,
        "phrases": 2,
        "activities": 2,
        "virtual_patches": 4,
    },
    "losses": {
        "w_span": 1.0,
        "w_float": 0.5,
        "w_csm": 0.3,
        "w_proto": 0.3,
        "w_cl": 1.0,
        "phi_initial": 0.4,
        "phi_final": 0.7,
        "schedule": "cosine",
        "temperature": 0.1,
        "q": 0.02,
        "lam": 0.04,
        "learnable": False,
        "printed_rince": False,
    },
}


def golden_losses() -> list[dict[str, float]]:
    """The value of each term, of their sum and of negative_share, one dict a step."""
    seed = SETTINGS["seed"]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(named_seed(seed, "golden losses"))
            network = build("mktn", SETTINGS["variant"], ModelConfig(**SETTINGS["sizes"]))
            # In float64, so that another machine's rounding does not grow over the steps.
            return _train(network.double(), [batch(seed + i) for i in range(SETTINGS["batches"])])
    finally:
        torch.set_num_threads(threads)


def _train(network: torch.nn.Module, batches: list[PairBatch]) -> list[dict[str, float]]:
    criterion = Criterion(LossConfig(**SETTINGS["losses"]), VARIANTS[SETTINGS["variant"]])
    parameters = [*network.parameters(), *criterion.parameters()]
    optimizer = torch.optim.AdamW(
        parameters, lr=SETTINGS["learning_rate"], weight_decay=SETTINGS["weight_decay"]
    )
    network.train()
    steps = []
    for step in range(SETTINGS["steps"]):
        given = batches[step % len(batches)]
        terms = criterion(network(given), given, step / (SETTINGS["steps"] - 1))
        optimizer.zero_grad(set_to_none=True)
        terms["total"].backward()
        optimizer.step()
        steps.append({name: value.item() for name, value in terms.items()})
    return steps


def batch(seed: int) -> PairBatch:
    """A random batch in float64 with a repeated sentence and two related queries."""
    made = random_batch((3, 1, 2, 2), seed)
    text_index = made.text_index.clone()
    text_index[-1] = text_index[0]
    related = made.related.clone()
    related[0, 3] = related[3, 0] = True
    floats = {
        name: getattr(made, name).double() for name in ("frames", "patches", "words", "sentences")
    }
    return dataclasses.replace(made, text_index=text_index, related=related, **floats)


if __name__ == "__main__":
    write_json({"command": COMMAND, "settings": SETTINGS, "steps": golden_losses()}, FILE)
    print(f"wrote {FILE}")
