"""The settings of an import: what a preset claims, what is refused, and the help."""

import contextlib
import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from mktn.cli import main
from mktn.config import check
from mktn.errors import UserError
from mktn.features.import_settings import EXAMPLE, SETTINGS, ImportSettings
from mktn.features.published import PRESETS, import_settings
from tests.features.imported import features, imported

CLIPS = {"clip": 16, "stride": 8, "fps": 8.0}


def test_a_preset_with_other_numbers_claims_no_more_than_is_left_of_it(tmp_path: Path) -> None:
    # As Snakemake merges the user's numbers over those of a configuration file.
    path = tmp_path / "v_a.npy"
    np.save(path, features(10, 1024))
    given = {
        "backbone": "c3d", "preset": "activitynet-c3d", "dimension": 1024, "key": "",
        **CLIPS,
    }  # fmt: skip
    said = imported(path, {"v_a": 11.0}, tmp_path / "s", {**given, "clip": 24}).attributes
    assert said["preset"] == "activitynet-c3d, with key, dimension, clip, fps of the user"
    assert (said["weights_name"], said["read_in"], said["unverified"]) == ("unknown", "", [])
    stated = {**given, "weights": "of mine", "unverified": ["clip"]}
    said = imported(path, {"v_a": 11.0}, tmp_path / "s", stated).attributes
    assert said["preset"] == "activitynet-c3d, with key, dimension, fps, weights of the user"
    assert (said["weights_name"], said["unverified"]) == ("of mine", ["clip"])


def test_a_preset_whose_numbers_are_repeated_is_that_preset() -> None:
    assert import_settings({"preset": "tacos-c3d", "clip": 64}) == import_settings(
        {"preset": "tacos-c3d"}
    )


def test_doubts_about_what_the_user_states_are_dropped_and_no_others() -> None:
    slower = import_settings({"preset": "charades-i3d", "fps": 25.0})
    assert (slower.unverified, slower.weights) == (("clip", "stride"), "")
    spread = import_settings({"preset": "tacos-c3d", "fit": "duration"})
    assert (spread.preset, spread.unverified) == ("tacos-c3d, with fit of the user", ())


def test_preset_none_drops_an_inherited_preset(tmp_path: Path) -> None:
    path = tmp_path / "v_a.npy"
    np.save(path, features(10))
    given = {"backbone": "i3d", "dimension": 4, "preset": "none", **CLIPS}
    said = imported(path, {"v_a": 11.0}, tmp_path / "s", given).attributes
    assert (said["backbone"], said["preset"], said["read_in"]) == ("i3d", "none", "")


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"preset": "none", "dimension": 4}, None),
        ({"backbone": "i3d"}, "expected none here, features.backbone is the backbone of the file"),
        ({"preset": "tacos"}, "expected one of none, activitynet-c3d"),
    ],
)
def test_the_configuration_names_the_backbone_once(
    given: dict[str, Any], line: str | None
) -> None:
    schema = Path(__file__).parents[2] / "workflow" / "schemas" / "config.schema.yaml"
    rules = yaml.safe_load(schema.read_text())
    of_presets = rules["$defs"]["import"]["properties"]["preset"]
    assert set(of_presets["enum"]) == {"none", *PRESETS}
    backbones = rules["$defs"]["features"]["properties"]["backbone"]["enum"]
    assert {preset["backbone"] for preset in PRESETS.values()} <= set(backbones)
    config = yaml.safe_load((schema.parents[2] / "config.yaml").read_text())
    of_charades = config.setdefault("per_dataset", {}).setdefault("charades", {})
    of_charades["published"] = {"import": given}
    with pytest.raises(UserError, match=line) if line else contextlib.nullcontext():
        check(config, schema)


def test_the_help_lists_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["import-features", "--help"])
    said = capsys.readouterr().out
    for field in dataclasses.fields(ImportSettings):
        assert f"\n  {field.name} " in said
    assert list(SETTINGS) == re.findall(
        r"^  ([a-z0-9_]+) +\S", said.split("settings (in")[1], re.M
    )
    ImportSettings(**json.loads(EXAMPLE))
