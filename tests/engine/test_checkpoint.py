"""A run loads only as the model, variant and sizes that it was trained with; else one line."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mktn.checksums import KEY, UNSEALED, read_sealed_json, sealed, write_sealed_json
from mktn.engine.checkpoint import load, save
from mktn.engine.criterion import LossConfig
from mktn.errors import UserError
from mktn.models import VARIANTS, build
from tests.batches import SIZES, random_batch

RECORD: dict[str, Any] = {
    "source": "synthetic",
    "dataset": "charades",
    "seed": 0,
    "features": {},
    "text": {},
    "patches": "store",
}


def saved(folder: Path, variant: str = "full") -> torch.nn.Module:
    torch.manual_seed(0)
    network = build("mktn", variant, SIZES)
    save(
        folder,
        network,
        model="mktn",
        variant=variant,
        config=SIZES,
        losses=LossConfig(),
        record=RECORD,
    )
    return network


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    # Also values that `write_sealed_json` refuses.
    text = json.dumps({KEY: UNSEALED, **read_sealed_json(path), **changes})
    path.write_bytes(sealed(text.encode()))


def forget_names(folder: Path) -> None:
    """Weights as they were before they named their variant."""
    save_file(load_file(folder / "model.safetensors"), folder / "model.safetensors")


def refusal(folder: Path) -> str:
    with pytest.raises(UserError) as caught:
        load(folder)
    line = str(caught.value)
    assert str(folder) in line
    assert "\n" not in line
    assert len(line) < 600
    return line


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_is_read_back_as_it_was(tmp_path: Path, variant: str) -> None:
    network = saved(tmp_path, variant).eval()
    again, settings = load(tmp_path)
    assert (settings["model"], settings["variant"]) == ("mktn", variant)
    assert settings["sizes"] == dataclasses.asdict(SIZES)
    batch = random_batch()
    expected, found = network(batch), again.eval()(batch)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert all(parameter.requires_grad for parameter in again.parameters())


def test_the_same_run_is_the_same_files(tmp_path: Path) -> None:
    saved(tmp_path / "a")
    saved(tmp_path / "b")
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


# wo_cosine and fixed_threshold have the parameters of full: no shape tells them apart.
@pytest.mark.parametrize("other", ["wo_csm", "wo_cosine", "fixed_threshold", "wo_temporal"])
def test_an_edited_variant_name_is_refused(tmp_path: Path, other: str) -> None:
    saved(tmp_path)
    edit(tmp_path, variant=other)
    line = refusal(tmp_path)
    assert f"names another variant than the weights, found {other}, expected full" in line
    edit(tmp_path, variant_parts=json.loads(json.dumps(dataclasses.asdict(VARIANTS[other]))))
    assert "names another variant than the weights" in refusal(tmp_path)


def test_an_edited_variant_name_is_refused_by_its_parts(tmp_path: Path) -> None:
    saved(tmp_path)
    forget_names(tmp_path)
    edit(tmp_path, variant="wo_cosine")
    assert "config.json names, found 'wo_cosine', expected 'full'" in refusal(tmp_path)


@pytest.mark.parametrize("other", ["wo_csm", "wo_cosine"])
def test_weights_of_another_variant_are_refused(tmp_path: Path, other: str) -> None:
    saved(tmp_path / "full")
    saved(tmp_path / "other", other)
    (tmp_path / "other" / "model.safetensors").replace(tmp_path / "full" / "model.safetensors")
    line = refusal(tmp_path / "full")
    assert f"names another variant than the weights, found full, expected {other}" in line


def test_parameters_of_another_variant_are_counted(tmp_path: Path) -> None:
    ours = saved(tmp_path / "full").state_dict()
    theirs = saved(tmp_path / "other", "wo_opm").state_dict()
    (tmp_path / "other" / "model.safetensors").replace(tmp_path / "full" / "model.safetensors")
    forget_names(tmp_path / "full")
    line = refusal(tmp_path / "full")
    missing, unexpected = (
        [n for n in ours if n not in theirs],
        [n for n in theirs if n not in ours],
    )
    assert missing
    assert unexpected
    assert "weights are not of the variant full" in line
    assert f"{len(missing)} missing (first: {missing[0]})" in line
    assert f"{len(unexpected)} unexpected (first: {min(unexpected)})" in line


@pytest.mark.parametrize(("name", "value"), [("width", 32), ("frames", 13), ("objects", 1000)])
def test_sizes_that_are_not_the_weights_own_are_refused(
    tmp_path: Path, name: str, value: int
) -> None:
    saved(tmp_path)
    edit(tmp_path, sizes=dataclasses.asdict(SIZES) | {name: value})
    expected = f"another sizes.{name} than the weights, found {value}, expected"
    assert expected in refusal(tmp_path)
    forget_names(tmp_path)
    line = refusal(tmp_path)
    assert "of another shape (first:" in line or "no model has these sizes" in line


def test_another_number_of_heads_is_refused(tmp_path: Path) -> None:
    saved(tmp_path)
    edit(tmp_path, sizes=dataclasses.asdict(SIZES) | {"heads": 4})
    assert "another sizes.heads than the weights, found 4, expected 2" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"width": "16"}, "sizes.width: value of another type, found '16', expected int"),
        ({"width": 16.5}, "sizes.width: value of another type"),
        ({"width": None}, "sizes.width: value of another type"),
        ({"width": 15}, "width 15 is not a multiple of 2"),
        ({"objects": 10**18}, "sizes.objects: value refused"),
        ({"heads": 0}, "sizes.heads: value refused, found 0"),
        ({"frames": -1}, "sizes.frames: value refused, found -1"),
        ({"dropout": float("nan")}, "sizes.dropout: value refused, found nan"),
        ({"objects": 10**30}, "sizes"),
        ({"depth": 2}, "sizes.depth: unknown key"),
    ],
)
def test_sizes_that_cannot_be_are_refused(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    saved(tmp_path)
    forget_names(tmp_path)
    edit(tmp_path, sizes=dataclasses.asdict(SIZES) | change)
    line = refusal(tmp_path)
    assert "config.json, sizes" in line
    assert said in line


@pytest.mark.parametrize("name", ["heads", "frames", "dropout"])
def test_a_lost_size_is_not_a_default(tmp_path: Path, name: str) -> None:
    saved(tmp_path)
    sizes = dataclasses.asdict(SIZES)
    del sizes[name]
    edit(tmp_path, sizes=sizes)
    assert f"sizes: missing key, expected '{name}'" in refusal(tmp_path)


def test_an_unknown_variant_is_refused(tmp_path: Path) -> None:
    saved(tmp_path)
    edit(tmp_path, variant="wo_everything")
    line = refusal(tmp_path)
    assert "unknown variant, found 'wo_everything', expected one of full, wo_csm" in line


def test_an_unknown_model_is_refused(tmp_path: Path) -> None:
    saved(tmp_path)
    edit(tmp_path, model="other")
    assert "names another model than the weights, found other, expected mktn" in refusal(tmp_path)


def test_a_variant_that_has_changed_since_is_refused(tmp_path: Path) -> None:
    saved(tmp_path)
    parts = json.loads(json.dumps(dataclasses.asdict(VARIANTS["full"])))
    edit(tmp_path, variant_parts=parts | {"threshold": "printed"})
    line = refusal(tmp_path)
    assert "variant_parts.threshold: the variant meant something else" in line
    assert "found 'printed', expected None" in line


KEYS = ("model", "variant", "sizes", "variant_parts", "losses", *RECORD)


@pytest.mark.parametrize("key", KEYS)
def test_a_missing_key_is_refused(tmp_path: Path, key: str) -> None:
    saved(tmp_path)
    settings = read_sealed_json(tmp_path / "config.json")
    del settings[key]
    write_sealed_json(settings, tmp_path / "config.json")
    assert f"config.json: missing key, expected '{key}'" in refusal(tmp_path)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", [None, [], 1.5, True])
def test_a_value_of_another_type_is_refused(tmp_path: Path, key: str, value: Any) -> None:
    saved(tmp_path)
    edit(tmp_path, **{key: value})
    assert f"config.json, {key}: value of another type" in refusal(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "3", "{", '{"format": 99}'])
def test_a_config_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    saved(tmp_path)
    (tmp_path / "config.json").write_text(text)
    refusal(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_half_a_run_is_refused(tmp_path: Path, name: str) -> None:
    saved(tmp_path)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    assert f"{name}: damaged file" in refusal(tmp_path)
    (tmp_path / name).unlink()
    assert "not a trained run" in refusal(tmp_path)
