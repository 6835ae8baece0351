"""A small dataset with all that the steps make of it, and a command line of each step on it.

Paths are relative to the folder, so that a copy of it serves as well. What a command line writes
is in `out/`, which is not there before.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import polars as pl

from mktn.cli import main
from mktn.report.figure_data import COLUMNS
from tests.datasets.http_server import row, write_registry

DATASET = "activitynet"
REPOSITORY = Path(__file__).parents[2]
SYNTHESIZE = {
    "videos_train": 4, "videos_val": 2, "videos_test": 2, "duration_s": 10, "size": 32, "fps": 8,
}  # fmt: skip
TEXT = {"skipthought": {"steps": 2, "dimension": 4, "batch": 4}, "max_words": 8}
PRETRAIN: dict[str, Any] = {
    "width": 1,
    "steps": 1,
    "preprocessing": {"fps": 8.0, "resize": [32], "crop": 32},
}
TRAIN: dict[str, Any] = {
    "source": "synthetic", "dataset": DATASET,
    "sizes": {"width": 8, "heads": 2, "objects": 2, "phrases": 2, "activities": 2},
    "loader": {"queries": 16}, "train": {"epochs": 1},
}  # fmt: skip
EVALUATE = {
    "source": "synthetic", "dataset": DATASET, "ious": [0.3, 0.5], "table_iou": 0.3,
    "bootstraps": 20,
}  # fmt: skip
SCORE = {"ious": [0.3, 0.5], "bootstraps": 20}
IANET: dict[str, Any] = {
    **TRAIN, "model": "ianet", "sizes": {"width": 8, "heads": 2, "windows": [1, 2, 4],
                                         "window_frames": 6},
}  # fmt: skip
ATTENTION = {**EVALUATE, "draw": {"pairs": 1}}
EFFICIENCY = {
    "source": "synthetic", "dataset": DATASET, "warm_up_batches": 1, "repeats": 1, "videos": 1,
}  # fmt: skip
SIMULATE = {
    "frames": 6, "dimension": 16, "patches": 0, "occurrences": 2, "tacos_version": "tall",
}  # fmt: skip
IMPORT = {"dimension": 4, "fit": "duration", "backbone": "i3d"}

# Of `mktn pairs`, for a table of one's own in place of the published files.
OWN = {"format": "table", "dataset": "kitchen", "annotations": "own.csv", "videos": "videos"}
DATA = "--pairs pairs.parquet --groups groups.parquet --features t.zarr --text text.zarr"
ANNOTATED = f"--dataset {DATASET} --annotations annotations"
HUMAN = " ".join(f"--human{end} out/human{end}.json" for end in ("", "-with-original"))
PARTS = "--weights c3d.safetensors --word-vectors glove.txt --text-models models"
TACOS = "--dataset tacos --annotations . --pairs tacos/pairs.parquet"

# What works as it stands, so that a case fails for what it spoils and for nothing else.
COMMANDS: dict[str, tuple[str, Any]] = {
    "synthesize": (
        f"--dataset {DATASET} --annotations out/annotations --videos out/videos"
        " --actions out/actions.parquet",
        SYNTHESIZE,
    ),
    "pairs": (f"{ANNOTATED} --pairs out/pairs.parquet --rejected out/rejected.parquet", None),
    "reannotations": (
        f"{ANNOTATED} --reannotations human --out out/spans.parquet --rejected out/no.parquet",
        None,
    ),
    "pretrain": (
        "--actions actions.parquet --videos videos --backbone c3d --weights out/c3d.safetensors",
        PRETRAIN,
    ),
    "extract-video": (
        "--videos videos --pairs pairs.parquet --backbone c3d --weights c3d.safetensors"
        " --out out/part-0.zarr --part 0 --parts 1",
        {"decode_workers": 0},
    ),
    "import-features": (
        "--from features.hdf5 --pairs pairs.parquet --out out/part-0.zarr --part 0 --parts 1",
        IMPORT,
    ),
    "resample": ("--features parts --pairs pairs.parquet --frames 6 --out out/t.zarr", None),
    "features": ("info t.zarr", None),
    "extract-text": (
        "--pairs pairs.parquet --word-vectors glove.txt --models out/models --out out/text.zarr",
        TEXT,
    ),
    "simulate": (f"{TACOS} --out out/simulated.zarr", SIMULATE),
    "oracle": (f"{TACOS} --features simulated.zarr", {"windows": 6, "queries": 5}),
    "relate": ("--pairs pairs.parquet --text text.zarr --out out/relations.parquet", None),
    "group": (
        "--pairs pairs.parquet --relations relations.parquet --features t.zarr"
        " --rejected-pairs rejected-pairs.parquet --groups out/groups.parquet"
        " --rejected out/rejected.parquet",
        None,
    ),
    "train": (f"{DATA} --relations relations.parquet --run out/run", TRAIN),
    "evaluate": (
        f"--run run {DATA} --rejected rejected.parquet --predictions out/predictions.parquet"
        " --metrics out/metrics.json",
        EVALUATE,
    ),
    "rescore": (
        "--predictions run/predictions.parquet --metrics run/metrics.json --pairs pairs.parquet"
        f" --groups groups.parquet --reannotations spans.parquet {HUMAN}"
        " --human-original-only out/original.json",
        None,
    ),
    "score": ("run/predictions.parquet --pairs pairs.parquet --json out/scores.json", SCORE),
    "diagnose": (f"--run run {DATA} --out out/diagnoses.json", EVALUATE),
    "attention": (f"--run ianet {DATA} --out out/attention.parquet", ATTENTION),
    "efficiency": (f"--run run {DATA} --out out/efficiency.json", EFFICIENCY),
    "profile": (f"{DATA} --relations relations.parquet --steps 1 --out out/profile.md", TRAIN),
    "efficiency-table": (
        "--efficiency run/efficiency.json --csv out/e.csv --markdown out/e.md",
        None,
    ),
    "diagnostics": (
        "--metrics run/metrics.json query_only/metrics.json video_only/metrics.json"
        " --predictions run/predictions.parquet query_only/predictions.parquet"
        " video_only/predictions.parquet --pairs pairs.parquet --diagnoses run/diagnoses.json"
        " --csv out/d.csv --markdown out/d.md",
        None,
    ),
    "bench": ("words --out out/words.csv", None),
    "tables": (
        "--metrics run/metrics.json random/metrics.json --predictions run/predictions.parquet"
        " random/predictions.parquet --pairs pairs.parquet --reported reported.csv --table 3"
        " --variants full --csv out/table3.csv --markdown out/table3.md",
        None,
    ),
    "figure-data": (
        "--figure 3a --metrics figure/metrics.json --efficiency figure/efficiency.json"
        " --reported reported.csv --variants mktn/full --csv out/figure3a.csv",
        None,
    ),
    "figure": ("--figure 3b --data figure/figure3b.csv --svg out/f.svg --png out/f.png", None),
    "sensitivity": (
        "--metrics run/metrics.json --predictions run/predictions.parquet --pairs pairs.parquet"
        " --changes full --defaults {} --csv out/s.csv --markdown out/s.md",
        None,
    ),
    "robustness": (
        "--metrics run/metrics.json --predictions run/predictions.parquet --pairs pairs.parquet"
        " --asked scored --csv out/s.csv --markdown out/s.md",
        None,
    ),
    "test-sets": ("--metrics run/metrics.json --csv out/t.csv --markdown out/t.md", None),
    "ground": (f"one.mp4 --model run {PARTS} -q red --json out/answers.json", None),
    "serve": (f"run {PARTS} --port 0", None),
    "export": (f"run {PARTS} --out out/bundle", None),
    "verify": ("spans.parquet t.zarr run", None),
    "status": ("run", None),
    "plan": ("--of activitynet --out out/plan.csv", {}),
    "html-page": ("--markdown table3.md --html out/table3.html", None),
    "provenance": (
        "--runs run/config.json --configuration {} --markdown out/provenance.md",
        None,
    ),
    "page": ("--tables table3.md --out out/page.md", None),
    "download": (
        f"--registry sources.tsv --dataset {DATASET} --mirror mirror --out out/published",
        None,
    ),
}
NOT_RUN = ("bench", "serve")  # measures for minutes; serves until it is told to end


def command_line(command: str, settings: object = None, **options: object) -> list[str]:
    """The working command line with options (`rejected_pairs=...`) and settings in their place."""
    text, usual = COMMANDS[command]
    words = [command, *text.split()]
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if option in words:
            words[words.index(option) + 1] = str(value)
        else:
            words += [option, str(value)]
    settings = usual if settings is None else settings
    if settings is not None:
        given = settings if isinstance(settings, str) else json.dumps(settings)
        words += ["--settings", given]
    return words


def make(folder: Path) -> None:
    """All files of the command lines above, in the working directory `folder`."""
    _do("synthesize", {"annotations": "annotations", "videos": "videos", "actions.parquet": ""})
    _do("pairs", {"pairs.parquet": "", "rejected.parquet": "rejected-pairs.parquet"})
    _do("pretrain", {"c3d.safetensors": "", "c3d.json": ""})
    _do("extract-video", {"part-0.zarr": "parts/part-0.zarr"})
    _do("resample", {"t.zarr": ""})
    shutil.copy(min((folder / "videos").glob("*.mp4")), folder / "one.mp4")
    (folder / "glove.txt").write_text("the 0 1\nred 1 1\nblue 2 1\nspins 3 1\n")
    _do("extract-text", {"text.zarr": "", "models": ""})
    _do("relate", {"relations.parquet": ""})
    _do("group", {"groups.parquet": "", "rejected.parquet": ""})
    for run in ("run", "query_only", "video_only"):
        hidden = {"query_only": "video", "video_only": "text"}.get(run)
        loader = {**TRAIN["loader"], **({"hidden": hidden} if hidden else {})}
        _do("train", {"run": run}, settings={**TRAIN, "loader": loader})
        _do("evaluate", {}, run=run, **_scores(run))
    _do("train", {"run": "ianet"}, settings=IANET)
    _do("diagnose", {}, out="run/diagnoses.json")
    _do("efficiency", {}, out="run/efficiency.json")
    (folder / "figure").mkdir()  # the figure is of another dataset
    for name in ("metrics.json", "efficiency.json"):
        text = (folder / "run" / name).read_text()
        (folder / "figure" / name).write_text(text.replace(DATASET, "charades"))
    _write_bars(folder / "figure" / "figure3b.csv")
    (folder / "random").mkdir()
    words = command_line("evaluate", **_scores("random"))
    words[words.index("--run") : words.index("--run") + 2] = ["--baseline", "random"]
    assert main(words) == 0
    shutil.copy(REPOSITORY / "workflow" / "reported.csv", folder)
    _do("tables", {"table3.md": ""})
    _write_human(folder)
    _do("reannotations", {"spans.parquet": ""})
    _write_features(folder)
    _write_own()
    _write_tacos(folder / "tacos")
    words = "--pairs tacos/pairs.parquet --rejected tacos/rejected.parquet"
    tall = '{"tacos_version": "tall"}'
    assert main(["pairs", *TACOS.split()[:4], *words.split(), "--settings", tall]) == 0
    _do("simulate", {"simulated.zarr": ""})
    _write_mirror(folder)
    shutil.rmtree(folder / "out")
    _unseal(folder)


def _write_bars(path: Path) -> None:
    """The csv of Figure 3b, of one system."""
    row = {
        "method": "MMN", "type": "FS", "model": "mmn", "variant": "origin", "dataset": "charades",
        "mode": "origin", "metric": "VPS", "value": "2", "low": "1", "high": "3", "queries": "4",
        "measured_on": "a machine", "busy": "0", "source": "synthetic",
    }  # fmt: skip
    lines = [COLUMNS["3b"], [row.get(name, "") for name in COLUMNS["3b"]]]
    path.write_text("".join(f"{','.join(line)}\n" for line in lines))


def _unseal(folder: Path) -> None:
    """Take the checksums away, which would be the first to find damage, as files of others
    have none."""
    for path in folder.rglob("checksums.json"):
        path.unlink()
    for path in folder.rglob("*.parquet"):
        pl.read_parquet(path).write_parquet(path)
    for path in folder.rglob("*.json"):
        text = path.read_text()
        path.write_text(re.sub(r'"checksum": "mktn-crc32c:[0-9a-f]{8}",?', "", text))


def _do(command: str, kept: dict[str, str], settings: object = None, **options: object) -> None:
    """Run a command line and move what it wrote to `out/` to its place."""
    assert main(command_line(command, settings, **options)) == 0, command
    for name, place in kept.items():
        target = Path(place or name)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(Path("out") / name, target)


def _scores(run: str) -> dict[str, str]:
    return {"predictions": f"{run}/predictions.parquet", "metrics": f"{run}/metrics.json"}


def _write_human(folder: Path) -> None:
    """Two annotators of each test query."""
    (folder / "human" / "human_reannotation").mkdir(parents=True)
    test = pl.read_parquet("pairs.parquet").filter(split="test")
    lines = ["HITId,video_id,description,start,end"]
    for name, sentence in test.select("video_id", "sentence").iter_rows():
        lines += [f'{hit},{name},"{sentence}",10,{50 + hit}' for hit in (1, 2)]
    path = folder / "human" / "human_reannotation" / "test_00.csv"
    path.write_text("\n".join(lines) + "\n")


def _write_own() -> None:
    """The pairs as a table of one's own, csv and JSON, with splits and no durations."""
    columns = ["sentence", "start_s", "end_s", "split"]
    own = pl.read_parquet("pairs.parquet").select(*columns, video="video_id")
    own.write_csv("own.csv")
    own.write_json("own.json")


def _write_features(folder: Path) -> None:
    videos = pl.read_parquet("pairs.parquet")["video_id"].unique().sort()
    with h5py.File(folder / "features.hdf5", "w") as file:
        for name in videos:
            file[name] = np.ones((5, 4), np.float32)


def _write_tacos(folder: Path) -> None:
    """Videos of four segments, each described twice."""
    folder.mkdir()
    meta = ["video_id,split,fps_2dtan,duration_s_2dtan"]
    for split in ("train", "val", "test"):
        lines = []
        for number in range(3):
            meta.append(f"{split}{number},{split},10,40.0")
            for place, word in enumerate(("knife", "plate", "carrot", "sink")):
                span = f"{place * 100}_{place * 100 + 100}"
                lines.append(f"{split}{number}.avi_{span}:He takes a {word}.#A {word} is seen.#")
        (folder / f"tall_{split}.txt").write_text("\n".join(lines) + "\n")
    (folder / "video_meta.csv").write_text("\n".join(meta) + "\n")


def _write_mirror(folder: Path) -> None:
    """A registry of one file, and a mirror that has it."""
    place = folder / "mirror" / "activitynet_captions"
    place.mkdir(parents=True)
    (place / "train.json").write_bytes(b"{}")
    write_registry(folder, row(b"{}", name="train", path="activitynet_captions/train.json",
                               dataset=DATASET, status="local", note="copy it"))  # fmt: skip
