"""Every file that a step reads, spoiled in every way: missing, a folder, empty, cut, no text,
a pickle."""

from pathlib import Path

import pytest

from tests.bad_input.case import refused_in_one_line
from tests.bad_input.spoil import DAMAGES
from tests.bad_input.world import command_line

STORE = ("zarr.json", "manifest.parquet", "features/zarr.json")
# command -> the files and folders that it reads
READ: dict[str, list[str]] = {
    "pairs": ["annotations/train.json"],
    "reannotations": ["annotations/val_2.json", "human/human_reannotation/test_00.csv"],
    "pretrain": ["actions.parquet", "videos"],
    "extract-video": ["pairs.parquet", "c3d.safetensors", "c3d.json", "videos"],
    "import-features": ["features.hdf5", "pairs.parquet"],
    "resample": [
        *("parts", *(f"parts/part-0.zarr/{name}" for name in STORE)),
        *("parts/part-0.zarr/features/c/0/0", "pairs.parquet"),
    ],
    "features": ["t.zarr", *(f"t.zarr/{name}" for name in STORE)],
    "extract-text": ["pairs.parquet", "glove.txt"],
    "simulate": ["tacos/pairs.parquet", "tacos/tall_train.txt", "tacos/video_meta.csv"],
    "oracle": [
        *("tacos/pairs.parquet", "tacos/tall_train.txt"),
        *(f"simulated.zarr/{name}" for name in STORE),
    ],
    "relate": [
        *("pairs.parquet", "text.zarr", "text.zarr/zarr.json"),
        *("text.zarr/sentences/zarr.json", "text.zarr/sentences/c/0/0"),
    ],
    "group": ["pairs.parquet", "relations.parquet", "rejected-pairs.parquet", "t.zarr"],
    "train": [
        *("pairs.parquet", "groups.parquet", "relations.parquet"),
        *("t.zarr/zarr.json", "t.zarr/manifest.parquet", "t.zarr/features/c/0/0/0"),
        *("text.zarr/words/zarr.json", "text.zarr/words/c/0/0", "text.zarr/offsets/c/0"),
    ],
    "evaluate": [
        *("pairs.parquet", "groups.parquet", "rejected.parquet", "t.zarr"),
        *("run", "run/model.safetensors", "run/config.json"),
    ],
    "rescore": [
        *("run/predictions.parquet", "run/metrics.json"),
        *("pairs.parquet", "groups.parquet", "spans.parquet"),
    ],
    "score": ["run/predictions.parquet", "pairs.parquet"],
    "diagnose": ["run/model.safetensors", "run/config.json", "pairs.parquet"],
    "efficiency": ["run/model.safetensors", "run/config.json"],
    "efficiency-table": ["run/efficiency.json"],
    "diagnostics": [
        *("run/metrics.json", "run/predictions.parquet", "run/diagnoses.json", "pairs.parquet"),
    ],
    "tables": ["run/metrics.json", "run/predictions.parquet", "reported.csv", "pairs.parquet"],
    "test-sets": ["run/metrics.json"],
    "ground": [
        *("one.mp4", "run", "run/model.safetensors", "run/config.json"),
        *("c3d.safetensors", "c3d.json", "glove.txt", "models"),
        *("models/skipthought/config.json", "models/skipthought/model.safetensors"),
    ],
    "export": ["run/config.json", "c3d.safetensors", "glove.txt", "models/skipthought"],
    "page": ["table3.md"],
    "download": ["sources.tsv", "mirror/activitynet_captions/train.json", "mirror"],
}


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize(
    ("command", "path"), [(command, path) for command, paths in READ.items() for path in paths]
)
def test_it_is_named_in_one_line(
    command: str, path: str, how: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Path(path).exists()
    if how == "cut in half" and Path(path).is_dir():
        pytest.skip("a folder has no half")
    DAMAGES[how](path)()
    # The folder of a store or a run is what is made again, and may stand for its files.
    named = "|".join({Path(path).name, path.split("/")[0]})
    refused_in_one_line(command_line(command), named, here, capsys)
