"""docs/own_data.md: its commands work one after another, on a folder of rendered videos."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import polars as pl
import pytest
import yaml

from mktn.cli import main
from mktn.datasets import own_table
from mktn.engine.score import IOUS, USUAL_IOUS
from mktn.features.store import FeatureStore, ResampledStore
from tests.docs.pages import commands, text_of, typed_commands
from tests.workflow.test_pipeline import ROOT, jobs, snakemake

PAGE = "docs/own_data.md"
TEXT = text_of(PAGE)
OWN_YAML = ROOT / "workflow" / "configs" / "own.yaml"


COMMANDS = [shlex.split(command.text) for command in commands(PAGE)]


def do(words: list[str], folder: Path) -> None:
    if words[0] == "mktn":
        assert main(words[1:]) == 0, words
    else:
        assert words[0] == "python"
        subprocess.run([sys.executable, *words[1:]], cwd=folder, check=True)


def add_wrong_rows(folder: Path) -> None:
    """Behind the rows of both tables: an end that is no number, an id that is none, and a video
    that does not decode."""
    wrong = [("../up", "He sits.", "1", "2"), ("somewhere", "He sits.", "1", "two"),
             ("broken", "He sits.", "1", "2")]  # fmt: skip
    (folder / "videos" / "broken.mp4").write_text("no video")
    header = (folder / "table.csv").read_text().splitlines()[0].split(",")
    rows = [
        dict(zip(("video", "sentence", "start_s", "end_s"), row, strict=True)) for row in wrong
    ]
    with (folder / "table.csv").open("a") as text:
        text.writelines(",".join(row[name] for name in header) + "\n" for row in rows)
    document = json.loads((folder / "table.json").read_text())
    (folder / "table.json").write_text(json.dumps([*document, *rows]))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which all commands of the page but Snakemake's have been run."""
    folder = tmp_path_factory.mktemp("page")
    by_hand = [words for words in typed_commands(PAGE) if "runs/own" not in " ".join(words)]
    assert len(by_hand) == 14
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in by_hand:
            do(words, folder)
            if words[0] == "python":
                shutil.copy(min((folder / "try/videos").glob("*.mp4")), folder / "new.mp4")
                add_wrong_rows(folder / "try")
    return folder


def test_the_commands_lead_from_a_table_to_scores(done: Path) -> None:
    metrics = json.loads((done / "own/run/metrics.json").read_text())
    assert (metrics["source"], metrics["dataset"], metrics["split"]) == ("own", "try", "test")
    pairs = pl.read_parquet(done / "own/pairs.parquet")
    assert set(pairs["dataset"]) == {"try"}
    assert metrics["queries"] == pairs.filter(split="test").height > 0


def test_wrong_rows_go_along_as_rejected(done: Path) -> None:
    unusable = pl.read_parquet(done / "own/unusable.parquet")
    reasons = dict(unusable.select("video_id", "reason").iter_rows())
    assert reasons["../up"] == "video id cannot name a file"
    assert reasons["somewhere"] == "end_s is no number"
    assert reasons["broken"].startswith("broken video: does not decode")
    assert unusable.height == 3
    metrics = json.loads((done / "own/run/metrics.json").read_text())
    assert metrics["rejected"] == unusable.filter(split="test").height


def test_the_score_of_our_predictions_is_that_of_our_metrics(done: Path) -> None:
    metrics = json.loads((done / "own/run/metrics.json").read_text())
    scores = json.loads((done / "own/scores.json").read_text())
    assert scores["metrics"] == metrics["metrics"]
    for name in ("queries", "videos", "comparison", "nms", "bootstraps", "dataset", "split"):
        assert scores[name] == metrics[name], name


@pytest.mark.parametrize(
    ("model", "variant"),
    [("ianet", "full"), *((model, "plus_mktn") for model in ("tan2d", "mmn", "lcnet"))],
)
def test_other_models_answer_it_too(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, variant: str
) -> None:
    """With the sections of config.yaml, made narrow; then their speed."""
    section = yaml.safe_load((ROOT / "config.yaml").read_text())["models"][model]
    sizes = section["sizes"] | {"width": 16, "heads": 2}
    settings = {
        **{"source": "own", "dataset": "try", "model": model, "variant": variant},
        **{"train": {"epochs": 1}, "loader": {"queries": 24}},
        "sizes": sizes | ({"cells": 12, "counts": [12]} if "cells" in sizes else {}),
        "grounding": section["grounding"],
    }
    protocol = {"source": "own", "dataset": "try", "nms": 0.5, "table_iou": 0.5}
    speed = protocol | {"repeats": 1, "warm_up_batches": 1, "videos": 2}
    scoring = protocol | {"validation": "own", "ious": [0.3, 0.5, 0.7], "bootstraps": 20}
    run = f"--run {tmp_path}/run"
    data = ("--pairs own/pairs.parquet --groups own/groups.parquet"
            " --features own/c3d-T12.zarr --text own/text.zarr")  # fmt: skip
    monkeypatch.chdir(done)
    for command, given in (
        (f"train {run} {data} --relations own/relations.parquet", settings),
        (f"evaluate {run} {data} --rejected own/unusable.parquet"
         f" --predictions {tmp_path}/p.parquet --metrics {tmp_path}/metrics.json", scoring),
        (f"efficiency {run} {data} --out {tmp_path}/efficiency.json", speed),
    ):  # fmt: skip
        do(["mktn", *command.split(), "--settings", json.dumps(given)], done)
    for name in ("metrics", "efficiency"):
        found = json.loads((tmp_path / f"{name}.json").read_text())
        assert [found[key] for key in ("source", "dataset", "model", "variant")] == [
            "own", "try", model, variant,
        ]  # fmt: skip


def test_a_table_in_json_gives_the_same_pairs(
    done: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (words,) = (words for words in COMMANDS if words[1:4] == ["pairs", "--format", "table"])
    moved = [word.replace("table.csv", "table.json").replace("own/", f"{tmp_path}/")
             for word in words]  # fmt: skip
    monkeypatch.chdir(done)
    do(moved, done)
    assert (tmp_path / "pairs.parquet").read_bytes() == (done / "own/pairs.parquet").read_bytes()


def test_the_tables_shown_are_read(tmp_path: Path) -> None:
    for kind in ("csv", "json"):
        (shown,) = re.findall(rf"```{kind}\n(.*?)```", TEXT, re.S)
        path = tmp_path / f"kitchen.{kind}"
        path.write_text(shown)
        table = own_table.read(path)
        read = own_table.pairs_of(
            "kitchen", table, own_table.Fractions(1, 0, 0), {"pancakes": 40.0}, {}
        )
        pairs, rejected = read.frames()
        assert pairs["sentence"][0] == "She cracks two eggs."
        assert rejected.is_empty()


def test_the_ious_named_are_those_of_the_protocol() -> None:
    protocol = yaml.safe_load((ROOT / "config.yaml").read_text())["per_dataset"]
    for dataset, of_dataset in protocol.items():
        usual = IOUS.get(dataset, USUAL_IOUS)
        assert list(usual) == of_dataset["evaluation"]["ious"]
    assert "(0.3, 0.5, 0.7; of TACoS 0.1, 0.3, 0.5)" in TEXT


def test_the_pipeline_takes_the_same_folder(done: Path, tmp_path: Path) -> None:
    """The page's Snakemake commands: the small backbone is a target, and own.yaml leads from
    tables to T frames (run), extracted and imported, and to Table 3, and to tables and speeds of
    several models (planned)."""
    copy, run, small = (words for words in COMMANDS if words[0] in ("cp", "snakemake"))
    assert copy == ["cp", "workflow/configs/own.yaml", "kitchen.yaml"]
    by_hand = pl.read_parquet(done / "own/pairs.parquet")
    configuration = yaml.safe_load(OWN_YAML.read_text())
    kitchen = configuration["per_dataset"]["kitchen"]
    assert small[-1] == kitchen["own"]["weights"]
    own = {"table": "try/table.json", "videos": "try/videos", "weights": "own/c3d.safetensors"}
    assert set(own) == set(kitchen["own"])
    fractions = {"fractions": {"train": 0.6, "val": 0.2, "test": 0.2}}
    kitchen |= {"own": own | fractions, "features": {"backbone": "c3d", "frames": 12},
                "extract": {"decode_workers": 0}}  # fmt: skip
    imported = {"features": "imported", "file": "pantry.hdf5", "table": "pantry.csv",
                "import": {"dimension": 256, "clip": 16, "stride": 8, "fps": 8}}  # fmt: skip
    configuration["per_dataset"]["pantry"] = {"own": imported, "features": kitchen["features"]}
    configuration["datasets"] = ["kitchen", "pantry"]
    (tmp_path / "kitchen.yaml").write_text(yaml.safe_dump(configuration))
    for name in ("try", "own"):
        (tmp_path / name).symlink_to(done / name)
    columns = ["sentence", "start_s", "end_s", "split", "duration_s"]
    by_hand.select(*columns, video="video_id").write_csv(tmp_path / "pantry.csv")
    extracted = FeatureStore(done / "own/clips")
    with h5py.File(tmp_path / "pantry.hdf5", "w") as file:
        for video_id in extracted.video_ids:
            file[video_id] = extracted[video_id].features.astype("float32")
    files = ("--configfile", str(ROOT / "config.yaml"), str(tmp_path / "kitchen.yaml"))
    stores = [f"data/own/features/{name}/c3d-T12.zarr" for name in ("kitchen", "pantry")]
    first = snakemake(tmp_path, "--show-failed-logs", *files, "--", *stores)
    assert first.returncode == 0, first.stdout[-5000:]
    for name in ("kitchen", "pantry"):
        pairs = pl.read_parquet(tmp_path / f"data/own/pairs/{name}/pairs.parquet")
        assert set(pairs["dataset"]) == {name}
        assert pairs.drop("dataset").equals(by_hand.drop("dataset"))
    kept, brought = (ResampledStore(tmp_path / store) for store in stores)
    assert kept.attributes["origin"] == "extracted"
    assert brought.attributes["origin"] == "imported"
    assert (
        kept.video_ids == brought.video_ids == ResampledStore(done / "own/c3d-T12.zarr").video_ids
    )
    planned = snakemake(tmp_path, "-n", *files, *run[run.index("--") :])
    before = {"extract_text": 2, "relate": 2, "group": 2, "train_full": 2}
    assert jobs(planned.stdout) == {
        **before, "evaluate": 2, "evaluate_baseline": 4, "table": 1,
    }  # fmt: skip
    several = snakemake(tmp_path, "-n", *files, "--", "results/own/table1.csv",
                        "results/own/table2.csv", "results/own/figure3a.csv")  # fmt: skip
    plugged = [f"train_{model}_{variant}" for model in ("tan2d", "mmn", "lcnet")
               for variant in ("origin", "plus_mktn")]  # fmt: skip
    assert jobs(several.stdout) == {
        **before, **dict.fromkeys(("train_ianet_full", *plugged), 2), "evaluate": 16,
        "evaluate_baseline": 4, "efficiency": 16, "table": 2, "figure_data": 1,
    }  # fmt: skip
    synthetic = snakemake(tmp_path, "-n", "--configfile", str(ROOT / "config.yaml"), "--",
                          small[-1])  # fmt: skip
    assert jobs(synthetic.stdout) == {"synthesize": 3, "pretrain": 1}
