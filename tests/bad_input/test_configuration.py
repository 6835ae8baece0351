"""A configuration that cannot be: said before the first job, in one line."""

import functools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from mktn.config import check, check_file, with_numbers
from mktn.errors import UserError

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "workflow" / "schemas" / "config.schema.yaml"
NAN, INFINITE = float("nan"), float("inf")

# what is wrong -> a key and its value, and what the line says
CASES: dict[str, tuple[str, Any, str]] = {
    # of another type
    "text for a number": ("train.epochs", "many", r"train\.epochs: .*found 'many'"),
    "a number for text": ("results", 5, r"results: .*found 5, expected the path of a folder"),
    "a list for a number": ("sizes.width", [64], r"sizes\.width: .*found \[64\]"),
    "a mapping for a list": ("seeds", {"a": 1}, r"seeds: .*expected whole numbers"),
    "a number for a section": ("losses", 3, r"losses: "),
    "null for a section": ("train", None, r"train: .*found None"),
    "true for a number": ("train.epochs", True, r"train\.epochs: .*found True"),
    "a fraction of epochs": ("train.epochs", 1.5, r"train\.epochs: .*found 1\.5"),
    # unknown
    "an unknown key": ("trian", {}, r"trian: unknown key.* expected 'train'\?"),
    "an unknown key inside": ("losses.w_clip", 1, r"losses\.w_clip: unknown key.*'w_cl'\?"),
    "an unknown dataset": ("datasets", ["didemo"], r"datasets\.0: .*found 'didemo'"),
    "an unknown dataset of its own": ("per_dataset.didemo", {}, r"didemo: unknown key"),
    "an unknown variant": ("variants", ["full", "wo_all"], r"variants\.1: .*'wo_all'"),
    "an unknown source": ("source", "real", r"source: .*expected one of synthetic"),
    "a path for a backbone": ("per_dataset.charades.features.backbone", "../i3d", r"backbone"),
    "a key that is a number": ("train", {1: 2}, r"train: a key that is no text, found 1"),
    # out of range
    "no epoch": ("train.epochs", 0, r"train\.epochs: .*found 0, expected .*from 1 to 10000"),
    "10**30 epochs": ("train.epochs", 10**30, r"train\.epochs: .*expected at most"),
    "more epochs than can be": ("train.epochs", 10**9, r"train\.epochs: .*1 to 10000"),
    "digits without end": ("seeds", [10**5000], r"seeds\.0: .*more than 40 digits"),
    "a width of terabytes": ("sizes.width", 10**6, r"sizes\.width: .*from 2 to 16384"),
    "an infinite rate": ("train.learning_rate", INFINITE, r"learning_rate: .*found inf"),
    "1.0e400": ("train.learning_rate", float("1e400"), r"learning_rate: .*a finite number"),
    "NaN": ("losses.w_cl", NAN, r"losses\.w_cl: .*found nan, expected a finite number"),
    "NaN in a list": ("evaluation.ious", [0.5, NAN], r"evaluation\.ious\.1: .*found nan"),
    "a negative seed": ("seed", -1, r"seed: .*found -1"),
    "a negative seed of training": ("seeds", [0, -3], r"seeds\.1: .*found -3"),
    "a negative duration": ("synthetic.duration_s", -5, r"duration_s: .*found -5"),
    "a negative time": ("extract.timeout_s", -1, r"extract\.timeout_s: .*above 0"),
    "no frame": ("features.frames", 0, r"features\.frames: .*found 0"),
    "no part": ("features.parts", 0, r"features\.parts: .*found 0"),
    "no thread": ("threads", 0, r"threads: .*found 0"),
    "no rank": ("evaluation.ns", [0], r"evaluation\.ns\.0: .*found 0"),
    "NMS above 1": ("per_dataset.tacos.evaluation.nms", 1.5, r"nms: .*1\.5.*up to 1, or peer"),
    "NMS of 0": ("per_dataset.tacos.evaluation.nms", 0, r"nms: .*an IoU above 0"),
    "an IoU of 50": ("per_dataset.tacos.evaluation.ious", [0.3, 50], r"ious\.1: .*found 50"),
    "q above 1": ("losses.q", 1.5, r"losses\.q: .*found 1\.5"),
    "a dropout of 1": ("sizes.dropout", 1.0, r"sizes\.dropout: .*below 1"),
    "a threshold that is no cosine": ("losses.phi_final", 7, r"phi_final: .*from -1 to 1"),
    "all steps warm up": ("train.warm_up", 1, r"train\.warm_up: .*below 1"),
    "videos of odd size": ("synthetic.size", 65, r"synthetic\.size: .*even"),
    "videos too slow to move": ("synthetic.fps", 2, r"synthetic\.fps: .*from 6"),
    # empty and repeated
    "no dataset": ("datasets", [], r"datasets: .*found \[\]"),
    "a dataset twice": ("datasets", ["tacos", "tacos"], r"datasets: .*'tacos', 'tacos'"),
    "no seed": ("seeds", [], r"seeds: .*found \[\]"),
    "a seed twice": ("seeds", [3, 3], r"seeds: .*\[3, 3\]"),
    "a variant twice": ("variants", ["full", "full"], r"variants: .*'full', 'full'"),
    "no variant": ("variants", [], r"variants: .*found \[\]"),
    "an IoU twice": ("per_dataset.tacos.evaluation.ious", [0.3, 0.3], r"ious: .*each once"),
    "no folder of results": ("results", "", r"results: .*found ''"),
    "a wildcard in the results": ("results", "a{b}", r"results: .*without braces"),
    "a line break in the results": ("results", "a\nb", r"results: .*'a\\nb'"),
    # contradictory
    "heads that do not divide": ("sizes.heads", 5, r"sizes\.width of .*multiple of 2 and .* 5"),
    "an odd width": ("sizes", {"width": 9, "heads": 3}, r"sizes\.width of .*multiple of 2"),
    "a table's IoU that is not scored": (
        "per_dataset.tacos.evaluation.table_iou", 0.7,
        r"per_dataset\.tacos\.evaluation\.table_iou: .*found 0\.7, expected one of ious",
    ),
    "an even kernel": ("models.tan2d.sizes.kernel", 4, r"models\.tan2d\.sizes of .*kernel 4"),
    "heads of a peer": ("models.lcnet.sizes.heads", 3, r"models\.lcnet\.sizes of .*width 64"),
    "a map too small": ("models.mmn.sizes.cells", 8, r"models\.mmn\.sizes of .*the map has 8"),
    "windows of a shorter video": (
        "per_dataset.tacos.models.ianet.sizes.windows", [16, 300],
        r"per_dataset\.tacos\.models\.ianet\.sizes: keys",
    ),
    "overlaps that cross": ("models.tan2d.grounding.t_min", 0.8, r"grounding\.t_min of .*0\.7"),
    "no IoU": ("per_dataset.tacos.evaluation", {}, r"evaluation\.ious of tacos: keys contradict"),
    "IoUs that NMS takes away": (
        "per_dataset.tacos.evaluation", {"ious": [0.05], "table_iou": 0.05, "nms": "peer"},
        r"per_dataset\.tacos\.evaluation\.ious: .*IoUs above 0\.05",
    ),
    "an IoU above 1": (
        "per_dataset.tacos.evaluation", {"ious": [1], "table_iou": 1, "nms": 0.5},
        r"no IoU is > 1",
    ),
    "an ablation of what is not there": (
        "losses.schedule", "fixed", r"losses\.schedule of .*fixed_threshold",
    ),
    "synthetic videos without a backbone": (
        "features.backbone", "s3d", r"features\.backbone of .*'s3d', expected one of c3d, i3d",
    ),
    "a fraction of a channel": ("pretrain.c3d.width", 0.5, r"pretrain\.c3d\.width: .*whole"),
    "a crop that is no part": ("pretrain.c3d.preprocessing.crop", 4096, r"preprocessing.*crop"),
    "a source without its files": ("source", "simulated", r"mirror: .*a directory of the publ"),
    "a dataset of one's own elsewhere": ("datasets", ["kitchen"], r"datasets\.0: .*own has"),
    "a benchmark of one's own": ("source", "own", r"datasets\.\d: .*the name of your own"),
    "a name of another source": ("per_dataset.kitchen", {"own": {}}, r"kitchen: unknown key"),
    "fractions above 1": ("own.fractions.train", 2, r"own\.fractions\.train: .*from 0 to 1"),
    "a table that is a number": ("own.table", 5, r"own\.table: .*csv or JSON"),
    "a partition of synthetic data": ("pairs.partition", "cd", r"source: |datasets\.2: "),
}  # fmt: skip


@functools.cache
def text_of_default() -> str:
    return json.dumps(yaml.safe_load((ROOT / "config.yaml").read_text()))


def default() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(text_of_default())
    return loaded


@pytest.mark.parametrize("case", CASES)
def test_a_value_that_cannot_be(case: str) -> None:
    path, value, says = CASES[case]
    config = default()
    *sections, key = path.split(".")
    place = config
    for section in sections:
        place = place.setdefault(section, {})
    place[key] = value
    with pytest.raises(UserError) as error:
        check(with_numbers(config), SCHEMA)
    line = str(error.value)
    assert re.search(says, line), line
    assert "\n" not in line
    assert len(line) < 700


LAUGHS = "\n".join(
    ["a0: &a0 [1, 2]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 20))]
)
# what is wrong -> the bytes of a file, and what the line says
FILES: dict[str, tuple[bytes, str]] = {
    "a key twice": (b"seed: 0\nseeds: [1]\nseed: 2\n", r"line 3: the key 'seed' twice"),
    "a key twice inside": (b"train:\n  epochs: 1\n  epochs: 2\n", r"line 3: the key 'epochs'"),
    "a key twice in JSON": (b'{"seed": 0, "seed": 1}', r"the key 'seed' twice"),
    "NaN in JSON": (b'{"seed": NaN}', r"NaN, which is no number of JSON"),
    "1e400 in JSON": (b'{"seed": 1e400}', r"1e400, which is too large"),
    "a tab": (b"train:\n\tepochs: 1\n", r"'\\t'"),
    "cut short": (b"seeds: [0, 1", r"expected ',' or ']'"),
    "no UTF-8": (b"results: r\xe9sultats\n", r"'utf-8' codec"),
    "a control character": (b"results: a\x00b\n", r"special characters"),
    "an object of Python": (b"seed: !!python/object/apply:os.system ['true']\n", r"python/object"),
    "a name of Python": (b"seed: !!python/name:os.system\n", r"python/name"),
    "anchors that multiply": (LAUGHS.encode(), r"more than 100000 values"),
    "an anchor of itself": (b"a: &a [*a]\n", r"holds itself"),
    "nested without end": (b"[" * 100_000, r"nested too deep"),
    "two documents": (b"seed: 1\n---\nseed: 2\n", r"single document"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_cannot_be(case: str, tmp_path: Path) -> None:
    content, says = FILES[case]
    path = tmp_path / "own.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=says) as error:
        check_file(path)
    assert str(error.value).startswith(f"{path}: configuration cannot be read")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content", [b"\xef\xbb\xbfseed: 1\n", b"seed: 1\r\n", b"", b"# nothing\n"]
)
def test_a_byte_order_mark_line_ends_of_windows_and_nothing_are_read(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "own.yaml"
    path.write_bytes(content)
    check_file(path)


def test_an_anchor_that_is_used_a_few_times_is_read(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("a: &sizes {width: 8}\nb: {<<: *sizes, heads: 2}\nc: *sizes\n")
    check_file(path)
