"""The columns of a run's log.parquet, one row an epoch: what each is, in order.

A column that repeats is the same to the bit when the run is made again, or resumed, on a CPU with
as many threads; the others are times and sizes of that one run and machine.
"""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

# Of MKTN's answer; of 2D-TAN's, MMN's, IA-Net's and LCNet's; of knowledge transfer.
TERMS = (
    *("span", "float"),
    *("map", "mutual", "align", "boundary", "rank", "cycle"),
    *("csm", "proto", "cl"),
)


@dataclasses.dataclass(frozen=True)
class Column:
    """One column: `kind` is int or float, `repeats` as above."""

    kind: type
    unit: str
    repeats: bool
    meaning: str


def _columns() -> dict[str, Column]:
    losses = {
        name: Column(float, "", True, f"L_{name}, unweighted, mean of the epoch's steps")
        for name in TERMS
    }
    gradients = {
        f"gradient_{name}": Column(
            float, "", True, f"norm of w_{name} L_{name}'s gradient on the encoders, first step"
        )
        for name in TERMS
    }
    return {
        "epoch": Column(int, "", True, "from 0"),
        "steps": Column(int, "", True, "updates in this epoch"),
        **losses,
        "total": Column(float, "", True, "weighted sum of the terms, mean of the steps"),
        "learning_rate": Column(float, "", True, "after the epoch's last step"),
        "threshold": Column(float, "", True, "phi of Eq. 2 in the epoch's last step"),
        "negative_share": Column(
            float, "share", True, "unrelated video-query pairs of a batch that score below phi"
        ),
        "negatives": Column(
            float, "videos", True, "size of a query's negative set: such videos in its batch"
        ),
        "gradient_norm": Column(float, "", True, "before clipping, mean of the steps"),
        "gradient_norm_max": Column(float, "", True, "before clipping, largest of the steps"),
        "clipped_share": Column(float, "share", True, "steps whose gradient was clipped"),
        **gradients,
        "word_padding": Column(float, "share", True, "words of the batches that are padding"),
        "val_mIoU": Column(float, "%", True, "validation; empty where not validated"),
        "val_R1_0.5": Column(float, "%", True, "validation R@1 at IoU 0.5"),
        "seconds": Column(float, "s", False, "the whole epoch"),
        "train_s": Column(float, "s", False, "its training"),
        "validation_s": Column(float, "s", False, "its validation"),
        "queries_per_s": Column(float, "1/s", False, "trained queries a second of training"),
        "videos_per_s": Column(float, "1/s", False, "videos of batches a second of training"),
        "data_wait_share": Column(
            float, "share", False, "of the training time, spent waiting for the next batch"
        ),
        "host_memory_gb": Column(float, "GB", False, "resident memory of the process now"),
        "host_memory_peak_gb": Column(float, "GB", False, "largest since the process started"),
        "gpu_memory_peak_gb": Column(
            float, "GB", False, "largest allocated by torch since the process started"
        ),
        "gpu_reserved_peak_gb": Column(float, "GB", False, "largest that torch reserved"),
    }


COLUMNS: Mapping[str, Column] = MappingProxyType(_columns())
