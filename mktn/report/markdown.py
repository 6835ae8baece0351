"""A table as Markdown, laid out as the paper prints it."""

from collections.abc import Sequence

from mktn.report.layouts import DATASET_TITLES, Layout, Row
from mktn.report.results import BASELINES, Key, Run

SOURCE_SENTENCES = {
    "synthetic": "Videos and sentences are generated: these numbers are NOT comparable with the"
    " paper's, which stand beside them for orientation only.",
    "simulated": "The annotations are the published ones, but the video features are simulated"
    " from human action labels, from which the annotated spans derive: these numbers are NOT"
    " comparable with the paper's, which stand beside them for orientation only.",
    "published": "Published annotations, features of the published kind.",
}
VALIDATION = {
    "official": "selected on the official validation split",
    "held_out": "selected on a tenth held out of the training videos",
}


def as_markdown(
    rows: Sequence[Row],
    runs: Sequence[Run],
    layout: Layout,
    table: int,
    reported: dict[tuple[str, str, Key], str],
) -> str:
    """The table as the paper prints it: variants down, datasets and R@n, IoU=m across."""
    datasets = [d for d in DATASET_TITLES if any(row.dataset == d for row in rows)]
    columns = [
        (dataset, key)
        for dataset in datasets
        for key in dict.fromkeys(key for _, at, key in reported if at == dataset)
    ]
    header, rule = ["Model"], ["---"]
    for dataset, (metric, n, iou) in columns:
        header += [f"{DATASET_TITLES[dataset]}<br>{metric}@{n}, IoU={iou:g}", "paper"]
        rule += ["---:", "---:"]
    cells = {(row.model, row.variant, row.dataset, row.key): row for row in rows}
    lines = [header, rule]
    for model, variant in dict.fromkeys((row.model, row.variant) for row in rows):
        line = [f"{model} ({variant})" if model in BASELINES else layout.variants[variant]]
        for dataset, key in columns:
            row = cells.get((model, variant, dataset, key))
            line += [_with_interval(row) if row else "-", (row.reported if row else "") or "-"]
        lines.append(line)
    grid = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{_preface(runs, layout, table)}\n{grid}\n"


def _with_interval(row: Row) -> str:
    return f"{row.value:.2f} [{row.ci_low:.2f}, {row.ci_high:.2f}]"


def _preface(runs: Sequence[Run], layout: Layout, table: int) -> str:
    source = runs[0].source
    lines = [
        f"# Table {table}: {layout.title}",
        "",
        f"**Source: {source}.** {SOURCE_SENTENCES[source]}",
        "",
        'Per cent, ours with its 95 % interval; beside it, under "paper", what'
        f" {layout.paper} reports. All IoU thresholds and mIoU are in the csv.",
        "",
    ]
    for dataset, title in DATASET_TITLES.items():
        of_dataset = [run for run in runs if run.dataset == dataset]
        if not of_dataset:
            continue
        one = of_dataset[0]
        trained = [run for run in of_dataset if run.model not in BASELINES]
        seeds = ", ".join(str(seed) for seed in sorted({run.seed for run in trained}))
        nms = "by IoU, m - 0.05" if one.nms == "peer" else f"{one.nms}"
        lines.append(
            f"- {title}: {one.queries} {one.split} queries of {one.videos} videos"
            f" ({max(run.rejected for run in of_dataset)} rejected), a hit when IoU"
            f" {one.comparison} m, NMS threshold {nms}, {VALIDATION[one.validation]},"
            f" seeds: {seeds}."
        )
    several = any(
        run.seed != other.seed for run in runs for other in runs if run.model == other.model
    )
    lines.append(
        f"- Intervals: bootstrap over videos, {runs[0].bootstraps} resamples"
        + (
            ", joined with Student's t over the seeds; values are means over seeds."
            if several
            else "."
        )
    )
    notes: dict[str, list[str]] = {}
    for run in runs:
        for note in run.notes:
            titles = notes.setdefault(" ".join(note.split()), [])
            if DATASET_TITLES[run.dataset] not in titles:
                titles.append(DATASET_TITLES[run.dataset])
    datasets = len({run.dataset for run in runs})
    for note, titles in notes.items():
        where = "" if len(titles) == datasets else f"{', '.join(titles)}: "
        lines.append(f"- {where}{note}")
    return "\n".join([*lines, ""])
