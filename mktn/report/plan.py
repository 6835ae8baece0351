"""`mktn plan`: jobs, bytes, hours and memory of a workload, stage by stage, before anything runs.

Bytes follow from shapes and from measured rows of Parquet; hours from counted operations and
measured rates (`mktn.report.unit_costs`). Hours on a GPU are an estimate: operations over the rate
that the user says the card reaches.
"""

import argparse
import csv
import io
from dataclasses import asdict, dataclass
from pathlib import Path

from mktn.config import fill, read_settings
from mktn.files import write_text
from mktn.report.unit_costs import UNIT_COSTS

HALF, SINGLE, INTEGER = 2, 4, 8  # bytes of a number
SPAN = 2 * SINGLE
CHUNK_INDEX = 16  # bytes a chunk in the index of its shard
GIGA = 1e9
HOUR_S = 3600.0


@dataclass(frozen=True)
class Workload:
    """Sizes of a job; what a benchmark or the user says of it.

    videos of `seconds` on average, `queries` of which `training` are trained on and `test` are
    asked; D = dimension, C = patches, D_p = patch_dimension, T = frames. backbone: c3d | i3d, at
    `fps` frames a second, a clip every `stride`. costs: the benchmark whose operations a query are
    taken, scaled with T. gpu_tflops: what a card reaches on clips, not its data sheet,
    and gpu_train_tflops on the small products of a training; 0: no GPU.
    memory_gb: up to how much of the features a training holds.
    """

    videos: int
    seconds: float
    queries: int
    training: int
    test: int
    fps: float
    clip: int
    stride: int
    dimension: int
    frames: int
    costs: str
    backbone: str
    patches: int = 0
    patch_dimension: int = 0
    words: float = 13.2  # a query
    word_dimension: int = 300
    sentence_dimension: int = 512
    parts: int = 1
    epochs: int = 12
    trainings: int = 1  # variants x seeds
    gpu_tflops: float = 20.0
    gpu_train_tflops: float = 2.0
    memory_gb: float = 12.0

    def __post_init__(self) -> None:
        for name in ("videos", "queries", "training", "stride", "frames", "dimension", "parts"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)}: expected at least 1")
        if self.training + self.test > self.queries:
            raise ValueError(f"queries {self.queries}: expected training and test among them")
        for name in ("seconds", "fps"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} {getattr(self, name)}: expected more than 0")
        for name in ("gpu_tflops", "gpu_train_tflops"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} {getattr(self, name)}: expected 0 or more")
        for name in (f"train_{self.costs}", f"clip_{self.backbone}"):
            if name not in UNIT_COSTS:
                known = [key for key in UNIT_COSTS if key.startswith(name.partition("_")[0])]
                raise ValueError(f"{name}: expected one of {', '.join(known)}")

    @property
    def clips(self) -> float:
        """Rows of the parts: clips of all videos."""
        return self.videos * max(1.0, (self.seconds * self.fps - self.clip) // self.stride + 1)

    @property
    def row_numbers(self) -> int:
        """Numbers of one clip or frame, D + C D_p."""
        return self.dimension + self.patches * self.patch_dimension


# The published annotations, features as published.yaml has them, all trainings of Tables 3 to 7.
WORKLOADS = {
    "activitynet": Workload(
        videos=14926, seconds=117.6, queries=71953, training=37417, test=17031, fps=29.8, clip=16,
        stride=8, dimension=500, frames=200, costs="activitynet", backbone="c3d", trainings=16,
    ),
    "charades": Workload(
        videos=6670, seconds=30.6, queries=16124, training=11189, test=3720, fps=24, clip=16,
        stride=8, dimension=1024, frames=64, costs="charades", backbone="i3d", words=6.2,
        trainings=5,
    ),
    "tacos": Workload(
        videos=127, seconds=286.6, queries=18227, training=9790, test=4001, fps=29.4, clip=64,
        stride=12, dimension=4096, frames=200, costs="tacos", backbone="c3d", words=8.5,
        trainings=5,
    ),
    "million": Workload(
        videos=1_000_000, seconds=117.6, queries=5_000_000, training=4_500_000, test=250_000,
        fps=29.8, clip=16, stride=8, dimension=500, frames=200, costs="activitynet",
        backbone="c3d", parts=1000,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """What a stage takes: bytes on disk, core and GPU hours of all its jobs, memory of one.

    gpu_hours is 0 where nothing of it runs on a GPU; core_hours are those without a GPU. knob:
    the options that move it.
    """

    stage: str
    jobs: int
    disk_bytes: float
    core_hours: float
    gpu_hours: float
    memory_bytes: float
    grows_with: str
    knob: str


def part_bytes(rows: float, row_numbers: int) -> float:
    """Bytes of the arrays of parts: float16 rows with their float32 times."""
    return rows * (HALF * row_numbers + SPAN)


def resampled_bytes(videos: float, frames: int, row_numbers: int) -> float:
    """Bytes of a T store's arrays: float16 frames, one chunk a video."""
    return videos * (HALF * frames * row_numbers + CHUNK_INDEX)


def text_bytes(
    queries: float, words: float, word_dimension: int, sentence_dimension: int
) -> float:
    """Bytes of a text store, on disk and in memory: float32 vectors and an offset a query."""
    return queries * (SINGLE * (words * word_dimension + sentence_dimension) + INTEGER)


def plan(of: Workload) -> list[Stage]:
    """The stages of a workload in the order in which they run."""
    cost = {name: cost.value for name, cost in UNIT_COSTS.items()}
    scale = of.frames / (64 if of.costs == "charades" else 200)
    parts = part_bytes(of.clips, of.row_numbers)
    store = resampled_bytes(of.videos, of.frames, of.row_numbers)
    text = text_bytes(of.queries, of.words, of.word_dimension, of.sentence_dimension)
    relations = cost["relations"] * of.training
    sentences = SINGLE * of.sentence_dimension * of.training
    weights = SINGLE * cost[f"parameters_{of.costs}"]
    held = store if store <= of.memory_gb * GIGA else 0.0
    training = of.training * of.epochs * of.trainings * cost[f"train_{of.costs}"] * scale
    answering = of.test * of.trainings * cost[f"answer_{of.costs}"] * scale
    extraction = of.clips * cost[f"clip_{of.backbone}"]
    process = cost[f"memory_{of.costs}"]

    def gpu_h(gflop: float, tflops: float) -> float:
        return gflop / (tflops * 1000) / HOUR_S if tflops else 0.0

    seconds = {
        "extract": of.clips * cost[f"core_{of.backbone}"],
        "train": training / cost["core_train"],
        "evaluate": answering / cost["core_answer"],
        "resample": parts / GIGA * cost["resample"],
        "relate": cost["relate"] * float(of.training) ** 2,
        "group": cost["group"] * of.training,
    }
    return [
        Stage("pairs", 1, cost["pairs_row"] * of.queries, 0.0, 0.0, 0.0, "queries", ""),
        Stage(
            "extract_video", of.parts, parts, seconds["extract"] / HOUR_S,
            gpu_h(extraction, of.gpu_tflops), cost["memory_clip"],
            "hours of video x fps / stride", "fps, stride, backbone, extract.patch_grid",
        ),
        Stage(
            "resample", 1, store, seconds["resample"] / HOUR_S, 0.0, 0.0, "videos x T x D",
            "features.frames, features.compressor",
        ),
        Stage(
            "extract_text", 1, text, 0.0, 0.0, text, "words", "text.max_words, text.skipthought",
        ),
        Stage(
            "relate", 1, cost["relations_row"] * relations, seconds["relate"] / HOUR_S, 0.0,
            sentences, "training queries, squared", "relations.nearest (bytes), threads",
        ),
        Stage(
            "group", 1, cost["groups_row"] * of.queries, seconds["group"] / HOUR_S, 0.0, 0.0,
            "relations", "relations.nearest",
        ),
        Stage(
            "train", of.trainings, weights * of.trainings, seconds["train"] / HOUR_S,
            gpu_h(training, of.gpu_train_tflops), held + text + process,
            "queries x T x epochs x trainings",
            "features.frames, train.epochs, variants, seeds; of memory loader.memory_gb, text",
        ),
        Stage(
            "evaluate", of.trainings, cost["predictions_row"] * of.test * of.trainings,
            seconds["evaluate"] / HOUR_S, gpu_h(answering, of.gpu_train_tflops),
            held + text + process, "test queries x T x trainings", "variants, seeds",
        ),
    ]  # fmt: skip


def as_text(stages: list[Stage], of: Workload) -> str:
    """The plan as an aligned table, what one video takes, and which stage is the largest.

    A dash is what is not counted: it is small beside the others.
    """
    rows: list[tuple[str, ...]] = [
        ("stage", "jobs", "disk GB", "core h", "GPU h*", "memory GB", "grows with")
    ]
    rows += [
        (
            *(each.stage, str(each.jobs), f"{each.disk_bytes / GIGA:.3f}"),
            *(_shown(x) for x in (each.core_hours, each.gpu_hours, each.memory_bytes / GIGA)),
            each.grows_with,
        )
        for each in stages
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip()
             for row in rows]  # fmt: skip
    on_disk = sum(each.disk_bytes for each in stages)
    lines.append(f"{on_disk / GIGA:.1f} GB in all, {on_disk / of.videos / 1e6:.3f} MB a video")
    for what, unit in (("disk_bytes", "disk"), ("core_hours", "core hours"),
                       ("gpu_hours", "GPU hours"), ("memory_bytes", "memory")):  # fmt: skip
        most = max(stages, key=lambda each: getattr(each, what))
        if getattr(most, what):
            lines.append(f"most {unit}: {most.stage}; what moves it: {most.knob}")
    lines.append(
        f"* an estimate: {of.gpu_tflops:g} TFLOP/s reached on clips, {of.gpu_train_tflops:g} in "
        "training; core h are without a GPU"
    )
    return "\n".join(lines)


def _shown(value: float) -> str:
    return f"{value:.2f}" if value else "-"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `mktn plan`."""
    parser.add_argument("--of", choices=tuple(WORKLOADS), default="activitynet")
    parser.add_argument("--settings", help="JSON or a file: sizes laid over those of --of")
    parser.add_argument("--out", type=Path, help="csv, in bytes and hours; written")


def run(arguments: argparse.Namespace) -> None:
    """`mktn plan`."""
    of = fill(Workload, {**asdict(WORKLOADS[arguments.of]), **read_settings(arguments.settings)})
    stages = plan(of)
    print(as_text(stages, of))
    if arguments.out:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(asdict(stages[0])), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(each) for each in stages)
        write_text(text.getvalue(), arguments.out)
