"""What a person gave and a dataset or model overrules is said; what is in effect is not."""

from typing import Any

import pytest

from mktn.config import overlay
from mktn.overruled import COMMAND_LINE, overruled

DEFAULT: dict[str, Any] = {
    "datasets": ["charades", "tacos"],
    "systems": ["mktn", "mmn"],
    "train": {"epochs": 36, "clip": 1.0},
    "losses": {"w_cl": 0.2},
    "sizes": {"width": 64},
    "models": {"mmn": {"sizes": {"width": 32}}, "lcnet": {"losses": {"w_cl": 0.1}}},
    "per_dataset": {
        "activitynet": {"losses": {"w_cl": 1.0}},
        "charades": {"train": {"epochs": 40}},
        "tacos": {"models": {"mmn": {"train": {"epochs": 24}}}},
    },
}
EPOCHS = {"train": {"epochs": 5}}


def said(*given: tuple[str, dict[str, Any]]) -> list[str]:
    config = DEFAULT
    for _, keys in given:
        config = overlay(config, keys)
    return overruled(config, given)


def test_a_key_that_datasets_overrule_is_one_line_with_what_to_give() -> None:
    assert said((COMMAND_LINE, EPOCHS)) == [
        "train.epochs of --config is overruled by per_dataset.charades (40),"
        " per_dataset.tacos.models.mmn (24); give 'per_dataset={charades: {train: {epochs: 5}},"
        " tacos: {models: {mmn: {train: {epochs: 5}}}}}'"
    ]
    assert said(("my.yaml", EPOCHS | {"datasets": ["charades"]})) == [
        "train.epochs of my.yaml is overruled by per_dataset.charades (40);"
        " give there per_dataset: {charades: {train: {epochs: 5}}}"
    ]


def test_what_it_says_to_give_is_in_effect_and_silent() -> None:
    own = {"charades": {"train": {"epochs": 5}}, "tacos": {"models": {"mmn": EPOCHS}}}
    assert said((COMMAND_LINE, EPOCHS | {"per_dataset": own})) == []


def test_the_sections_of_a_model_overrule_too() -> None:
    (line,) = said((COMMAND_LINE, {"systems": ["lcnet"], "losses": {"w_cl": 0.5}}))
    assert "overruled by models.lcnet (0.1); give 'models={lcnet: {losses: {w_cl: 0.5}}}'" in line


@pytest.mark.parametrize(
    "keys",
    [
        {"train": {"clip": 2.0}},  # nobody's own
        {"train": {"epochs": 40}, "datasets": ["charades"]},  # the same
        {"losses": {"w_cl": 0.5}},  # of a dataset and a model that are not asked for
        {"sizes": {"width": 16}},  # a model's sizes lie over nothing
        {"per_dataset": {"charades": {"train": {"epochs": 3}}}},
    ],
)
def test_what_is_in_effect_is_not_said(keys: dict[str, Any]) -> None:
    assert said((COMMAND_LINE, keys)) == []


def test_of_several_places_the_last_that_gives_a_key_is_said() -> None:
    file = {"train": {"epochs": 9}, "datasets": ["charades"]}
    (line,) = said(("my.yaml", file), (COMMAND_LINE, EPOCHS))
    assert line.startswith("train.epochs of --config is overruled by per_dataset.charades (40)")
    own = {"datasets": ["charades"], "per_dataset": {"charades": {"train": {"epochs": 9}}}}
    (line,) = said(("my.yaml", own), (COMMAND_LINE, EPOCHS))
    assert "per_dataset.charades (9)" in line
    # What is given later is known to be.
    assert said(("my.yaml", EPOCHS), ("own.yaml", own)) == []
