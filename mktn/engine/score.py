"""`mktn score`: anyone's predictions under the protocol, with intervals; nothing is predicted.

Predictions are a table (csv, JSON or Parquet) of one row a moment: the query as `pair_id`, or as
`video_id` with `order` or `sentence`; `rank` from 1; `start_s`, `end_s`; `score` if there is one.
Q queries, n moments a query.
"""

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from mktn.checksums import write_sealed_json
from mktn.config import fill, read_settings
from mktn.engine.metrics import METRICS_FORMAT, evaluate_rankings, nms
from mktn.engine.predictions_file import AS_GIVEN, read_predictions
from mktn.errors import UserError

if TYPE_CHECKING:
    import polars as pl

Floats = npt.NDArray[np.float64]
IOUS = {"tacos": (0.1, 0.3, 0.5)}  # of the protocol, where they are not USUAL_IOUS
USUAL_IOUS = (0.3, 0.5, 0.7)


@dataclasses.dataclass(frozen=True)
class ScoreConfig:
    """The protocol. ious: None takes the dataset's; nms: an IoU at which greedy NMS goes over
    each query's moments in the order of their ranks, None for none."""

    ious: tuple[float, ...] | None = None
    ns: tuple[int, ...] = (1, 5)
    comparison: Literal[">", ">="] = ">"
    nms: float | None = None
    bootstraps: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.nms is not None and not 0 < self.nms <= 1:
            raise ValueError(f"nms {self.nms} is not in (0, 1]")
        if not self.ns or min(self.ns) < 1 or self.bootstraps < 1 or self.ious == ():
            raise ValueError("ious, ns and bootstraps must be there, ns and bootstraps 1 or more")
        if len(set(self.ious or ())) < len(self.ious or ()) or len(set(self.ns)) < len(self.ns):
            raise ValueError(f"ious {self.ious} or ns {self.ns} stand twice")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `mktn score`."""
    parser.add_argument("predictions", type=Path, help="csv, json or Parquet, one row a moment")
    parser.add_argument("--pairs", required=True, type=Path, help="pairs.parquet")
    parser.add_argument("--split", default="test", help="whose queries are scored; default: test")
    parser.add_argument(
        "--groups", type=Path, help="groups.parquet: of the split, only the queries in it"
    )
    parser.add_argument("--json", type=Path, help="output: the scores as a metrics.json has them")
    parser.add_argument("--settings", help="JSON or a file: ScoreConfig")


def run(arguments: argparse.Namespace) -> None:
    """Print the scores as a table; write them where asked."""
    config = fill(ScoreConfig, read_settings(arguments.settings))
    asked, others = read_queries(arguments.pairs, arguments.groups, arguments.split)
    dataset = asked["dataset"][0]
    ious = config.ious or IOUS.get(dataset, USUAL_IOUS)
    found = read_predictions(arguments.predictions, asked, others, ious)
    if config.nms is not None and found.nms != AS_GIVEN:
        raise UserError(
            "these predictions have been through NMS", where=arguments.predictions,
            found=f"a column nms, {found.nms}", expected="no settings.nms",
        )  # fmt: skip
    ranked = {iou: found.at(iou) for iou in ious}
    if config.nms is not None:
        ranked = dict.fromkeys(ious, suppressed(found.at(ious[0]), config.nms, max(config.ns)))
    queries = asked[found.rows.tolist()]
    rows = evaluate_rankings(
        ranked,
        queries.select("start_s", "end_s").to_numpy().astype(np.float64),
        queries["video_id"].to_list(),
        config.ns,
        ious,
        config.comparison,
        config.seed,
        config.bootstraps,
    )
    document = {
        "format": METRICS_FORMAT,
        "dataset": dataset,
        "split": arguments.split,
        "queries": queries.height,
        "videos": queries["video_id"].n_unique(),
        "missing": found.missing,
        "left_out": found.left_out,
        "comparison": config.comparison,
        "nms": found.nms if config.nms is None else config.nms,
        "bootstraps": config.bootstraps,
        "seed": config.seed,
        "metrics": rows,
    }
    if arguments.json is not None:
        write_sealed_json(document, arguments.json)
    print(as_text(document))


def read_queries(
    pairs: Path, groups: Path | None, split: str
) -> tuple["pl.DataFrame", "pl.DataFrame"]:
    """The queries of the split (of them those in `groups`), and all other pairs.

    Raises UserError where there are none, or pairs of several datasets.
    """
    from mktn.features.pairs_file import read_pairs_file, read_table_of

    columns = ["dataset", "split", "video_id", "pair_id", "sentence", "order", "start_s", "end_s"]
    everything = read_pairs_file(pairs, columns)
    is_asked = everything["split"] == split
    if not is_asked.any():
        known = ", ".join(everything["split"].unique(maintain_order=True))
        raise UserError("no pairs of the split", where=pairs, found=known, expected=split)
    datasets = everything["dataset"].unique(maintain_order=True)
    if len(datasets) > 1:
        raise UserError(
            "pairs of several datasets", where=pairs, found=", ".join(datasets), expected="one"
        )
    if groups is not None:
        usable = read_table_of("group", groups, ["pair_id"])["pair_id"]
        is_asked &= everything["pair_id"].is_in(usable.implode())
        if not is_asked.any():
            raise UserError("no query of the split is in the groups", where=groups, expected=split)
    return everything.filter(is_asked), everything.filter(~is_asked)


def suppressed(moments: list[Floats], threshold: float, n: int) -> list[Floats]:
    """The first n moments (k,2) of each query that greedy NMS keeps, best rank first."""
    return [
        spans[nms(spans, -np.arange(len(spans), dtype=np.float64), threshold, n)]
        for spans in moments
    ]


def as_text(document: dict[str, Any]) -> str:
    """How it was scored, and a line a metric, per cent."""
    nms_said = document["nms"]
    if nms_said == AS_GIVEN:
        nms_said = "none applied, ranks as given"
    elif nms_said == "peer":
        nms_said = "m - 0.05 for each m, by the file's column nms"
    head = [
        f"{document['dataset']}, {document['split']}: {document['queries']} queries of"
        f" {document['videos']} videos",
        f"a hit when IoU {document['comparison']} m; NMS: {nms_said}; 95 % intervals of"
        f" {document['bootstraps']} bootstraps over videos, seed {document['seed']}",
    ]
    if document["missing"]:
        head.append(f"{document['missing']} queries have no prediction and count as missed")
    if document["left_out"]:
        head.append(f"{document['left_out']} predicted queries are not in the groups: not scored")
    lines = [f"{'':14}{'value':>7}  95 % interval"]
    for row in document["metrics"]:
        name = row["metric"] if row["n"] is None else f"R@{row['n']}, IoU={row['iou']:g}"
        interval = f"[{row['ci_low']:.2f}, {row['ci_high']:.2f}]"
        lines.append(f"{name:14}{row['value']:7.2f}  {interval}")
    return "\n".join([*head, "", *lines])
