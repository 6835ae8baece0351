"""`--settings` as a file: JSON's numbers are JSON's, and YAML's are YAML's."""

from pathlib import Path

import pytest

from mktn.config import read_settings
from mktn.errors import UserError


def test_a_json_file_is_read_as_json_and_others_as_yaml(tmp_path: Path) -> None:
    json, yaml = tmp_path / "settings.json", tmp_path / "settings.yaml"
    json.write_text('{"learning_rate": 6e-4}')  # text to YAML 1.1
    assert read_settings(str(json)) == {"learning_rate": 6e-4}
    yaml.write_text("{epochs: 2, device: cpu}")
    assert read_settings(str(yaml)) == {"epochs": 2, "device": "cpu"}
    json.write_text("epochs: 2")
    with pytest.raises(UserError, match="settings cannot be read"):
        read_settings(str(json))
