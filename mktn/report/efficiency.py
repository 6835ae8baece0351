"""`mktn efficiency-table`: the efficiency of all systems, as tidy csv and as Markdown.

A row of the csv is one metric of one system in one mode: VPS and QPS, seconds_query,
speed_over_origin and speed_over_cached with the model's text encoder in and out of the time,
gflops_query and peak_mb of a mode, parameters and weights_mb of the model. Over another system
that took turns with it a speed is speed_over_{mode}_of_{model}_{variant}. `low` and `high` are
quartiles over rounds.
"""

import argparse
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from mktn.engine.efficiency_format import BASELINES, MODES, MODES_EXPLAINED, TEXT
from mktn.errors import UserError
from mktn.files import written_beside
from mktn.report.efficiency_files import Efficiency, Spread, read_efficiency
from mktn.report.layouts import DATASET_TITLES, titles
from mktn.report.sources import SOURCE_STATEMENTS

COLUMNS = (
    *("dataset", "model", "variant", "seed", "weights", "mode", "text", "device", "device_name"),
    *("dtype", "threads", "batch_queries", "metric", "value", "low", "high", "source"),
)
# What has to be the same for speeds to be compared: of one table, and of one dataset and device.
OF_TABLE = ("source", "split", "n")
OF_DEVICE = (
    *("videos", "queries", "split_videos", "split_queries", "partition", "dtype", "threads"),
    *("torch", "batch_queries", "nms"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `mktn efficiency-table`."""
    parser.add_argument(
        "--efficiency", required=True, nargs="+", type=Path, help="efficiency.json of every system"
    )
    parser.add_argument("--csv", required=True, type=Path, help="output: tidy csv")
    parser.add_argument("--markdown", required=True, type=Path, help="output: a section a dataset")


def run(arguments: argparse.Namespace) -> None:
    """Read the files, check that they may be compared, write both tables."""
    found = compared([read_efficiency(path) for path in arguments.efficiency])
    with written_beside(arguments.csv) as beside, written_beside(arguments.markdown) as other:
        beside.write_text(as_csv(found), encoding="utf-8")
        other.write_text(as_markdown(found), encoding="utf-8")
    print(f"{len(found)} systems: {arguments.csv}")


def compared(found: Sequence[Efficiency]) -> list[Efficiency]:
    """The files by dataset and device, each in the order given.

    Raises UserError on a system that stands twice, and on files that were measured otherwise.
    """
    seen: dict[tuple[object, ...], Efficiency] = {}
    for one in found:
        if one.source != "own" and one.dataset not in DATASET_TITLES:
            raise UserError(
                "unknown dataset", where=one.path, found=one.dataset,
                expected=", ".join(DATASET_TITLES),
            )  # fmt: skip
        _check_same(one, found[0], OF_TABLE, "of one table")
        beside = [other for other in found if _section(other) == _section(one)]
        _check_same(one, beside[0], OF_DEVICE, "of one dataset and device")
        key = (*_section(one), one.model, one.variant, one.seed, one.weights)
        if key in seen:
            raise UserError(
                "a system stands twice", where=one.path, found=f"{one.model} {one.variant}",
                expected=f"it once, as in {seen[key].path}",
            )  # fmt: skip
        seen[key] = one
    datasets = list(titles(one.dataset for one in found))
    sections = list(dict.fromkeys(map(_section, found)))
    sections.sort(key=lambda section: datasets.index(section[0]))
    return sorted(found, key=lambda one: sections.index(_section(one)))


def _section(one: Efficiency) -> tuple[str, str, str]:
    return one.dataset, one.device, one.device_name


def _check_same(one: Efficiency, first: Efficiency, names: Sequence[str], which: str) -> None:
    for name in names:
        if getattr(one, name) != getattr(first, name):
            raise UserError(
                f"efficiencies {which} differ in {name}", where=one.path,
                found=getattr(one, name), expected=f"{getattr(first, name)}, as in {first.path}",
                do="measure both in the same way",
            )  # fmt: skip


def metrics(one: Efficiency) -> Iterator[tuple[str, str, str, Spread]]:
    """Mode, text, metric and value of all in a file; mode and text are empty for the model."""
    for metric, number in (("parameters", one.parameters), ("weights_mb", one.weights_mb)):
        yield "", "", metric, _single(number)
    for part, number in one.parameters_by_part.items():
        yield "", "", f"parameters of {part}", _single(number)
    for text in TEXT:
        for mode in MODES:
            figures = one.modes[mode, text]
            yield mode, text, "VPS", figures.vps
            yield mode, text, "QPS", figures.qps
            yield mode, text, "seconds_query", figures.seconds_query
            for against in BASELINES:
                if (mode, text, against) in one.ratios:
                    yield mode, text, f"speed_over_{against}", one.ratios[mode, text, against]
            for against in BASELINES if one.beside else ():
                other, key = one.beside, (mode, text, against)
                if other is not None and key in other.ratios:
                    name = f"speed_over_{against}_of_{other.model}_{other.variant}"
                    yield mode, text, name, other.ratios[key]
            if figures.gflops_query is not None:
                yield mode, text, "gflops_query", _single(figures.gflops_query)
            if figures.peak_mb is not None:
                yield mode, text, "peak_mb", _single(figures.peak_mb)


def _single(number: float) -> Spread:
    return Spread(number, number, number)


def as_csv(found: Sequence[Efficiency]) -> str:
    """A row a metric, in the order of COLUMNS; numbers have five significant digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in found:
        for mode, encoder, metric, spread in metrics(one):
            numbers = (spread.value, spread.low, spread.high)
            whole = metric.startswith("parameters")
            writer.writerow(
                [
                    *(one.dataset, one.model, one.variant, one.seed, one.weights, mode, encoder),
                    *(one.device, one.device_name, one.dtype, one.threads, one.batch_queries),
                    metric,
                    *(str(int(x)) if whole else f"{x:.5g}" for x in numbers),
                    one.source,
                ]
            )
    return text.getvalue()


def as_markdown(found: Sequence[Efficiency]) -> str:
    """A section a dataset and device: a line a system and mode, then what they consist of."""
    source = found[0].source
    modes = "\n".join(f"- `{mode}`: {meaning};" for mode, meaning in MODES_EXPLAINED.items())
    parts = [
        "# Efficiency",
        f"**Source: {source}.** {SOURCE_STATEMENTS[source]} Speed does not depend on the"
        " features' numbers.",
        "Videos and queries a second (VPS, QPS): a video counts when all its queries are answered,"
        " head, decoding and NMS included, features on the device beforehand. *Text in* counts the"
        " model's own text encoder, *text out* does not; word and sentence vectors are read, not"
        " computed. Medians over rounds, with quartiles in brackets; the modes of a system take"
        " turns in each round, and a ratio is of each round by itself.",
        modes[:-1] + ".",
    ]
    title_of = titles(one.dataset for one in found)
    for section in dict.fromkeys(map(_section, found)):
        inside = [one for one in found if _section(one) == section]
        parts += [f"## {title_of[section[0]]}, {section[2]}", *_of_section(inside)]
    return "\n\n".join(parts) + "\n"


def _of_section(found: Sequence[Efficiency]) -> Iterator[str]:
    one = found[0]
    sample = "all" if one.videos == one.split_videos else f"{one.videos} of {one.split_videos}"
    threads = f"{one.threads} thread" + ("" if one.threads == 1 else "s")
    yield (
        f"{sample} {one.split} videos, {one.queries} queries"
        f" ({one.queries / one.videos:.2f} a video; {one.split_queries / one.split_videos:.2f} in"
        f" the whole split). Device: {one.device_name}, {one.cpus} CPUs, {threads} of torch"
        f" {one.torch}, {one.dtype}. At most {one.batch_queries} queries a batch,"
        f" {one.n} moments a query after NMS at {one.nms:g},"
        f" {one.warm_up_batches} warm-up batches or more a mode."
    )
    header = ["System", "Mode", "VPS, text in", "VPS, text out", "QPS, text in", "QPS, text out"]
    header += ["x origin", "x cached", "GFLOP a query", "Peak MB"]
    lines = [header, ["---", "---", *["---:"] * (len(header) - 2)]]
    for own in found:
        lines += [_line(own, mode) for mode in MODES]
    yield "\n".join(f"| {' | '.join(line)} |" for line in lines)
    yield f"GFLOP: {one.operations}. Peak MB: {one.memory}. Text out: {one.text_out}."
    yield "\n".join(map(_said, found))


def _line(one: Efficiency, mode: str) -> list[str]:
    inside, outside = (one.modes[mode, text] for text in TEXT)
    ratios = [one.ratios.get((mode, "in", against)) for against in BASELINES]
    gflops, peak_mb = inside.gflops_query, inside.peak_mb
    return [
        f"{one.model} `{one.variant}`",
        f"`{mode}`",
        *(_spread(figures.vps) for figures in (inside, outside)),
        *(_spread(figures.qps) for figures in (inside, outside)),
        *("-" if ratio is None else _spread(ratio) for ratio in ratios),
        "-" if gflops is None else f"{gflops:.3g}",
        "-" if peak_mb is None else f"{peak_mb:.3g}",
    ]


def _said(one: Efficiency) -> str:
    """What a model consists of, and what its measurement was like."""
    parts = ", ".join(f"{part} {count:,}" for part, count in one.parameters_by_part.items())
    loads = [f"{load[0]:.1f}" for load in (one.load_average_before, one.load_average_after)]
    shares = [figures.cpu_share for figures in one.modes.values()]
    text = (
        f"- {one.model} `{one.variant}`: {one.parameters:,} parameters ({parts}),"
        f" {one.weights_mb:.1f} MB, {one.weights} weights, seed {one.seed}."
        f" {one.repeats} rounds; load average {loads[0]} before, {loads[1]} after."
    )
    if one.beside is not None:
        ratios = one.beside.ratios
        found = [(b, ratios.get(("multi_pair", "in", b))) for b in BASELINES]
        said = " and ".join(f"{_spread(ratio)} x `{b}`" for b, ratio in found if ratio)
        text += f" Its `multi_pair` is {said} of {one.beside.model} `{one.beside.variant}`,"
        text += " which took turns with it."
    if one.busy:
        text += (
            " **Something else ran beside it**: in a mode it had"
            f" {min(shares):.2f} of a processor."
        )
    return text


def _spread(spread: Spread) -> str:
    return f"{spread.value:.3g} [{spread.low:.3g}, {spread.high:.3g}]"
