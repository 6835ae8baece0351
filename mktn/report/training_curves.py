"""Curves of training: loss terms and validation, the threshold and the negative set, by epoch."""

import math
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from mktn.engine.log_columns import TERMS
from mktn.engine.run_state import best_of
from mktn.errors import UserError
from mktn.features.table_checks import check_columns
from mktn.parquet import read_parquet
from mktn.report.layouts import titles
from mktn.report.results import Run

CURVES = (
    *("model", "variant", "dataset", "seed", "epoch", "quantity", "value", "selected"),
    *("validation", "source"),
)
VALIDATION = "val_mIoU"
# figure -> the columns of log.parquet that it shows, in its order.
QUANTITIES = {
    "training": (*TERMS, VALIDATION),
    "negatives": ("threshold", "negative_share", "negatives"),
}
AGAIN = "train the run again"
MEAN = "mean"  # in place of a seed


def curve_rows(figure: str, runs: Sequence[Run], logs: Sequence[Path]) -> list[list[object]]:
    """Rows of CURVES: each seed's, then of several seeds their mean over the epochs of all.

    `logs` in the order of `runs`. A value that is null or no number in a log has no row, and a
    term that the model does not have has none at all. `selected`: 1 at the epoch whose weights
    were kept, the first with the best validation mIoU; of a mean it is 0. Raises UserError where
    a log is broken or has no epoch.
    """
    read = {id(run): _read_log(path) for run, path in zip(runs, logs, strict=True)}
    rows: list[list[object]] = []
    for dataset in titles(run.dataset for run in runs):
        seeds = sorted((r for r in runs if r.dataset == dataset), key=lambda run: run.seed)
        for quantity in QUANTITIES[figure]:
            curves = []
            for run in seeds:
                log = read[id(run)]
                _, selected = best_of(log.select("epoch", VALIDATION).to_dicts())
                curve = {
                    epoch: value
                    for epoch, value in log.select("epoch", quantity).iter_rows()
                    if value is not None and math.isfinite(value)
                }
                curves.append(curve)
                rows += [
                    _row(run, run.seed, epoch, quantity, value, epoch == selected)
                    for epoch, value in curve.items()
                ]
            if len(seeds) > 1:
                shared = [epoch for epoch in curves[0] if all(epoch in of for of in curves)]
                rows += [
                    _row(seeds[0], MEAN, epoch, quantity, sum(of[epoch] for of in curves)
                         / len(curves), False)
                    for epoch in shared
                ]  # fmt: skip
    return rows


def _row(
    run: Run, seed: int | str, epoch: int, quantity: str, value: float, selected: bool
) -> list[object]:
    return [
        *(*run.system, run.dataset, seed, epoch, quantity, f"{value:.6g}", int(selected)),
        *(run.validation, run.source),
    ]


def _read_log(path: Path) -> pl.DataFrame:
    shown = sorted({name for names in QUANTITIES.values() for name in names})
    # Not as other tables are read: a term of the loss has the name of a column of theirs.
    try:
        log = read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UserError("log cannot be read", where=path, found=error, do=AGAIN) from error
    check_columns(log, ("epoch", *shown), path, AGAIN)
    if log.is_empty():
        raise UserError("log has no epoch", where=path, expected="at least one", do=AGAIN)
    for name in ("epoch", *shown):
        kind = log[name].dtype
        fits = kind.is_integer() if name == "epoch" else kind.is_numeric() or kind == pl.Null
        if not fits or (name == "epoch" and log[name].has_nulls()):
            raise UserError(
                "column of another type",
                where=f"{path}, {name}",
                found=kind,
                expected="whole numbers" if name == "epoch" else "numbers",
                do=AGAIN,
            )
    return log
