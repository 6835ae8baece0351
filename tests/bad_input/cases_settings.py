"""Options and settings of the steps that cannot be."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bad_input.case import Case
from tests.bad_input.spoil import folder, other_bytes, put
from tests.bad_input.world import (
    COMMANDS,
    EFFICIENCY,
    EVALUATE,
    IMPORT,
    PRETRAIN,
    SIMULATE,
    SYNTHESIZE,
    TEXT,
    TRAIN,
)

WITHOUT_SETTINGS = (
    *("reannotations", "features", "diagnostics", "tables", "test-sets", "page"),
    "efficiency-table",
    *("verify", "status", "ground", "export"),
)


def train(**changes: Any) -> dict[str, Any]:
    """Settings of a training with sections changed key by key."""
    merged = json.loads(json.dumps(TRAIN))
    for key, value in changes.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = {**merged[key], **value} if both else value
    return merged


def score(**changes: Any) -> dict[str, Any]:
    return {**EVALUATE, **changes}


def _cases() -> Iterator[Case]:
    for command in (c for c in COMMANDS if c not in WITHOUT_SETTINGS):
        usual = COMMANDS[command][1] or {}
        yield from (
            Case(f"{command}: an unknown key", command, r"settings\.bogus: unknown key",
                 settings={**usual, "bogus": 1}),
            Case(f"{command}: broken JSON", command, r"--settings: settings cannot be read",
                 settings='{"seed": '),
            Case(f"{command}: settings that are a list", command, r"settings are not a mapping",
                 put("own.yaml", "[1, 2]"), settings="own.yaml"),
        )  # fmt: skip
    yield from (
        Case("no such settings", "relate", r"none\.yaml: settings cannot be read",
             settings="none.yaml"),
        Case("settings that are a folder", "relate", r"own: settings cannot be read",
             folder("own"), settings="own"),
        Case("settings without UTF-8", "relate", r"own\.yaml: settings cannot be read",
             other_bytes("own.yaml"), settings="own.yaml"),
        Case("settings with a tab", "relate", r"own\.yaml: settings cannot be read",
             put("own.yaml", "threads:\t\n\t- 1"), settings="own.yaml"),
        Case("settings with a key twice", "relate", r"the key 'threads' twice",
             settings='{"threads": 1, "threads": 2}'),
        Case("settings of Python", "relate", r"python/object",
             put("own.yaml", "threads: !!python/object/apply:os.system ['touch it_ran']"),
             settings="own.yaml"),
        Case("settings with NaN", "train", r"NaN, which is no number",
             settings='{"train": {"learning_rate": NaN}}'),
        Case("settings with 1e400", "train", r"1e400, which is too large",
             settings='{"train": {"learning_rate": 1e400}}'),
        Case("settings with a number of 400 digits", "train", r"learning_rate: value refused",
             settings=train(train={"learning_rate": 10**400})),
        Case("settings with numbers for keys", "relate", r"settings\.1: unknown key",
             put("own.yaml", "1: 2\nseed: 3\n"), settings="own.yaml"),
        Case("a list for a section", "train", r"settings\.train: value of another type",
             settings=train(train=[1])),
        Case("a list for a mapping", "train", r"settings\.sizes: value of another type",
             settings={**TRAIN, "sizes": [8]}),
        Case("10**30 epochs", "train", r"epochs: value refused",
             settings=train(train={"epochs": 10**30})),
        Case("10**9 epochs", "train", r"epochs: value refused",
             settings=train(train={"epochs": 10**9})),
        Case("a width of terabytes", "train", r"width: value refused",
             settings=train(sizes={"width": 2**20})),
        Case("heads that do not divide", "train", r"not a multiple of 2 and of heads",
             settings=train(sizes={"width": 10, "heads": 4})),
        Case("sizes of the data", "train", r"settings\.sizes\.frames: key follows from the data",
             settings=train(sizes={"frames": 4})),
        Case("text for a size", "train", r"sizes\.width: value of another type",
             settings=train(sizes={"width": "8"})),
        Case("an unknown variant", "train", r"'wo_all'", settings=train(variant="wo_all")),
        Case("a variant that is a path", "train", r"unknown variant",
             settings=train(variant="../../full")),
        Case("an unknown model", "train", r"model", settings=train(model="vslnet")),
        Case("an unknown partition", "train", r"unknown partition", settings=train(partition="x")),
        Case("a device that is not there", "train", r"device", settings=train(device="tpu")),
        Case("a negative rate", "train", r"learning_rate: value refused",
             settings=train(train={"learning_rate": -1.0})),
        Case("no query in a batch", "train", r"queries 0", settings=train(loader={"queries": 0})),
        Case("a negative weight", "train", r"w_cl: value refused",
             settings=train(losses={"w_cl": -1.0})),
        Case("an unknown schedule", "train", r"schedule: unknown value",
             settings=train(losses={"schedule": "sine"})),
        Case("an ablation of what is not there", "train", r"this ablation of the threshold",
             settings=train(losses={"schedule": "fixed"}, variant="fixed_threshold")),
        Case("a negative seed", "train", r"seed: value refused", settings=train(seed=-4)),
        Case("NMS above 1", "evaluate", r"nms 1\.5", settings=score(nms=1.5)),
        Case("NMS that is true", "evaluate", r"nms True", settings=score(nms=True)),
        Case("NMS of peers at low IoUs", "evaluate", r"nms 'peer'",
             settings=score(nms="peer", ious=[0.01], table_iou=0.01)),
        Case("an IoU that is not scored", "evaluate", r"table_iou 0\.9",
             settings=score(table_iou=0.9)),
        Case("an IoU of 50", "evaluate", r"ious", settings=score(ious=[0.3, 50.0])),
        Case("no IoU", "evaluate", r"table_iou 0\.3 is not", settings=score(ious=[])),
        Case("an IoU twice", "evaluate", r"ious", settings=score(ious=[0.3, 0.3])),
        Case("rank 0 asked for", "evaluate", r"ns: value refused", settings=score(ns=[0])),
        Case("ranks without end", "evaluate", r"ns: value refused", settings=score(ns=[10**9])),
        Case("bootstraps without end", "evaluate", r"bootstraps",
             settings=score(bootstraps=10**12)),
        Case("an unknown source", "evaluate", r"source", settings=score(source="real")),
        Case("a run of another partition", "evaluate", r"another partition",
             settings=score(partition="cd")),
        Case("no round", "efficiency", r"repeats 0", settings={**EFFICIENCY, "repeats": 0}),
        Case("no video", "efficiency", r"videos 0", settings={**EFFICIENCY, "videos": 0}),
        Case("a measurement of another source", "efficiency", r"another source",
             settings={**EFFICIENCY, "source": "published"}),
        Case("a diagnosis of another source", "diagnose", r"another source",
             settings=score(source="published")),
        Case("a negative duration", "synthesize", r"duration_s is -3",
             settings={**SYNTHESIZE, "duration_s": -3}),
        Case("videos without end", "synthesize", r"videos_train",
             settings={**SYNTHESIZE, "videos_train": 10**12}),
        Case("videos of odd size", "synthesize", r"size 33", settings={**SYNTHESIZE, "size": 33}),
        Case("no step", "pretrain", r"steps: value refused", settings={**PRETRAIN, "steps": 0}),
        Case("a crop that is no part", "pretrain", r"does not hold a crop",
             settings={**PRETRAIN, "preprocessing": {"fps": 8.0, "resize": [32], "crop": 64}}),
        Case("a width of 0.5 channels", "pretrain", r"width", settings={**PRETRAIN, "width": 0.5}),
        Case("a negative width", "pretrain", r"width", settings={**PRETRAIN, "width": -1}),
        Case("a dropout of 2", "pretrain", r"dropout", settings={**PRETRAIN, "dropout": 2}),
        Case("a rate below 0", "pretrain", r"learning_rate",
             settings={**PRETRAIN, "learning_rate": -1}),
        Case("no clip in a batch", "extract-video", r"batch: value", settings={"batch": 0}),
        Case("a patience below 0", "extract-video", r"timeout_s -1", settings={"timeout_s": -1}),
        Case("part 3 of 2", "extract-video", r"--part: no such part",
             options={"part": "3", "parts": "2"}),
        Case("part -1", "import-features", r"--part: no such part", options={"part": "-1"}),
        Case("no dimension", "import-features", r"dimension", settings={"fit": "duration"}),
        Case("a dimension of 0", "import-features", r"dimension",
             settings={**IMPORT, "dimension": 0}),
        Case("a name that leaves the file", "import-features", r"features\.hdf5|name",
             settings={**IMPORT, "name": "../../{name}"}),
        Case("no frame", "resample", r"--frames", options={"frames": "0"}),
        Case("frames without end", "resample", r"--frames", options={"frames": str(10**12)}),
        Case("no word", "extract-text", r"max_words", settings={**TEXT, "max_words": 0}),
        Case("no step of skip-thought", "extract-text", r"steps",
             settings={"skipthought": {"steps": 0}}),
        Case("a chance of 3", "simulate", r"missed", settings={**SIMULATE, "missed": 3.0}),
        Case("NaN noise", "simulate", r"NaN", settings='{"noise": NaN}'),
        Case("bins without end", "simulate", r"frames", settings={**SIMULATE, "frames": 10**9}),
        Case("no window", "oracle", r"windows: value refused", settings={"windows": 0}),
        Case("windows without end", "oracle", r"windows", settings={"windows": 10**6}),
        Case("cosine 2", "relate", r"cosine 2", settings={"cosine": 2.0}),
        Case("no thread", "relate", r"threads: value refused", settings={"threads": 0}),
        Case("threads without end", "relate", r"threads", settings={"threads": 10**7}),
        Case("no video in a group", "group", r"videos 0", settings={"videos": 0}),
        Case("a table that is none", "tables", r"--table: invalid choice", options={"table": "9"}),
        Case("a seed that is text", "tables", r"--seed: invalid int", options={"seed": "x"}),
        Case("an unknown dataset", "pairs", r"invalid choice: 'didemo'",
             options={"dataset": "didemo"}),
        Case("an unknown backbone", "pretrain", r"invalid choice: '\.\./c3d'",
             options={"backbone": "../c3d"}),
        Case("an unknown split", "evaluate", r"invalid choice", options={"split": "train"}),
        Case("an option that is none", "relate", r"unrecognized arguments",
             options={"bogus": "1"}),
        Case("no such benchmark", "bench", r"(?s)invalid choice|unrecognized",
             options={"bogus": "1"}),
        Case("a path of 5000 letters", "relate", r"table cannot be read",
             options={"pairs": "p" * 5000}),
        Case("an empty path", "train", r"pairs|cannot be read", options={"pairs": ""}),
        Case("an output that is a folder", "relate", r"out: a folder stands where a file",
             lambda: os.makedirs("out/inside"), options={"out": "out"}),
        Case("an output folder that is a file", "extract-text", r"a file stands where a folder",
             put("out/text.zarr", "mine")),
        Case("an output folder of something else", "resample", r"a folder of something else",
             put("out/t.zarr/thesis.tex", "mine"), options={"out": "out/t.zarr"}),
        Case("an output inside a file", "relate", r"mine", put("mine", "mine"),
             options={"out": "mine/relations.parquet"}),
        Case("a run that is a file", "train", r"run", put("out/run", "mine")),
    )  # fmt: skip
    yield Case(
        "a link to itself", "relate", r"pairs\.parquet: table cannot be read",
        lambda: (Path("pairs.parquet").unlink(), os.symlink("pairs.parquet", "pairs.parquet"))[1],
    )  # fmt: skip


CASES = tuple(_cases())
