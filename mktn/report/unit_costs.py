"""What one unit of work or of data costs, and how each was measured.

Bytes that follow from shapes (features, text, weights) are not here: `mktn.report.plan` computes
them. Seconds are of one core of the machine that docs/scaling.md describes.
"""

from typing import NamedTuple


class Cost(NamedTuple):
    """A number of this unit, and the command or files that it was read from."""

    value: float
    unit: str
    measured: str


COST_BENCH = "mktn bench cost"
RELATIONS = "mktn bench relations, of ActivityNet Captions"
FILES = "the step's file of ActivityNet Captions"

UNIT_COSTS = {
    "clip_c3d": Cost(77.06, "GFLOP a clip of 16 x 112 x 112", COST_BENCH),
    "clip_i3d": Cost(55.58, "GFLOP a clip of 16 x 224 x 224", COST_BENCH),
    "train_activitynet": Cost(4.237, "GFLOP a query, 200 x 500, width 256", COST_BENCH),
    "train_charades": Cost(1.417, "GFLOP a query, 64 x 1024, width 256", COST_BENCH),
    "train_tacos": Cost(5.157, "GFLOP a query, 200 x 4096, width 256", COST_BENCH),
    "answer_activitynet": Cost(1.335, "GFLOP a query, 200 x 500, width 256", COST_BENCH),
    "answer_charades": Cost(0.445, "GFLOP a query, 64 x 1024, width 256", COST_BENCH),
    "answer_tacos": Cost(1.795, "GFLOP a query, 200 x 4096, width 256", COST_BENCH),
    "parameters_activitynet": Cost(7_028_750, "numbers, width 256", COST_BENCH),
    "parameters_charades": Cost(7_664_654, "numbers, width 256", COST_BENCH),
    "parameters_tacos": Cost(11_631_630, "numbers, width 256", COST_BENCH),
    "core_c3d": Cost(0.535, "core seconds a clip", COST_BENCH),
    "core_i3d": Cost(0.600, "core seconds a clip", COST_BENCH),
    "core_train": Cost(69.0, "GFLOP/s of a core, training", COST_BENCH),
    "core_answer": Cost(76.0, "GFLOP/s of a core, answering", COST_BENCH),
    "memory_clip": Cost(1.3e9, "bytes of a process on a clip, weights included", COST_BENCH),
    "memory_activitynet": Cost(2.65e9, "bytes of a training, without features", COST_BENCH),
    "memory_charades": Cost(1.35e9, "bytes of a training, without features", COST_BENCH),
    "memory_tacos": Cost(2.66e9, "bytes of a training, without features", COST_BENCH),
    "resample": Cost(3.0, "core seconds a GB of clip rows", "overlap_mean on three widths"),
    "relate": Cost(5.7e-8, "core seconds a pair of training queries", RELATIONS),
    "group": Cost(2.5e-5, "core seconds a training query", RELATIONS),
    "relations": Cost(16.0, "rows a training query at most, 2 kinds of 8", "config.yaml"),
    "pairs_row": Cost(36.3, "bytes a pair", FILES),
    "relations_row": Cost(4.6, "bytes a row", FILES),
    "groups_row": Cost(7.4, "bytes a pair", FILES),
    "predictions_row": Cost(159.0, "bytes a query, 5 moments each", FILES),
}
