"""What is said around a table's numbers, for Markdown and LaTeX alike.

Notes are plain text but for `**strong**` and backticks around names of the program.
"""

from collections.abc import Sequence

from mktn.report.layouts import DEVIATIONS
from mktn.report.lines import Layout, name_of
from mktn.report.results import BASELINES, Run
from mktn.report.rows import has_methods
from mktn.report.sources import VALIDATION
from mktn.report.speeds import Speed

ONE_SEED = "ignore that another seed moves scores by points"


def seeds_of(runs: Sequence[Run]) -> list[int]:
    """The training seeds, in order."""
    return sorted({run.seed for run in runs if run.model not in BASELINES})


def seeds_sentence(runs: Sequence[Run]) -> str:
    """How many trainings the numbers are of, over all datasets."""
    by_dataset: dict[str, set[int]] = {}
    for run in runs:
        if run.model not in BASELINES:
            by_dataset.setdefault(run.dataset, set()).add(run.seed)
    joined = "Values are means over seeds; intervals join seeds (Student's t) and videos."
    seeds = seeds_of(runs)
    if any(of_dataset != set(seeds) for of_dataset in by_dataset.values()):
        alone = any(len(of_dataset) == 1 for of_dataset in by_dataset.values())
        one = f" Of a dataset with one seed, intervals are over videos: they {ONE_SEED}."
        said = f"**Training seeds differ between datasets** and stand under each. {joined}"
        return said + one * alone
    if len(seeds) == 1:
        return (
            f"**One training seed** a variant: {seeds[0]}. Intervals are over videos alone:"
            f" they {ONE_SEED}."
        )
    return f"**{len(seeds)} training seeds** a variant: {', '.join(map(str, seeds))}. {joined}"


def protocol(runs: Sequence[Run]) -> str:
    """How the runs of one dataset were scored; empty where there are none."""
    if not runs:
        return ""
    one = runs[0]
    nms = "by IoU, m - 0.05" if one.nms == "peer" else f"{one.nms}"
    return (
        f"{one.queries} {one.split} queries of {one.videos} videos"
        f" ({max(run.rejected for run in runs)} rejected), a hit when IoU {one.comparison} m,"
        f" NMS threshold {nms}, {VALIDATION[one.validation]},"
        f" seeds: {', '.join(map(str, seeds_of(runs)))}."
    )


def dataset_notes(runs: Sequence[Run], speeds: Sequence[Speed], layout: Layout) -> list[str]:
    """What the runs and speeds of one dataset were made from, and what they note."""
    notes = []
    if runs:
        one = runs[0]
        notes.append(
            f"Features: {one.features}. Word vectors: {one.word_vectors}."
            f" Sentence vectors: {one.sentence_vectors}."
        )
        notes += dict.fromkeys(" ".join(note.split()) for run in runs for note in run.notes)
    notes += dict.fromkeys(f"Efficiency: {speed.where}." for speed in speeds)
    if speeds:
        notes.append(_load(speeds, layout))
    return [*notes, *_without_differences(runs, layout)]


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


def speed_note(layout: Layout, source: str) -> str:
    """That speeds of two machines are not compared, in tables of several methods."""
    if not has_methods(layout) or source == "own" or not (layout.quantities or not layout.scored):
        return ""
    return "Speed is of the machine named above: none of ours is comparable with a reported one."


def deviations(layout: Layout, source: str) -> tuple[str, list[str]]:
    """What stands in the way of comparing ours with the paper: a sentence, and one a model."""
    if not has_methods(layout) or source == "own" or not layout.scored:
        return "", []
    said = "What each measured model can be compared with:"
    if source != "published":
        said = (
            f"No measured number here is comparable with a reported one: the source is {source}."
            " With published features:"
        )
    names = {line.model: line.method for line in layout.lines}
    return said, [f"{name} (`{model}`): {DEVIATIONS[model]}" for model, name in names.items()]
