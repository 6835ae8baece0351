"""The configuration: it matches its schema, and what is wrong is said in one line."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mktn.config import check, for_dataset, with_numbers
from mktn.errors import UserError
from mktn.models.variants import VARIANTS
from mktn.report.layouts import TABLES
from tests.workflow.test_pipeline import ROOT, snakemake

SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"


def default() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "config.yaml").read_text())


def test_the_default_configuration_matches_its_schema() -> None:
    check(default(), SCHEMA)


@pytest.mark.parametrize("path", [*(ROOT / "workflow" / "configs").glob("*.yaml"),
                                  ROOT / "tests" / "workflow" / "tiny.yaml"],
                         ids=lambda path: path.stem)  # fmt: skip
def test_each_override_matches_the_schema(path: Path) -> None:
    from snakemake.utils import update_config

    config = default() | {"mirror": "somewhere"}
    update_config(config, yaml.safe_load(path.read_text()))
    check(config, SCHEMA)


def test_the_schema_lists_the_variants_of_the_code() -> None:
    schema = yaml.safe_load(SCHEMA.read_text())
    assert schema["properties"]["variants"]["items"]["enum"] == list(VARIANTS)


def test_the_schema_lists_the_tables_and_their_models() -> None:
    listed = yaml.safe_load(SCHEMA.read_text())["properties"]
    assert [str(name) for name in listed["tables"]["items"]["enum"]] == list(TABLES)
    models = {model for layout in TABLES.values() for model, _ in layout.systems}
    assert set(listed["systems"]["items"]["enum"]) == models == set(default()["systems"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sede": 1}, r"configuration, sede: unknown key, found 'sede', expected 'seed'\?"),
        ({"train": {"epoch": 3}}, r"train\.epoch: unknown key.*'epochs'"),
        ({"variants": ["wo_cms"]}, r"variants\.0: value refused, found 'wo_cms', expected one of"),
        ({"per_dataset": {"charades": {"losses": {"q": 0}}}}, r"charades\.losses\.q: value refu"),
        ({"source": "simulated", "mirror": None}, "mirror: value refused"),
        ({"pairs": {"partition": "ood"}}, r"pairs\.partition: .*expected one of standard, cd, cg"),
        (
            {"pairs": {"partition": "cd"}},
            "(source: .*published annot|datasets.2: .*activitynet or)",
        ),
        (
            {
                "pairs": {"partition": "cg"},
                "source": "simulated",
                "mirror": "here",
                "datasets": ["charades", "activitynet"],
            },
            r"datasets\.1: value refused, found 'activitynet', expected charades: simulated",
        ),
        (
            {"per_dataset": {"charades": {"pairs": {"partition": "cd"}}}},
            r"charades\.pairs\.partition: value refused, .*pairs\.partition is of all datasets",
        ),
        ({"train": {"epochs": "many"}}, r"train\.epochs: .*found 'many', expected a whole number"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        check(default() | change, SCHEMA)
    assert re.search(message, str(error.value)), error.value
    assert "\n" not in str(error.value)


def test_a_missing_key_is_named_and_not_the_whole_configuration() -> None:
    """As of a configuration from before there was the key."""
    older = {key: value for key, value in default().items() if key != "report"}
    with pytest.raises(UserError) as error:
        check(older, SCHEMA)
    assert str(error.value).startswith("configuration, report: key is missing; add it")
    with pytest.raises(UserError, match=r"configuration, report\.figures: key is missing"):
        check(older | {"report": {"tables": [3]}}, SCHEMA)


def test_numbers_given_inside_brackets_on_the_command_line_are_numbers() -> None:
    given = {"seeds": ["0", "12"], "losses": {"w_cl": "0.1", "learnable": "true"}, "lr": "1e-3"}
    expected = {"seeds": [0, 12], "losses": {"w_cl": 0.1, "learnable": True}, "lr": 0.001}
    assert with_numbers(given) == expected
    text = {"comparison": ">=", "schedule": "fixed", "datasets": ["tacos"], "fps": 8}
    assert with_numbers(text) == text


def test_a_dataset_overrides_key_by_key() -> None:
    config = {"a": {"x": 1, "y": 2}, "b": 3, "per_dataset": {"tacos": {"a": {"y": 5}}}}
    assert for_dataset(config, "tacos")["a"] == {"x": 1, "y": 5}
    assert for_dataset(config, "charades")["a"] == {"x": 1, "y": 2}


@pytest.mark.parametrize(("mode", "lines"), [("default", 1), ("remote", 0)])
def test_a_key_given_that_a_dataset_overrules_is_said_once(
    mode: str, lines: int, tmp_path: Path
) -> None:
    """By the Snakemake that a person started, not by those of jobs on a cluster."""
    given = ("--configfile", ROOT / "config.yaml", "--config", "train={epochs: 5}")
    target = "data/synthetic/backbones/c3d.safetensors"
    options = [*given, "datasets=[charades]", "systems=[mktn]", "--", target]
    run = snakemake(tmp_path, "-n", "--mode", mode, *map(str, options))
    said = [line for line in run.stdout.splitlines() if line.startswith("mktn:")]
    assert run.returncode == 0, run.stdout
    assert (
        said
        == [
            "mktn: train.epochs of --config is overruled by per_dataset.charades (40); give"
            " 'per_dataset={charades: {train: {epochs: 5}}}'"
        ]
        * lines
    )
