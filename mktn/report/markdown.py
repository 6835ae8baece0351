"""A table as Markdown, laid out as the paper prints it, and how to read it.

The text before the first dataset is the same for all tables of the same runs: `mktn page`
writes it once.
"""

from collections.abc import Sequence

from mktn.report.layouts import REFERENCE, Layout, Row, titles, two_decimals
from mktn.report.results import BASELINES, Key, Run

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
    layout: Layout,
    table: int,
    reported: dict[tuple[str, str, Key], str],
) -> str:
    """The table as the paper prints it: a section a dataset, variants down, metrics across."""
    parts = [f"# Table {table}: {layout.title}", preface(runs, layout)]
    for dataset, title in titles(row.dataset for row in rows).items():
        of_dataset = [row for row in rows if row.dataset == dataset]
        if of_dataset:
            absent = not any(row.variant == REFERENCE for row in of_dataset)
            keys = dict.fromkeys(key for _, at, key in reported if at == dataset) or dict.fromkeys(
                row.key
                for row in of_dataset
                if row.key[0] == "R"  # nobody has printed any
            )
            parts += [
                f"## {title}",
                _protocol([run for run in runs if run.dataset == dataset]),
                *([f"No run of `{REFERENCE}` is here, so no differences."] if absent else []),
                _grid(of_dataset, layout, list(keys)),
            ]
    return "\n\n".join([*parts, layout.legend]) + "\n"


def preface(runs: Sequence[Run], layout: Layout) -> str:
    """Source, number of seeds, and how to read the columns."""
    source = runs[0].source
    return "\n\n".join(
        [
            f"**Source: {source}.** {SOURCE_SENTENCES[source]}",
            _seeds_sentence(runs),
            "Three columns a metric, in per cent. *ours*: measured, with its 95 % interval"
            f" (bootstrap over videos, {runs[0].bootstraps} resamples). *ours - Full*: the"
            " difference to our Full on the same queries, in points, with the 95 % interval of"
            " a paired bootstrap over videos; **bold** where the interval excludes 0 (of"
            " variants that change nothing, about one in twenty would). *paper*: what the"
            f" authors of {layout.paper} report."
            " Every IoU threshold and mIoU are in the csv.",
        ]
    )


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


def _grid(rows: Sequence[Row], layout: Layout, keys: Sequence[Key]) -> str:
    """The table of one dataset; a variant that the paper prints twice stands there twice."""
    header, rule = ["Model"], ["---"]
    for metric, n, iou in keys:
        name = f"{metric}@{n}, IoU={iou:g}"
        header += [f"{name}<br>ours", f"{name}<br>ours - Full", f"{name}<br>paper"]
        rule += ["---:"] * 3
    cells = {(row.model, row.variant, row.key): row for row in rows}
    systems = [(model, "baseline", f"{model} (baseline)") for model in BASELINES]
    systems += [
        (layout.model, line.variant, f"{line.name} (`{line.variant}`)") for line in layout.lines
    ]
    lines = [header, rule]
    for model, variant, name in systems:
        if not any((row.model, row.variant) == (model, variant) for row in rows):
            continue
        line = [name]
        for key in keys:
            row = cells.get((model, variant, key))
            line += [_ours(row), _difference(row), (row.reported if row else "") or "-"]
        lines.append(line)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _ours(row: Row | None) -> str:
    if row is None:
        return "-"
    value, low, high = two_decimals(row.value)
    return f"{value} [{low}, {high}]"


def _difference(row: Row | None) -> str:
    if row is None or row.difference is None:
        return "-"
    value, low, high = two_decimals(row.difference, sign="+")
    text = f"{value} [{low}, {high}]"
    excludes_zero = row.difference.ci_low > 0 or row.difference.ci_high < 0
    return f"**{text}**" if excludes_zero else text
