"""`mktn plan` counts the bytes that the stores really take, and says what is the largest."""

import csv
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mktn.cli import main
from mktn.datasets import read_pairs
from mktn.engine.relations_bench import RelationsBenchSettings, sentence_vectors
from mktn.features.writers import PartWriter, ResampledWriter
from mktn.grouping.groups import GroupSettings, group
from mktn.grouping.relations import RelationSettings, relate
from mktn.parquet import write_parquet
from mktn.report.plan import (
    WORKLOADS,
    Workload,
    part_bytes,
    plan,
    resampled_bytes,
    text_bytes,
)
from mktn.report.unit_costs import UNIT_COSTS


def on_disk(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(("dimension", "patches", "of_patch"), [(500, 0, 0), (64, 4, 32)])
def test_the_bytes_of_features_are_those_on_disk(
    tmp_path: Path, dimension: int, patches: int, of_patch: int
) -> None:
    videos, rows, frames = 40, 300, 64
    numbers = dimension + patches * of_patch
    with (
        PartWriter(tmp_path / "part-0.zarr", 0, dimension, patches, of_patch) as part,
        ResampledWriter(
            tmp_path / "t.zarr", videos, frames, dimension, patches, of_patch
        ) as resampled,
    ):
        rng = np.random.default_rng(0)
        for video in range(videos):
            clips = [rng.normal(size=(n, dimension)) for n in (rows, frames)]
            seen: list[np.ndarray | None] = [None, None]
            if patches:
                seen = [rng.normal(size=(n, patches, of_patch)) for n in (rows, frames)]
            part.append(f"v{video}", clips[0], seen[0], np.zeros((rows, 2)), 30.0)
            resampled.append(f"v{video}", clips[1], seen[1], 30.0)
    # Manifests, metadata and the index of a shard are below 2 % already here.
    assert part_bytes(videos * rows, numbers) == pytest.approx(
        on_disk(tmp_path / "part-0.zarr"), rel=0.02
    )
    assert resampled_bytes(videos, frames, numbers) == pytest.approx(
        on_disk(tmp_path / "t.zarr"), rel=0.02
    )


def test_the_bytes_of_text_are_those_on_disk(small_dataset: Path) -> None:
    from mktn.features.text_store import TextStore

    pairs = pl.read_parquet(small_dataset / "pairs.parquet")
    store = TextStore(small_dataset / "text.zarr", pairs["pair_id"])
    words, dimension = store.all_words.shape
    expected = text_bytes(len(store), words / len(store), dimension, store.sentences.shape[1])
    held = sum(a.nbytes for a in (store.all_words, store.sentences, store.offsets))
    assert expected == pytest.approx(held, abs=8)  # there is one offset more than queries
    folders = [small_dataset / "text.zarr" / name for name in ("words", "sentences", "offsets")]
    chunks = [file for folder in folders for file in (folder / "c").rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in chunks) >= held


def test_rows_of_parquet_cost_what_is_said(tmp_path: Path, shared_data: Path) -> None:
    """Of a part of ActivityNet Captions, whose files were weighed."""
    pairs, _ = read_pairs("activitynet", shared_data / "activitynet_captions")
    pairs = pairs.filter(split="train").head(3000)
    vectors = sentence_vectors(pairs["sentence"].to_list(), RelationsBenchSettings())
    relations = relate(pairs, vectors, RelationSettings())
    groups = group(pairs, relations, GroupSettings())
    frames = {"pairs_row": pairs, "relations_row": relations, "groups_row": groups}
    for name, frame in frames.items():
        write_parquet(frame, tmp_path / name)
        a_row = (tmp_path / name).stat().st_size / frame.height
        assert UNIT_COSTS[name].value == pytest.approx(a_row, rel=0.3), name
    most = UNIT_COSTS["relations"].value
    assert relations.filter(pl.col("kind") != "temporal").height <= most * pairs.height


def test_what_grows_with_what() -> None:
    base = plan(WORKLOADS["activitynet"])
    given = WORKLOADS["activitynet"].__dict__

    def ratio(stage: str, field: str, **changes: float) -> float:
        def found(stages: list) -> float:
            return float(next(getattr(s, field) for s in stages if s.stage == stage))

        return found(plan(Workload(**{**given, **changes}))) / found(base)

    assert ratio("relate", "core_hours", training=2 * 37417, queries=200000) == pytest.approx(4)
    assert ratio("resample", "disk_bytes", frames=100) == pytest.approx(0.5, rel=0.001)
    assert ratio("train", "core_hours", epochs=24) == pytest.approx(2)
    assert ratio("extract_video", "gpu_hours", gpu_tflops=40.0) == pytest.approx(0.5)
    assert ratio("extract_video", "disk_bytes", stride=16) == pytest.approx(0.5, rel=0.01)
    assert ratio("extract_video", "jobs", parts=10) == 10
    # Features that do not fit are read batch by batch.
    assert ratio("train", "memory_bytes", memory_gb=1.0) < 1


def test_the_command_prints_and_writes_a_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "plan.csv"
    assert main(["plan", "--of", "million", f"--out={out}", '--settings={"parts": 500}']) == 0
    said = capsys.readouterr().out
    assert "most disk: extract_video; what moves it: " in said
    assert "an estimate" in said
    rows = {row["stage"]: row for row in csv.DictReader(out.open())}
    assert rows["extract_video"]["jobs"] == "500"
    assert float(rows["relate"]["core_hours"]) > 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ('{"videos": 0}', "videos 0: expected at least 1"),
        ('{"fps": 0}', "fps 0.0: expected more than 0"),
        ('{"test": 99999}', "expected training and test among them"),
        ('{"backbone": "vgg"}', "clip_vgg: expected one of clip_c3d, clip_i3d"),
        ('{"video": 3}', "settings.video: unknown key"),
    ],
)
def test_a_size_that_cannot_be_is_refused(
    given: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", f"--settings={given}"]) == 2
    assert message in capsys.readouterr().err
