"""Figure 3c: what is answered to some test pairs, on the timelines of their videos."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mktn.errors import UserError
from mktn.features.video_files import find_videos
from mktn.figures.figure import Inputs
from mktn.figures.placing import figure_of, fitted, folded, put_axes, put_text
from mktn.figures.strip import draw_strip
from mktn.figures.style import PNG_DPI, SERIES, Series, plain, sourced
from mktn.figures.timelines import (
    COLUMNS,
    GROUND_TRUTH,
    OURS,
    Span,
    Timeline,
    TimelineSettings,
    read_timelines,
    rows_of,
)
from mktn.report.layouts import titles

__all__ = ["COLUMNS", "INPUTS", "OPTIONAL", "draw", "table"]

INPUTS = ("metrics", "predictions", "pairs")
OPTIONAL = ("videos",)
# Inches: of the figure, left and right of the timelines, and what stands above one another.
WIDTH, LEFT, RIGHT = 7.2, 1.05, 1.5
HEAD, LINE, SMALL, STRIP, ROW, AXIS, GAP, FOOT = 0.34, 0.16, 0.15, 0.62, 0.2, 0.2, 0.16, 0.3
LINES = 4  # of a sentence
NARROW = 0.12  # inches of a bar that is too narrow to be hatched
GREY = "#555555"


def table(inputs: Inputs) -> list[list[object]]:
    """What is drawn, a row a bar, in the order of COLUMNS."""
    return rows_of(_read(inputs))


def draw(inputs: Inputs) -> Figure:
    """A block a pair: its sentence, a strip of frames, and a bar for the truth and each system.

    Raises UserError as `read_timelines`, and where a video is missing or cannot be read.
    """
    timelines = _read(inputs)
    files = _files(inputs.videos, timelines)
    shown = titles(one.dataset for one in timelines)
    heights = [_height(one, one.pair_id in files) for one in timelines]
    height = sum(heights) + HEAD * len(shown) + FOOT
    figure = figure_of(WIDTH, height)
    top, before = height, ""
    for one, tall in zip(timelines, heights, strict=True):
        if one.dataset != before:
            before = one.dataset
            said = _missing(one) if one.pair_id not in files else ""
            put_text(figure, 0.08, top - 0.1, shown[one.dataset], size=9, weight="bold")
            put_text(figure, WIDTH - 0.08, top - 0.1, said, size=6, color=GREY, ha="right")
            top -= HEAD
        _block(figure, one, files.get(one.pair_id), top)
        top -= tall
    first = timelines[0]
    rules = ", ".join(dict.fromkeys(one.chosen for one in timelines))
    seed = first.given[0].run.seed
    sourced(figure, first.source, f"{first.given[0].run.split} pairs {rules}; each system's first"
            f" moment, of its training with seed {seed}")  # fmt: skip
    return figure


def _read(inputs: Inputs) -> list[Timeline]:
    settings: TimelineSettings = inputs.filled(TimelineSettings)
    return read_timelines(inputs.metrics, inputs.predictions, inputs.pairs, settings)


def _missing(one: Timeline) -> str:
    if one.source == "simulated":
        return "without frames: features are simulated, there are no videos"
    return "without frames: no videos were given"


def _files(given: Sequence[Path], timelines: Sequence[Timeline]) -> dict[str, Path]:
    """pair_id -> the file of its video, for the datasets whose folder is given."""
    named = [_folder(one) for one in given]
    folders = dict(named)
    files: dict[str, Path] = {}
    for dataset, folder in named:
        wanted = [one for one in timelines if one.dataset == dataset]
        if not wanted or folder != folders[dataset]:
            raise UserError(
                "videos of a dataset that is not shown" if not wanted else "two folders of videos",
                where="--videos",
                found=dataset,
                expected=", ".join(titles(one.dataset for one in timelines)),
            )
        try:
            found = find_videos(folder, [one.video_id for one in wanted])
        except OSError as error:
            raise UserError("videos cannot be read", where=folder, found=error) from error
        for one, paths in zip(wanted, found, strict=True):
            if len(paths) != 1:
                raise UserError(
                    "not one file of a video",
                    where=folder,
                    found=", ".join(path.name for path in paths) or "none",
                    expected=f"{one.video_id}.mp4 or another suffix",
                )
            files[one.pair_id] = paths[0]
    return files


def _folder(given: Path) -> tuple[str, Path]:
    dataset, equals, folder = str(given).partition("=")
    if not equals or not dataset or not folder:
        raise UserError(
            "not a folder of a dataset", where="--videos", found=given, expected="DATASET=FOLDER"
        )
    return dataset, Path(folder)


def _height(one: Timeline, strip: bool) -> float:
    rows = 1 + len(one.given)
    lines = len(_folded(one.sentence))
    return lines * LINE + SMALL + strip * (STRIP + 0.04) + rows * ROW + AXIS + GAP


def _block(figure: Figure, one: Timeline, video: Path | None, top: float) -> None:
    for line in _folded(one.sentence):
        put_text(figure, LEFT, top, line, size=8)
        top -= LINE
    queries = "its only sentence" if one.queries == 1 else f"one of its {one.queries} sentences"
    about = f"{one.pair_id}, {one.duration_s:.1f} s, {queries}"
    size = fitted(about, WIDTH - LEFT - 0.1, 6)
    put_text(figure, LEFT, top - 0.02, about, size, color=GREY)
    top -= SMALL
    if video is not None:
        top -= STRIP
        place = WIDTH - LEFT - RIGHT, STRIP
        axes = _axes(figure, top, STRIP)
        pixels = round(STRIP * PNG_DPI)
        for at in draw_strip(axes, video, one.duration_s, place, pixels, "none")[1:]:
            axes.axvline(at, color="white", linewidth=1)
        top -= 0.04
    rows = 1 + len(one.given)
    top -= rows * ROW
    _bars(_axes(figure, top, rows * ROW), one)


def _bars(axes: Any, one: Timeline) -> None:
    """A row for the truth and one for each system; the truth's edges go through all."""
    for at in one.span:
        axes.axvline(at, color="#888888", linewidth=0.7, dashes=(2, 2), zorder=1)
    _row(
        axes,
        0,
        GROUND_TRUTH,
        one.span,
        "",
        facecolor="white",
        edgecolor="black",
        linewidth=0.8,
        clip_on=False,
    )
    for number, given in enumerate(one.given):
        ours = given.run.system == OURS
        name = f"{given.name} (ours)" if ours else given.name
        iou = "" if given.iou is None else f"IoU {given.iou:.2f}"
        weight = "bold" if ours else "normal"
        look = _look(SERIES[number % len(SERIES)], given.moment, one.duration_s)
        _row(axes, number + 1, name, given.moment, iou, weight, **look)
    axes.set_xlim(0, one.duration_s)
    axes.set_ylim(1 + len(one.given), 0)
    axes.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    axes.tick_params(labelsize=6, length=2, pad=1.5)
    axes.grid(visible=False)
    axes.annotate("seconds", (1, 0), (15, -3), "axes fraction", "offset points", fontsize=6,
                  va="top", color=GREY, annotation_clip=False)  # fmt: skip


def _look(series: Series, moment: Span | None, duration_s: float) -> dict[str, Any]:
    """Of a bar: hatched in white, but where that would leave nothing of it."""
    share = 0.0 if moment is None else (moment[1] - moment[0]) / duration_s
    if not series.hatch or share * (WIDTH - LEFT - RIGHT) < NARROW:
        return {"facecolor": series.color, "edgecolor": series.color, "linewidth": 0.8}
    look = {"facecolor": series.color, "edgecolor": "white", "linewidth": 0}
    return {**look, "hatch": series.hatch}


def _row(
    axes: Any, row: int, name: str, moment: Span | None, iou: str,
    weight: str = "normal", **look: Any,
) -> None:  # fmt: skip
    middle = row + 0.5
    aside: Any = {"transform": axes.get_yaxis_transform(), "va": "center", "fontsize": 7}
    size = fitted(name, LEFT - 0.2, 7)
    axes.text(-0.012, middle, plain(name), ha="right", weight=weight, **aside | {"fontsize": size})
    if moment is None:
        axes.text(1.015, middle, "no answer", color=GREY, **aside)
        return
    start_s, end_s = moment
    axes.barh(middle, end_s - start_s, 0.62, start_s, zorder=2, label=name, **look)
    seconds = f"{start_s:z.1f}\u2013{end_s:z.1f} s"  # z: no minus at a zero
    axes.text(1.015, middle, seconds, weight=weight, **aside)
    axes.text(1.015 + 0.88 / (WIDTH - LEFT - RIGHT), middle, iou, weight=weight, **aside)


def _axes(figure: Figure, bottom: float, tall: float) -> Any:
    axes = put_axes(figure, LEFT, bottom, WIDTH - LEFT - RIGHT, tall)
    axes.spines["left"].set_visible(False)
    axes.set_yticks([])
    return axes


def _folded(sentence: str) -> list[str]:
    return folded(f"\u201c{sentence.strip()}\u201d", WIDTH - LEFT - 0.1, 8, LINES)
