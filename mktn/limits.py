"""Least and most of a setting, by its name: one name means the same in all steps.

What is more would compute for years or ask for terabytes; what is less has no meaning. Each step
still refuses what its own settings cannot be together.
"""

from collections.abc import Mapping

INFINITE = float("inf")
VIDEOS, SIZE = 10**6, 65536

LIMITS: Mapping[str, tuple[float, float]] = {
    "seed": (0, 2**53),
    "threads": (1, 4096),
    **dict.fromkeys(("videos_train", "videos_val", "videos_test"), (1, VIDEOS)),
    "epochs": (1, 10**4),
    "steps": (1, 10**7),
    **dict.fromkeys(("batch", "frames"), (1, 10**5)),
    "queries": (0, 10**9),  # also of a data set
    **dict.fromkeys(("bootstraps", "related"), (0, VIDEOS)),
    **dict.fromkeys(("ns", "nearest", "max_words"), (1, 10**4)),
    "dimension": (1, SIZE),
    "patch_dimension": (0, SIZE),
    "patches": (0, 4096),
    **dict.fromkeys(("heads", "objects", "phrases", "activities", "virtual_patches"), (1, 1024)),
    "decode_workers": (0, 1024),
    "windows": (1, 512),
    "padding": (0, 1024),
    "blocks": (1, 64),
    "window_frames": (1, 10**5),
    "positive_iou": (0, 1),
    "width": (1e-3, 16384),
    **dict.fromkeys(("ious", "table_iou", "warm_up", "dropout", "feature_dropout"), (0, 1)),
    "word_dropout": (0, 1),
    **dict.fromkeys(("phi_initial", "phi_final"), (-1, 1)),
    **dict.fromkeys(("w_span", "w_float", "w_csm", "w_proto", "w_cl"), (0, INFINITE)),
    **dict.fromkeys(("w_align", "w_boundary"), (0, INFINITE)),
    **dict.fromkeys(("weight_decay", "memory_gb", "class_weight", "noise"), (0, INFINITE)),
    **dict.fromkeys(("learning_rate", "clip_norm", "x_max", "alpha"), (1e-300, INFINITE)),
}
