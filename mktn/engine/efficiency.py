"""`mktn efficiency`: how fast a model answers, what it computes and what memory that takes.

One process and one device. The same queries are answered in four modes, in turn: the modes of
mktn.engine.efficiency_format, each with the model's own text encoder in and out of the time. What
is written is described in mktn.report.efficiency_files.
"""

import argparse
import dataclasses
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from mktn.checksums import write_sealed_json
from mktn.config import fill, read_settings
from mktn.engine.answering import Workload
from mktn.engine.checkpoint import load
from mktn.engine.efficiency_format import FORMAT
from mktn.engine.evaluate import (
    EVALUATED,
    loader_config,
    variant_name,
)
from mktn.engine.measuring import EfficiencyConfig, measure
from mktn.engine.predict import choose_device
from mktn.engine.run_config import model_config
from mktn.engine.trained_on import check_same, check_sizes
from mktn.errors import UserError
from mktn.files import locked
from mktn.models import SIZES_OF, build, check_variant
from mktn.seeds import named_seed

if TYPE_CHECKING:
    from mktn.grouping.loader import PairData


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `mktn efficiency`."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--run", help="folder of a trained run")
    what.add_argument("--model", choices=tuple(SIZES_OF), help="random weights of this model")
    parser.add_argument("--variant", help="of --model")
    parser.add_argument(
        "--beside",
        help="a run or a variant of --model that answers in turn with it, one pair a time",
    )
    parser.add_argument("--pairs", required=True, help="pairs.parquet")
    parser.add_argument("--groups", required=True, help="groups.parquet")
    parser.add_argument("--features", required=True, help="{backbone}-T{T}.zarr")
    parser.add_argument("--text", required=True, help="text store of the same pairs")
    parser.add_argument("--split", default="test", choices=EVALUATED, help="what is answered")
    parser.add_argument("--out", required=True, type=Path, help="output: efficiency.json")
    parser.add_argument("--settings", required=True, help="JSON or a file: EfficiencyConfig")


def run(arguments: argparse.Namespace) -> None:
    """Measure one model on this machine, alone among measurements, and write efficiency.json."""
    from mktn.grouping.loader import PairData

    config = fill(EfficiencyConfig, read_settings(arguments.settings))
    if (arguments.model is None) != (arguments.variant is None):
        raise UserError("--variant is of --model", expected="--run, or --model and --variant")
    if arguments.model is not None:
        check_variant(arguments.model, arguments.variant)
    torch.set_num_threads(config.threads)
    device = choose_device(config.device)
    trained = load(arguments.run)[1] if arguments.run else {}
    data = PairData(
        arguments.pairs, arguments.groups, arguments.features, arguments.text,
        config=loader_config(config.protocol(), trained),
    )  # fmt: skip
    data.check_partition(config.partition)
    data.check_dataset(config.dataset)
    data.check_splits(arguments.split)
    print(data.place(device))
    if arguments.run:
        network, identity = _trained(arguments.run, data, config)
        other = arguments.beside and _trained(arguments.beside, data, config)
    else:
        network, identity = _random(arguments.model, arguments.variant, data, config)
        other = arguments.beside and _random(arguments.model, arguments.beside, data, config)
    beside, beside_identity = other or (None, {})
    rows = sampled(data, arguments.split, config.videos)
    whole = data.split(arguments.split)
    named = {"source": config.source, "dataset": config.dataset, "partition": config.partition}
    asked = {
        "split": arguments.split,
        "videos": len(rows),
        "queries": sum(map(len, rows)),
        "split_videos": len({data.video_ids[row] for row in whole}),
        "split_queries": len(whole),
    }
    with _alone():
        work = Workload.read(data, rows, config.batch_queries, device)
        if beside is not None:
            beside.to(device).eval()
        measured = measure(network.to(device).eval(), work, config, device, beside)
    ratios = measured.pop("ratios_beside", None)
    result = {"format": FORMAT, **named, **identity, **asked, **measured}
    if ratios is not None:
        of_both = {name: named[name] for name in ("source", "dataset")}
        result["beside"] = {**of_both, **beside_identity, "ratios": ratios}
    write_sealed_json(result, arguments.out)
    for line in summary(result):
        print(line)


def _trained(
    run: str, data: "PairData", config: EfficiencyConfig
) -> tuple[nn.Module, dict[str, Any]]:
    """The network of a run, and what efficiency.json says of it."""
    network, trained = load(run)
    check_same(trained, config.protocol(), data, run)
    check_sizes(trained, data, run)
    identity = {"model": trained["model"], "variant": variant_name(trained)}
    identity |= {"seed": trained["seed"], "weights": "trained", "sizes": trained["sizes"]}
    return network, identity


def _random(
    model: str, variant: str, data: "PairData", config: EfficiencyConfig
) -> tuple[nn.Module, dict[str, Any]]:
    """A network that nothing has trained, and what efficiency.json says of it."""
    check_variant(model, variant)
    sizes = model_config(data, config.sizes, model)
    torch.manual_seed(named_seed(config.seed, "efficiency", "weights"))
    identity = {"model": model, "variant": variant, "seed": config.seed, "weights": "random"}
    return build(model, variant, sizes), identity | {"sizes": dataclasses.asdict(sizes)}


def sampled(data: "PairData", split: str, videos: int | None) -> list[np.ndarray]:
    """The row numbers of each video's pairs, in the order of the file.

    Of a sample the videos are spread evenly over the videos ordered by their number of queries, so
    that a video of the sample has as many queries, on average, as one of the split.
    """
    rows_of: dict[str, list[int]] = {}
    for row in data.split(split).tolist():
        rows_of.setdefault(data.video_ids[row], []).append(row)
    found = [np.array(rows) for rows in rows_of.values()]
    if videos is None or videos >= len(found):
        return found
    by_queries = sorted(range(len(found)), key=lambda number: len(found[number]))
    places = ((np.arange(videos) + 0.5) * len(found) / videos).astype(int)
    return [found[number] for number in sorted(by_queries[place] for place in places)]


@contextmanager
def _alone() -> Iterator[None]:
    """While no other measurement of this user runs on this machine: each would slow the other."""
    path = Path(tempfile.gettempdir()) / f"mktn-efficiency-{os.getuid()}.lock"
    with locked(path, wait=False) as free:
        if free:
            yield
            return
    print("another measurement runs on this machine: waiting for it", flush=True)
    with locked(path):
        yield


def summary(result: dict[str, Any]) -> Iterator[str]:
    """Lines for a person."""
    yield (
        f"{result['model']} {result['variant']} ({result['weights']} weights), "
        f"{result['parameters']} parameters, {result['videos']} videos, "
        f"{result['queries']} queries, {result['device_name']}, {result['dtype']}"
    )
    for row in result["modes"]:
        line = (
            f"{row['mode']:>10}, text {row['text']:<3}: {row['vps']['value']:8.2f} videos/s, "
            f"{row['qps']['value']:8.2f} queries/s"
        )
        if row["text"] == "in":
            held = row["peak_mb"]
            line += f", {row['gflops_query']:.4f} GFLOP a query, peak "
            line += "not measured" if held is None else f"{held:.1f} MB"
        yield line
    for row in result.get("beside", {}).get("ratios", ()):
        if (row["mode"], row["text"]) == ("multi_pair", "in"):
            beside = f"{result['beside']['model']} {result['beside']['variant']}"
            yield f"multi_pair: {row['value']:.2f} x {row['against']} of {beside}"
