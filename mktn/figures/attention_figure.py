"""Figure 5 of IA-Net: its attention maps, block by block, as heat maps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from mktn.engine.attention import FRAME
from mktn.figures.attention_maps import Attention, AttentionMap, Axis, attentions_of, read_tables
from mktn.figures.figure import Inputs, NoSettings
from mktn.figures.placing import figure_of, fitted, folded, put_axes, put_text
from mktn.figures.style import plain, sourced
from mktn.report.layouts import titles

__all__ = ["COLUMNS", "INPUTS", "draw", "table"]

INPUTS = ("attention",)
COLUMNS = (
    *("source", "dataset", "pair_id", "block", "map"),
    *("row", "row_kind", "row_at", "column", "column_kind", "column_at", "weight"),
)
# Those of the paper's figure, and the words' own.
SHOWN = {
    "frames_to_words": "frames attend to words",
    "frames_to_frames": "frames attend to frames",
    "words_to_words": "words attend to words",
}
WIDTH, LEFT, RIGHT = 7.2, 0.85, 0.75  # inches, right with the scale; wider for many words
PER_WORD, BETWEEN = 0.09, 0.16  # of a word on an axis, and between two maps
TALL, WORDS_BELOW, TIMES_BELOW = 1.5, 0.72, 0.42  # a map, and what stands below it
HEAD, LINE, SMALL, NAME, GAP, FOOT = 0.34, 0.16, 0.17, 0.34, 0.14, 0.32
LINES = 4  # of a sentence
WORD = 14  # characters of a word
GREY = "#555555"
COLORS = "Greys"  # white is nothing: it prints as it is


def table(inputs: Inputs) -> list[tuple[object, ...]]:
    """What is drawn, a row a weight, in the order of COLUMNS.

    row_at and column_at: the word, or the second at which the frame begins.
    """
    found = read_tables(inputs.attention).filter(pl.col("map").is_in(list(SHOWN)))
    at = {
        f"{side}_at": pl.when(pl.col(f"{side}_kind") == FRAME)
        .then(pl.col(f"{side}_from_s").round(3).cast(pl.String))
        .otherwise(pl.col(f"{side}_word"))
        for side in ("row", "column")
    }
    return found.with_columns(**at, weight=pl.col("weight").round(7)).select(COLUMNS).rows()


def draw(inputs: Inputs) -> Figure:
    """A block of rows a pair, a row a kind of map, a column a block of the network.

    The annotated moment is a black bar beside the frames, and a line parts words from padding.
    All maps of a row share a scale. Raises UserError as `read_tables` and `attentions_of`.
    """
    inputs.filled(NoSettings)
    found = attentions_of(read_tables(inputs.attention))
    shown = titles(one.dataset for one in found)
    height = HEAD * len(shown) + FOOT + sum(map(_height, found))
    figure = figure_of(_width(found), height)
    top, before = height, ""
    for one in found:
        if one.dataset != before:
            before = one.dataset
            put_text(figure, 0.08, top - 0.1, shown[one.dataset], size=9, weight="bold")
            top -= HEAD
        _pair(figure, one, top)
        top -= _height(one)
    first = found[0]
    rules = ", ".join(dict.fromkeys(one.chosen for one in found))
    sourced(
        figure, first.source, f"pairs {rules}; mean over heads; black bar: ground truth;"
        f" {first.model}/{first.variant}, training with seed {first.seed}",
    )  # fmt: skip
    return figure


def _width(found: Sequence[Attention]) -> float:
    """Of the figure, so that words keep their size."""
    widest = (len(one.blocks) * max(_words(shown.columns) for shown in one.maps.values())
              for one in found)  # fmt: skip
    most = max(len(one.blocks) for one in found)
    return max(WIDTH, LEFT + RIGHT + most * BETWEEN + max(widest) * PER_WORD)


def _tall(one: Attention, name: str) -> float:
    return max(TALL, _words(one.maps[name, one.blocks[0]].rows) * PER_WORD)


def _words(axis: Axis) -> int:
    return 0 if axis.timed else axis.length


def _kinds(one: Attention) -> list[str]:
    return [name for name in SHOWN if name in one.names]


def _below(name: str) -> float:
    return WORDS_BELOW if name.endswith("words") else TIMES_BELOW


def _height(one: Attention) -> float:
    lines = len(_folded(one.sentence)) * LINE + SMALL
    return lines + sum(NAME + _tall(one, name) + _below(name) for name in _kinds(one)) + GAP


def _folded(sentence: str) -> list[str]:
    return folded(f"\u201c{sentence.strip()}\u201d", WIDTH - LEFT - 0.1, 8, LINES)


def _pair(figure: Figure, one: Attention, top: float) -> None:
    for line in _folded(one.sentence):
        put_text(figure, LEFT, top, line, size=8)
        top -= LINE
    start_s, end_s = one.span
    about = f"{one.pair_id}, {one.duration_s:.1f} s, ground truth {start_s:.1f}\u2013{end_s:.1f} s"
    put_text(figure, LEFT, top - 0.02, about, fitted(about, WIDTH - LEFT - 0.1, 6), color=GREY)
    top -= SMALL
    for name in _kinds(one):
        put_text(figure, LEFT, top - 0.05, SHOWN[name], size=7, weight="bold")
        top -= NAME + _tall(one, name)
        _row(figure, one, name, top)
        top -= _below(name)


def _row(figure: Figure, one: Attention, name: str, bottom: float) -> None:
    """The maps of one kind, one a block, on one scale."""
    blocks = one.blocks
    most = max(float(one.maps[name, block].weights.max()) for block in blocks)
    wide, tall = figure.get_size_inches()[0], _tall(one, name)
    each = (wide - LEFT - RIGHT) / len(blocks)
    for place, block in enumerate(blocks):
        axes = _axes(figure, LEFT + place * each, bottom, each - BETWEEN, tall)
        shown = one.maps[name, block]
        image = axes.imshow(
            shown.weights, cmap=COLORS, vmin=0, vmax=most, aspect="auto", interpolation="none"
        )
        axes.set_title(f"block {block}", fontsize=6, pad=7)
        _ticks(axes.xaxis, shown.columns, each - BETWEEN)
        _ticks(axes.yaxis, shown.rows, tall)
        if place:
            axes.set_yticklabels([])
        elif shown.rows.timed:
            axes.set_ylabel("seconds", fontsize=6, labelpad=2)
        if shown.columns.timed:
            axes.set_xlabel("seconds", fontsize=6, labelpad=1)
        _marks(axes, one, shown)
    scale = figure.colorbar(image, cax=_axes(figure, wide - RIGHT + 0.02, bottom, 0.1, tall))
    scale.ax.tick_params(labelsize=6, length=2)
    scale.outline.set_linewidth(0.5)
    scale.set_label("weight", fontsize=6, labelpad=2)


def _marks(axes: Any, one: Attention, shown: AttentionMap) -> None:
    """The annotated moment beside frames, and a line before padding."""
    start_s, end_s = one.span
    bar: Any = {"color": "black", "linewidth": 2.5, "solid_capstyle": "butt", "clip_on": False}
    if shown.rows.timed:
        at = _place(shown.rows, start_s), _place(shown.rows, end_s)
        axes.plot((1.025, 1.025), at, transform=axes.get_yaxis_transform(), **bar)
    if shown.columns.timed:
        at = _place(shown.columns, start_s), _place(shown.columns, end_s)
        axes.plot(at, (1.025, 1.025), transform=axes.get_xaxis_transform(), **bar)
    if shown.columns.padding:
        edge = shown.columns.length - shown.columns.padding - 0.5
        axes.axvline(edge, color="black", linewidth=0.8)


def _ticks(axis: Any, of: Axis, inches: float) -> None:
    """Of an axis so long: words one by one, padding by its number; of frames, round seconds."""
    axis.set_tick_params(labelsize=6, length=2, pad=1.5)
    if of.timed:
        end_s = of.edges_s[-1]
        step_s = _step(end_s, inches)
        seconds = np.arange(0, end_s + 1e-9, step_s)
        axis.set_ticks([_place(of, s) for s in seconds], [f"{s:g}" for s in seconds])
        return
    words = [*map(_short, of.words), *(f"padding {k + 1}" for k in range(of.padding))]
    axis.set_ticks(range(len(words)), [plain(word) for word in words])
    axis.set_tick_params(labelsize=min(6.0, 0.95 * inches * 72 / len(words)))
    if axis.axis_name == "x":
        axis.set_tick_params(labelrotation=90)


def _place(of: Axis, second: float) -> float:
    """Where a second is on an axis of frames, whose first begins at -0.5."""
    return float(np.interp(second, of.edges_s, np.arange(len(of.edges_s)) - 0.5))


def _step(end_s: float, inches: float) -> float:
    """The least round step with room for its labels, about three an inch."""
    steps = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 3600)
    return next((s for s in steps if end_s / s <= 3.5 * inches), end_s)


def _short(word: str) -> str:
    return word if len(word) <= WORD else f"{word[: WORD - 1]}\u2026"


def _axes(figure: Figure, left: float, bottom: float, wide: float, tall: float) -> Any:
    axes = put_axes(figure, left, bottom, wide, tall)
    axes.grid(visible=False)
    for side in axes.spines.values():
        side.set_visible(True)
        side.set_linewidth(0.5)
    return axes
