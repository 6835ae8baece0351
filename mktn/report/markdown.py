"""A table as Markdown, laid out as the paper prints it, and how to read it.

The text before the first dataset is the same for all tables of the same runs: `mktn page`
writes it once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mktn.report.layouts import DEVIATIONS, titles
from mktn.report.lines import Layout, System, name_of
from mktn.report.reported import Reported
from mktn.report.results import BASELINES, Key, Run
from mktn.report.rows import Row, has_methods, two_decimals
from mktn.report.speeds import Speed
from mktn.report.table_rows import Printed, printed_lines

SOURCE_SENTENCES = {
    "synthetic": "Videos and sentences are generated: these numbers are NOT comparable with the"
    " paper's, which stand beside them for orientation only.",
    "simulated": "The annotations are the published ones, but the video features are simulated"
    " from human labels of the same videos, which a note under each dataset names: these numbers"
    " are NOT comparable with the paper's, which stand beside them for orientation only.",
    "published": "Published annotations, features of the published kind.",
    "own": "A dataset of your own: comparable with no published number.",
}
SOURCE_STATEMENTS = {
    "synthetic": "Videos and sentences are generated: comparable with no published number.",
    "simulated": "The annotations are the published ones, but the video features are simulated"
    " from human labels: comparable with no published number.",
    "published": SOURCE_SENTENCES["published"],
    "own": SOURCE_SENTENCES["own"],
}
VALIDATION = {
    "official": "selected on the official validation split",
    "held_out": "selected on a tenth held out of the training videos",
    "own": "selected on the dataset's own validation split",
}


def as_markdown(
    rows: Sequence[Row],
    runs: Sequence[Run],
    speeds: Sequence[Speed],
    layout: Layout,
    systems: Sequence[System],
    reported: Reported,
) -> str:
    """The table as the paper prints it: a section a dataset, systems down, metrics across."""
    source = (runs[0] if runs else speeds[0]).source
    parts = [f"# {layout.heading}", preface(source, runs)]
    shown = (*(run.dataset for run in runs), *(speed.dataset for speed in speeds))
    for dataset, title in titles(shown).items():
        of_dataset = [row for row in rows if row.dataset == dataset]
        of_runs = [run for run in runs if run.dataset == dataset]
        of_speeds = [speed for speed in speeds if speed.dataset == dataset]
        lines = printed_lines(layout, dataset, systems, reported)
        columns = grid_columns(layout, reported.keys.get(dataset, ()), of_runs)
        parts += [
            f"## {title}",
            *([_protocol(of_runs)] if of_runs else []),
            *dict.fromkeys(f"Efficiency: {speed.where}." for speed in of_speeds),
            *([_load(of_speeds, layout)] if of_speeds else []),
            *_without_differences(of_runs, layout),
            grid(of_dataset, layout, lines, columns),
        ]
    return "\n\n".join([*parts, layout.legend, *_compared(layout, source)]) + "\n"


def preface(source: str, runs: Sequence[Run]) -> str:
    """Source and, where there are scores, the number of seeds and how to read the columns."""
    said = [f"**Source: {source}.** {SOURCE_SENTENCES[source]}"]
    if runs:
        paper = "" if source == "own" else " *paper*: what the table's authors report."
        said += [
            _seeds_sentence(runs),
            "Columns of a metric, in per cent. *ours*: measured, with its 95 % interval"
            f" (bootstrap over videos, {runs[0].bootstraps} resamples). *ours - Full*, or another"
            " of ours: the difference to that on the same queries, in points, with the 95 %"
            " interval of a paired bootstrap over videos; **bold** where the interval excludes 0"
            f" (of variants that change nothing, about one in twenty would).{paper}"
            " Every IoU threshold and mIoU are in the csv.",
        ]
    return "\n\n".join(said)


def _load(speeds: Sequence[Speed], layout: Layout) -> str:
    """What else the machine did while the speeds of a dataset were measured."""
    low, high = min(s.load for s in speeds), max(s.load for s in speeds)
    loads = f"{low:.1f}" if f"{low:.1f}" == f"{high:.1f}" else f"{low:.1f} to {high:.1f}"
    said = f"Load average of the machine before each: {loads}."
    busy = ", ".join(f"`{name_of(s.system, layout.systems)}`" for s in speeds if s.busy)
    return f"{said} **Something else took the processor** of {busy}." if busy else said


def _without_differences(runs: Sequence[Run], layout: Layout) -> list[str]:
    """Says which references of the trained systems are absent."""
    there = {run.system for run in runs if run.model not in BASELINES}
    wanted = {reference for s in there if (reference := layout.reference_of(s))} - there
    names = ", ".join(f"`{name_of(system, layout.systems)}`" for system in sorted(wanted))
    return [f"No run of {names} is here, so no differences."] if wanted else []


def _compared(layout: Layout, source: str) -> list[str]:
    """What stands in the way of comparing ours with the paper, in tables of several methods."""
    if not has_methods(layout) or source == "own":
        return []
    speed = "Speed is of the machine named above: none of ours is comparable with a reported one."
    if not layout.scored:
        return [speed]
    said = "What each measured model can be compared with:"
    if source != "published":
        said = (
            f"No measured number here is comparable with a reported one: the source is {source}."
            " With published features:"
        )
    names = {line.model: line.method for line in layout.lines}
    listed = [f"- {method} (`{model}`): {DEVIATIONS[model]}" for model, method in names.items()]
    return [*([speed] if layout.quantities else []), said, "\n".join(listed)]


def _seeds_sentence(runs: Sequence[Run]) -> str:
    by_dataset: dict[str, set[int]] = {}
    for run in runs:
        if run.model not in BASELINES:
            by_dataset.setdefault(run.dataset, set()).add(run.seed)
    joined = "Values are means over seeds; intervals join seeds (Student's t) and videos."
    seeds = sorted(set.union(*by_dataset.values()))
    if any(of_dataset != set(seeds) for of_dataset in by_dataset.values()):
        return f"**Training seeds differ between datasets** and stand under each. {joined}"
    if len(seeds) == 1:
        return f"**One training seed** a variant: {seeds[0]}."
    return f"**{len(seeds)} training seeds** a variant: {', '.join(map(str, seeds))}. {joined}"


def _protocol(runs: Sequence[Run]) -> str:
    """How the runs of one dataset were scored, and what they note."""
    one = runs[0]
    nms = "by IoU, m - 0.05" if one.nms == "peer" else f"{one.nms}"
    seeds = sorted({run.seed for run in runs if run.model not in BASELINES})
    sentences = [
        f"{one.queries} {one.split} queries of {one.videos} videos"
        f" ({max(run.rejected for run in runs)} rejected), a hit when IoU {one.comparison} m,"
        f" NMS threshold {nms}, {VALIDATION[one.validation]},"
        f" seeds: {', '.join(map(str, seeds))}.",
        f"Features: {one.features}. Word vectors: {one.word_vectors}."
        f" Sentence vectors: {one.sentence_vectors}.",
    ]
    sentences += dict.fromkeys(" ".join(note.split()) for run in runs for note in run.notes)
    return "\n\n".join(sentences)


@dataclass(frozen=True)
class Column:
    """A column of the grid: its head, the metric, and what it shows of a row."""

    head: str
    key: Key
    cell: Callable[[Row | None], str]


def grid_columns(layout: Layout, keys: Sequence[Key], runs: Sequence[Run]) -> list[Column]:
    """Measured, its difference, and reported: each in a column of its own, for each metric.

    `keys`: the metrics that the paper prints; what only ours measure stands behind them. Of a
    user's own dataset nobody has printed any: R@n of `runs`, and no column of reported numbers.
    """
    scores = keys or [key for key in (runs[0].metrics if runs else ()) if key[0] == "R"]
    of_speed: dict[Key, str] = {(q.metric, None, None): q.title for q in layout.quantities}
    columns = []
    for key in dict.fromkeys((*scores, *of_speed)):
        metric, n, iou = key
        title = of_speed.get(key) or f"{metric}@{n}, IoU={iou:g}"
        columns.append(Column(f"{title}<br>ours", key, _ours))
        if runs and layout.against and key not in of_speed:
            columns.append(Column(f"{title}<br>ours - {layout.against}", key, _difference))
        if key in keys:
            columns.append(Column(f"{title}<br>paper", key, _paper))
    return columns


def grid(
    rows: Sequence[Row], layout: Layout, lines: Sequence[Printed], columns: Sequence[Column]
) -> str:
    """The table of one dataset; a system that the paper prints twice stands there twice."""
    cells = {((row.model, row.variant), row.method, row.key): row for row in rows}
    measured = {(row.model, row.variant) for row in rows}
    table = [
        ["Model", *(["Type"] if layout.typed else []), *(column.head for column in columns)],
        ["---", *(["---"] if layout.typed else []), *["---:"] * len(columns)],
    ]
    for line in lines:
        system = line.system or ("", "")
        if system in measured:
            name = _name(line, layout)
            found = [cells.get((system, line.method, column.key)) for column in columns]
            table.append(
                [
                    name,
                    *([line.type or "-"] if layout.typed else []),
                    *(column.cell(row) for column, row in zip(columns, found, strict=True)),
                ]
            )
    return "\n".join(f"| {' | '.join(line)} |" for line in table)


def _name(line: Printed, layout: Layout) -> str:
    if line.system is None:
        return line.name
    if line.system[0] in BASELINES:
        return f"{line.name} (baseline)"
    return f"{line.name} (`{name_of(line.system, layout.systems)}`)"


def _ours(row: Row | None) -> str:
    if row is None or row.value is None:
        return "-"
    value, low, high = row.numbers()
    return f"{value} [{low}, {high}]" if low else value


def _paper(row: Row | None) -> str:
    return (row.reported if row else "") or "-"


def _difference(row: Row | None) -> str:
    if row is None or row.difference is None:
        return "-"
    value, low, high = two_decimals(row.difference, sign="+")
    text = f"{value} [{low}, {high}]"
    excludes_zero = row.difference.ci_low > 0 or row.difference.ci_high < 0
    return f"**{text}**" if excludes_zero else text
