"""docs/plug_in.md runs as it stands."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from mktn.models.plugged import Plugged

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "plug_in.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.S)
PLACES = {
    "pairs/charades/pairs.parquet": "pairs.parquet",
    "groups/charades/groups.parquet": "groups.parquet",
    "groups/charades/relations.parquet": "relations.parquet",
    "features/charades/i3d-T24.zarr": "t.zarr",
    "text/charades.zarr": "text.zarr",
}


def test_the_page_runs(
    small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place, name in PLACES.items():
        path = tmp_path / "data" / "synthetic" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(small_dataset / name)
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    space: dict[str, Any] = {}
    for block in BLOCKS:
        exec(compile(block, "docs/plug_in.md", "exec"), space)
    assert len(BLOCKS) == 4
    assert isinstance(space["with_mktn"], Plugged)
    for rows in space["scores"].values():
        recalls = [row for row in rows if row["metric"] == "R" and row["n"] == 1]
        assert [row["iou"] for row in recalls] == [0.3, 0.5, 0.7]
        assert all(row["ci_low"] <= row["value"] <= row["ci_high"] for row in recalls)


def test_every_file_and_link_named_is_there() -> None:
    for path in re.findall(r"`((?:mktn|tests)/[\w/.]+)`", PAGE):
        assert (ROOT / path).exists(), path
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
