"""Training computes the losses that it computed before, term by term and step by step."""

import dataclasses
import json

import pytest

from mktn.engine.criterion import LossConfig
from mktn.models import ModelConfig
from tests.engine.golden import COMMAND, FILE, SETTINGS, golden_losses

WHEN = (
    f"If the change was meant to move the losses, and the tests of the losses and of the models "
    f"pass, run `{COMMAND}` and commit {FILE.name} with the reason; otherwise it is a regression."
)


@pytest.fixture(scope="module")
def golden() -> dict:
    return json.loads(FILE.read_text(encoding="utf-8"))


def test_the_settings_are_complete_and_those_of_the_file(golden: dict) -> None:
    for name, cls in (("sizes", ModelConfig), ("losses", LossConfig)):
        fields = [field.name for field in dataclasses.fields(cls)]
        missing = sorted(set(fields) ^ set(SETTINGS[name]))
        assert not missing, (
            f"{name} in tests/engine/golden.py: give every field of {cls.__name__}, "
            f"differing: {missing}; then run `{COMMAND}`"
        )
    assert golden["settings"] == SETTINGS, WHEN


def test_twenty_steps_give_the_golden_losses(golden: dict) -> None:
    found, expected = golden_losses(), golden["steps"]
    assert len(found) == len(expected) == 20
    moved = []
    for step, (now, before) in enumerate(zip(found, expected, strict=True)):
        assert now.keys() == before.keys(), f"terms of step {step}. {WHEN}"
        moved += [
            f"step {step}: {name} was {before[name]:.9g} and is {now[name]:.9g}"
            for name in before
            if now[name] != pytest.approx(before[name], rel=1e-4, abs=1e-9)
        ]
    shown = "\n".join(moved[:8])
    assert not moved, f"{len(moved)} losses moved by more than 1e-4:\n{shown}\n{WHEN}"


def test_every_term_counts_in_the_golden_steps(golden: dict) -> None:
    terms = {name: [step[name] for step in golden["steps"]] for name in golden["steps"][0]}
    shares = terms.pop("negative_share")
    assert set(terms) == {"span", "float", "csm", "proto", "cl", "total"}
    for name, values in terms.items():
        assert 0 not in values, f"{name} is absent from a step"
        assert len(set(values)) == len(values), f"{name} does not move"
    assert any(0 < share < 1 for share in shares), "the threshold selects nothing"
