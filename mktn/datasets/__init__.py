"""The three benchmarks' annotations, and a user's own, as one table of video-query pairs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from mktn.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from mktn.datasets.annotations import PairTable

DATASETS = ("activitynet", "charades", "tacos")
# The splits of each partition, training and validation first, then its test sets: the dataset's
# own; changing distributions (CD); compositional generalisation (CG).
PARTITIONS = {
    "standard": ("train", "val", "test"),
    "cd": ("train", "val", "test_iid", "test_ood"),
    "cg": ("train", "val", "test_trivial", "novel_composition", "novel_word"),
}
# What a dataset of one's own may be called; `word_vectors` is the name of a folder beside theirs.
OWN_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
TAKEN_NAMES = (*DATASETS, "word_vectors")
TEST_SETS = {partition: splits[2:] for partition, splits in PARTITIONS.items()}


def read_pairs(
    dataset: str, directory: str | Path, **options: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`(pairs, rejected)` of a dataset from its published files, plain or `.gz`.

    `directory` is the dataset's folder, or a folder that holds it as
    `activitynet_captions`, `charades_sta` or `tacos`. Options: `version="2dtan"|"tall"`
    (tacos), `validation="official"|"held_out"` (activitynet), and
    `partition="standard"|"cd"|"cg"` (activitynet, charades), which names the splits.

    `pairs`: dataset, split, video_id, pair_id, sentence (str), order (Int64), start_s, end_s,
    duration_s (Float64, seconds), with 0 <= start_s < end_s <= duration_s; ends beyond the
    video are clipped. `rejected`: the rows that cannot be used, as annotated, with `reason`.
    Rows are in file order, train before val before the test sets. Raises UserError on a file that
    is absent or broken, on an unknown dataset, and on an option that the dataset does not have.
    """
    return read_table(dataset, directory, **options).frames()


def read_table(dataset: str, directory: str | Path, **options: str) -> PairTable:
    """As `read_pairs`, with the counts of clipped ends beside the frames."""
    from mktn.datasets import activitynet, charades, tacos

    partition = {"partition": tuple(PARTITIONS)}
    readers: dict[str, tuple[Callable[..., PairTable], dict[str, tuple[str, ...]]]] = {
        "activitynet": (activitynet.read, {"validation": activitynet.VALIDATIONS, **partition}),
        "charades": (charades.read, partition),
        "tacos": (tacos.read, {"version": tacos.VERSIONS}),
    }
    if dataset not in readers:
        raise UserError(
            "unknown dataset", found=repr(dataset), expected=f"one of {', '.join(DATASETS)}"
        )
    read, known = readers[dataset]
    for name, value in options.items():
        if name not in known:
            expected = f"one of {', '.join(known)}" if known else "no options"
            raise UserError("unknown option", where=dataset, found=repr(name), expected=expected)
        if value not in known[name]:
            raise UserError(
                "unknown value",
                where=f"{dataset}, {name}",
                found=repr(value),
                expected=f"one of {', '.join(known[name])}",
            )
    return read(Path(directory), **options)


def check_own_name(name: str, where: str) -> None:
    """Raises UserError where a dataset of one's own cannot have this name."""
    if not OWN_NAME.fullmatch(name) or name in TAKEN_NAMES:
        raise UserError(
            "no name for a dataset of your own",
            where=where,
            found=repr(name[:80]),
            expected="1 to 40 of a-z, 0-9, _ and -, a letter first, and none of "
            + ", ".join(TAKEN_NAMES),
        )
