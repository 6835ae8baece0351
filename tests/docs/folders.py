"""Folders in which a reader's commands run: everything in them is small.

A checkout is the repository's own files with a small config.yaml; a mirror holds published files
as the registry lays them out, made from rendered videos.
"""

import csv
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml
from snakemake.utils import update_config

from mktn.cli import main
from mktn.datasets.registry import COLUMNS, read_registry
from tests.docs.pages import ROOT
from tests.docs.rows import Row, Run

LINKED = ("mktn", "rules", "tests", "docs", "envs", "pyproject.toml", "Makefile")
SIZES = {"width": 16, "heads": 2}
MAP = SIZES | {"cells": 12, "counts": [12], "layers": 1}
ONE_EPOCH = {"train": {"epochs": 1}}
TEXT = {
    "glove": {"epochs": 2, "dimension": 8},
    "skipthought": {"steps": 2, "dimension": 8, "batch": 8},
}
WINDOWS = {"windows": [3, 6, 9], "window_frames": 12, "stride": 0.25}
SMALL: dict[str, Any] = {
    "datasets": ["charades"],
    "variants": ["full", "wo_opm"],
    "systems": ["mktn", "ianet", "mmn"],
    "synthetic": {"videos_train": 14, "videos_val": 3, "videos_test": 4, "duration_s": 10,
                  "size": 32},
    "pretrain": {"datasets": ["charades"], "c3d": {
        "width": 4, "steps": 4, "batch": 4, "preprocessing": {"crop": 32, "resize": [32]}}},
    "text": TEXT,
    "groups": {"queries": 24},
    "loader": {"queries": 24},
    "sizes": SIZES,
    **ONE_EPOCH,
    "evaluation": {"bootstraps": 50},
    "efficiency": {"videos": 2, "warm_up_batches": 1, "repeats": 1, "minutes": 0},
    "models": {
        "ianet": {"sizes": {"width": 16}, **ONE_EPOCH},
        "tan2d": {"sizes": MAP, **ONE_EPOCH},
        "mmn": {"sizes": MAP | {"joint": 16}, **ONE_EPOCH},
        "lcnet": {"sizes": {key: MAP[key] for key in MAP if key != "layers"}, **ONE_EPOCH},
    },
    "per_dataset": {"charades": {
        "features": {"backbone": "c3d", "frames": 12},
        **ONE_EPOCH,
        "models": {"ianet": {"sizes": WINDOWS}},
    }},
}  # fmt: skip
# Over published.yaml and simulated.yaml, whose sizes are the real ones.
REAL: dict[str, Any] = {
    key: SMALL[key] for key in ("text", "sizes", "groups", "loader", "train", "variants")
} | {"per_dataset": {"charades": ONE_EPOCH}}


def over(path: Path, *configurations: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a file with others laid over it, as Snakemake does."""
    config: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    for other in configurations:
        update_config(config, other)
    return config


def write_yaml(path: Path, config: dict[str, Any]) -> None:
    """As a file of configuration."""
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def checkout(folder: Path, registry: Path | None = None) -> Path:
    """A checkout whose configurations are small."""
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(sys.prefix)
    shutil.copy(ROOT / "Snakefile", folder)
    shutil.copytree(ROOT / "workflow", folder / "workflow")
    write_yaml(folder / "config.yaml", over(ROOT / "config.yaml", SMALL))
    given = {} if registry is None else {"registry": str(registry)}
    for name in ("published", "simulated"):
        path = folder / "workflow" / "configs" / f"{name}.yaml"
        write_yaml(path, over(path, REAL, given))
    return folder


def mirror(folder: Path) -> Path:
    """Published files of Charades-STA, with features, splits and word vectors; its registry."""
    given = ["--dataset=charades", f"--annotations={folder}/charades_sta"]
    given += [f"--videos={folder}/videos", f"--actions={folder}/actions.parquet"]
    assert main(["synthesize", *given, f"--settings={json.dumps(SMALL['synthetic'])}"]) == 0
    pairs = folder / "all.parquet"
    read = ["--dataset=charades", f"--annotations={folder}/charades_sta", f"--pairs={pairs}"]
    assert main(["pairs", *read, f"--rejected={folder}/rejected.parquet"]) == 0
    table = pl.read_parquet(pairs)
    _features(folder / "charades_sta" / "features" / "i3d", table)
    _partition(folder / "charades_sta" / "cd_split", table)
    _labels(folder / "charades_sta" / "charades_v1")
    _vectors(folder, table)
    (folder / "pretrained" / "weights").mkdir()
    _registry(folder)
    return folder


def _features(folder: Path, table: pl.DataFrame) -> None:
    """As the preset charades-i3d reads them: 16 frames every 8 at 24 fps."""
    folder.mkdir(parents=True)
    lengths = table.select("video_id", "duration_s").unique("video_id", maintain_order=True)
    for number, (video_id, duration_s) in enumerate(lengths.iter_rows()):
        rows = int((duration_s * 24 - 16) // 8) + 1
        values = np.random.default_rng(number).normal(size=(rows, 1024))
        np.save(folder / f"{video_id}.npy", values.astype("float32"))


def _partition(folder: Path, table: pl.DataFrame) -> None:
    """Charades-CD: videos of the training split in four files."""
    folder.mkdir()
    videos = table["video_id"].unique(maintain_order=True).to_list()
    parts = {"train": videos[:9], "val": videos[9:11], "test_iid": videos[11:13],
             "test_ood": videos[13:]}  # fmt: skip
    for split, names in parts.items():
        content = {}
        for name in names:
            rows = table.filter(video_id=name)
            content[name] = {
                "timestamps": rows.select("start_s", "end_s").rows(),
                "sentences": rows["sentence"].to_list(),
                "video_duration": rows["duration_s"][0],
            }
        (folder / f"charades_{split}.json").write_text(json.dumps(content))


def _labels(folder: Path) -> None:
    """Objects and verbs of the rendered action classes."""
    classes = (folder / "Charades_v1_classes.txt").read_text().split("\n")
    names = [line.split(" ", 1)[0] for line in classes if line.strip()]
    lists = {
        "mapping": "".join(f"{name} o{n % 3:03} v{n % 5:03}\n" for n, name in enumerate(names)),
        "objectclasses": "o000 None\no001 ball\no002 box\n",
        "verbclasses": "".join(f"v{n:03} {verb}\n" for n, verb in enumerate(
            ("bounce", "spin", "roll", "swing", "grow"))),
    }  # fmt: skip
    for name, text in lists.items():
        (folder / f"Charades_v1_{name}.txt").write_text(text)


def _vectors(folder: Path, table: pl.DataFrame) -> None:
    """GloVe's file, of the words in use and eight numbers, zipped as published, and the subset."""
    found = sorted({*re.findall(r"\w+|\.", " ".join(table["sentence"]).lower())})
    values = np.random.default_rng(0).normal(size=(len(found), 8)).astype("float32")
    (folder / "pretrained" / "glove").mkdir(parents=True)
    lines = (f"{word} {' '.join(f'{x:.4f}' for x in row)}"
             for word, row in zip(found, values, strict=True))  # fmt: skip
    with zipfile.ZipFile(folder / "pretrained/glove/glove.840B.300d.zip", "w") as archive:
        archive.writestr("glove.840B.300d.txt", "\n".join(lines) + "\n")
    (folder / "glove").mkdir()
    np.savez(folder / "glove/glove.840B.300d.subset.npz", words=np.array(found), vectors=values)


def _registry(folder: Path) -> None:
    """The registry's rows of these files, with checksums where it has any, and no addresses."""
    schema = ROOT / "workflow" / "schemas" / "sources.schema.yaml"
    (folder / "schemas").mkdir()
    shutil.copy(schema, folder / "schemas")
    rows = []
    with (ROOT / "workflow" / "sources.tsv").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            path = folder / row["path"]
            if row["name"] == "c3d-sports1m":
                path.write_bytes(b"small")
            if not path.is_file():
                continue
            content = path.read_bytes()
            row |= {
                "url": "", "mirrors": "", "form": "no", "status": "local", "note": "made small",
                "bytes": str(len(content)),
                "sha256": row["sha256"] and hashlib.sha256(content).hexdigest(),
            }  # fmt: skip
            rows.append(row)
    with (folder / "sources.tsv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS, delimiter="\t", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    assert read_registry(folder / "sources.tsv")


def typed(text: str, row: Run, mirror: Path | None) -> str:
    """What is typed for a command: on two cores, and with the test's folder for MIRROR."""
    line = row.typed or text.replace("--cores 8", "--cores 2")
    line = re.sub(r"^make (\S+)$", r"make -o .venv/ready \1 CORES=2", line)
    if mirror is not None:
        line = line.replace("@MIRROR", f"--mirror {mirror} --registry {mirror}/sources.tsv")
        line = line.replace("MIRROR", str(mirror))
    return line


def shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a line in a shell there, the environment's commands first on the path."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    python_path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, env={**os.environ, "PATH": path, "PYTHONPATH": python_path}, check=False,
    )  # fmt: skip


def check(output: str, row: Run, folder: Path, began_s: float) -> None:
    """What the row says of the output, and its files, which are new."""
    for expression in row.says:
        assert re.search(expression, output), f"{expression!r} is not in\n{output[-3000:]}"
    for name in row.makes:
        path = folder / name
        assert path.exists(), f"{name} is not there\n{output[-3000:]}"
        assert path.is_dir() or path.stat().st_mtime >= began_s - 1, f"{name} is old"


def run_row(command: str, row: Row, folder: Path, mirror: Path) -> None:
    """Type the command as its row says, and check what the row says of it."""
    assert isinstance(row, Run)
    if row.before:
        assert shell(row.before, folder).returncode == 0
    began_s = time.time()
    done = shell(typed(command, row, mirror), folder)
    assert done.returncode == 0, done.stdout[-5000:]
    check(done.stdout, row, folder, began_s)
