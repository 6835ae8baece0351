"""`mktn evaluate`: predictions and metrics of a trained run, or of a baseline without a model."""

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from mktn.checksums import write_sealed_json
from mktn.config import fill, read_settings
from mktn.datasets import TEST_SETS
from mktn.engine.baselines import place_prior, places, random_moments, train_prior
from mktn.engine.checkpoint import load
from mktn.engine.metrics import METRICS_FORMAT, evaluate_rankings
from mktn.engine.predict import Predictions, choose_device, predict
from mktn.engine.trained_on import check_same, check_sizes
from mktn.models.variants import BLIND

if TYPE_CHECKING:
    from mktn.grouping.loader import LoaderConfig, PairData

BASELINES = ("random", "train-prior", "place-prior")
EVALUATED = ("val", *(name for names in TEST_SETS.values() for name in names))


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """The protocol that scores are computed under; all of it is written into metrics.json."""

    source: str
    dataset: str
    ious: tuple[float, ...]
    table_iou: float  # the lower IoU of the paper's table; the train prior is fitted to it
    nms: Any = 0.5  # an IoU, or "peer": IoU - 0.05 for each IoU (TALL, DRN)
    ns: tuple[int, ...] = (1, 5)
    comparison: Literal[">", ">="] = ">"
    order: Literal["annotation", "shuffled", "none"] = "annotation"
    alone: bool = False  # a query at a time, so that none sees another
    validation: Literal["official", "held_out", "own"] = "official"
    partition: str = "standard"  # mktn.datasets.PARTITIONS
    bootstraps: int = 1000
    seed: int = 0
    device: str = "auto"
    threads: int = 1
    loader: dict[str, Any] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        number = isinstance(self.nms, int | float) and not isinstance(self.nms, bool)
        if self.nms != "peer" and not (number and 0 < self.nms <= 1):
            raise ValueError(f'nms {self.nms!r} is neither "peer" nor in (0, 1]')
        if not self.ns or min(self.ns) < 1 or min(self.bootstraps, self.threads) < 1:
            raise ValueError("ns, bootstraps and threads must be 1 or more")
        if self.table_iou not in self.ious:
            raise ValueError(f"table_iou {self.table_iou} is not among the ious {self.ious}")
        if len(set(self.ious)) < len(self.ious) or len(set(self.ns)) < len(self.ns):
            raise ValueError(f"ious {self.ious} or ns {self.ns} stand twice")
        if min(self.thresholds().values()) <= 0:
            raise ValueError(f"nms 'peer' takes 0.05 off each of the ious {self.ious}")

    def thresholds(self) -> dict[float, float]:
        """The NMS threshold that each IoU's ranking is made with."""
        peer = self.nms == "peer"
        return {iou: round(iou - 0.05, 4) if peer else float(self.nms) for iou in self.ious}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `mktn evaluate`."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--run", help="folder of a trained run")
    what.add_argument("--baseline", choices=BASELINES, help="no model: a baseline")
    add_data(parser)
    parser.add_argument("--rejected", required=True, help="rejected.parquet of the groups")
    parser.add_argument("--predictions", required=True, help="output: predictions.parquet")
    parser.add_argument("--metrics", required=True, help="output: metrics.json")
    parser.add_argument("--settings", required=True, help="JSON or a file: EvaluationConfig")


def add_data(parser: argparse.ArgumentParser) -> None:
    """Options for the data that a trained run is asked about."""
    parser.add_argument("--pairs", required=True, help="pairs.parquet")
    parser.add_argument("--groups", required=True, help="groups.parquet")
    parser.add_argument("--features", required=True, help="{backbone}-T{T}.zarr")
    parser.add_argument("--text", required=True, help="text store of the same pairs")
    parser.add_argument("--split", default="test", choices=EVALUATED, help="what is asked")


def read_data(
    arguments: argparse.Namespace,
    config: EvaluationConfig,
    trained: dict[str, Any],
    **loader: Any,
) -> "PairData":
    """The data of `add_data`, with other settings of the loader where they are given.

    `trained`: the record of the run that is asked, empty for a baseline. Raises UserError where
    the files do not belong together, to the configuration, or to the run.
    """
    from mktn.grouping.loader import PairData

    data = PairData(
        arguments.pairs,
        arguments.groups,
        arguments.features,
        arguments.text,
        config=dataclasses.replace(loader_config(config, trained), **loader),
    )
    data.check_partition(config.partition)
    data.check_dataset(config.dataset)
    data.check_splits(arguments.split)
    if trained:
        check_same(trained, config, data, arguments.run)
        check_sizes(trained, data, arguments.run)
    return data


def run(arguments: argparse.Namespace) -> None:
    """Answer the queries of the split, and write predictions.parquet and metrics.json."""
    import polars as pl

    from mktn.features.origin import recorded_inputs
    from mktn.features.pairs_file import read_rejected

    config = fill(EvaluationConfig, read_settings(arguments.settings))
    torch.set_num_threads(config.threads)
    network, trained = load(arguments.run) if arguments.run else (None, {})
    data = read_data(arguments, config, trained)
    rows = data.split(arguments.split)
    identity: dict[str, Any]
    if network is not None:
        identity = {name: trained[name] for name in ("model", "seed")}
        identity["variant"] = variant_name(trained)
        identity["patches"] = trained["patches"]
        device = choose_device(config.device)
        print(data.place(device))
        found = predict(
            network.to(device),
            data,
            arguments.split,
            device=device,
            n=max(config.ns),
            nms_thresholds=sorted(set(config.thresholds().values())),
            order=config.order,
            seed=config.seed,
            alone=config.alone,
        )
    else:
        identity = {"model": arguments.baseline, "variant": "baseline", "seed": config.seed}
        found = baseline(arguments.baseline, data, rows, config)
    rejected = read_rejected(arguments.rejected)
    metrics = {
        "format": METRICS_FORMAT,
        "source": config.source,
        "dataset": config.dataset,
        "partition": config.partition,
        **identity,
        **recorded_inputs(data.store.attributes, data.store.patches, data.text.attributes),
        "split": arguments.split,
        "queries": len(rows),
        "videos": len({data.video_ids[row] for row in rows}),
        "rejected": rejected.filter(pl.col("split") == arguments.split).height,
        "comparison": config.comparison,
        "nms": config.nms,
        "order": config.order,
        "alone": config.alone,
        "validation": config.validation,
        "bootstraps": config.bootstraps,
        "notes": list(config.notes),
        "metrics": score(found, data, config),
    }
    _write_predictions(found, config, Path(arguments.predictions))
    write_sealed_json(metrics, arguments.metrics)


def loader_config(config: EvaluationConfig, trained: dict[str, Any]) -> "LoaderConfig":
    """The loader as configured, hiding from the network what its training hid."""
    from mktn.grouping.loader import LoaderConfig

    hidden = trained.get("loader", {}).get("hidden")
    return fill(LoaderConfig, {**config.loader, "hidden": hidden}, "settings.loader")


def variant_name(trained: dict[str, Any]) -> str:
    """The run's variant; trained blind, `full` has another name and others a longer one."""
    hidden = trained.get("loader", {}).get("hidden")
    blind = next((name for name, what in BLIND.items() if what == hidden), None)
    if blind is None:
        return str(trained["variant"])
    return blind if trained["variant"] == "full" else f"{trained['variant']}_{blind}"


def baseline(
    name: str, data: "PairData", rows: np.ndarray, config: EvaluationConfig
) -> dict[float, Predictions]:
    """Moments that no video or sentence went into, for each NMS threshold."""
    pair_ids, n = [data.pair_ids[row] for row in rows], max(config.ns)
    duration = data.duration_s[rows].astype(np.float64)
    train = data.split("train")
    fractions = data.span_s[train] / data.duration_s[train, None]
    found = {}
    for threshold in sorted(set(config.thresholds().values())):
        if name == "random":
            moments = random_moments(pair_ids, n, threshold, config.seed)
        elif name == "train-prior":
            prior = train_prior(fractions, n, config.table_iou, threshold)
            moments = np.full((len(rows), n, 2), np.nan)
            moments[:, : len(prior)] = prior
        else:
            at = places(data.pairs["split"].to_list(), data.video_ids, data.order.tolist())
            asked, known = ([at[row] for row in some] for some in (rows, train))
            moments = place_prior(fractions, known, asked, n, config.table_iou, threshold)
        scores = np.broadcast_to(1.0 / np.arange(1, n + 1), moments.shape[:2])
        found[threshold] = Predictions(pair_ids, moments * duration[:, None, None], scores)
    return found


def score(
    found: dict[float, Predictions], data: "PairData", config: EvaluationConfig
) -> list[dict[str, Any]]:
    """R@n at each IoU and mIoU, in per cent with 95 % intervals over videos."""
    row_of = {pair_id: row for row, pair_id in enumerate(data.pair_ids)}
    pair_ids = next(iter(found.values())).pair_ids
    rows = [row_of[pair_id] for pair_id in pair_ids]
    return evaluate_rankings(
        {iou: list(found[limit].spans_s) for iou, limit in config.thresholds().items()},
        data.span_s[rows],
        [data.video_ids[row] for row in rows],
        config.ns,
        config.ious,
        config.comparison,
        config.seed,
        config.bootstraps,
    )


def _write_predictions(
    found: dict[float, Predictions], config: EvaluationConfig, path: Path
) -> None:
    """pair_id, nms, rank (from 1), start_s, end_s, score; absent moments are left out."""
    import polars as pl

    from mktn.parquet import write_parquet

    frames = []
    for threshold, predictions in found.items():
        queries, n = predictions.scores.shape
        frames.append(
            pl.DataFrame(
                {
                    "pair_id": np.repeat(predictions.pair_ids, n).tolist(),
                    "nms": np.full(queries * n, threshold),
                    "rank": np.tile(np.arange(1, n + 1), queries),
                    "start_s": predictions.spans_s[..., 0].ravel().astype(np.float64),
                    "end_s": predictions.spans_s[..., 1].ravel().astype(np.float64),
                    "score": predictions.scores.ravel().astype(np.float64),
                }
            ).filter(pl.col("start_s").is_not_nan())
        )
    write_parquet(pl.concat(frames), path)
