"""A picture of the answers: frames of each video above its seconds, and a row a sentence."""

import importlib.util
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mktn.errors import UserError
from mktn.figures.strip import draw_strip
from mktn.files import written_beside
from mktn.grounder.answers import Answer, EncodedVideo

WIDTH, STRIP, ROW, AXIS = 11.0, 1.0, 0.55, 0.55  # inches
LABELS = 0.28  # share of the width
KINDS = (".png", ".svg", ".pdf")
SHADES = ("#1b4f72", "#7fb3d5", "#c5dcec")  # from best to worst; they differ in grey as well
TEXT = 46  # characters of a sentence in a line


def refuse_picture(out: Path) -> None:
    """Raise UserError where matplotlib is not installed, or the suffix is of no picture."""
    if importlib.util.find_spec("matplotlib") is None:
        raise UserError("matplotlib is not installed", where=out, do="pip install matplotlib")
    if out.suffix.lower() not in KINDS:
        raise UserError(
            "no picture has this suffix", where=out, found=out.suffix or "none",
            expected=", ".join(KINDS),
        )  # fmt: skip


def plot(videos: Sequence[EncodedVideo], answers: Sequence[Answer], out: Path) -> None:
    """Write the picture to `out`, .png, .svg or .pdf by its name.

    Raises UserError as `refuse_picture`, and where a video cannot be read.
    """
    refuse_picture(out)
    from matplotlib.figure import Figure

    shown = [one for one in videos if any(answer.video == one.name for answer in answers)]
    rows = {one.name: [a for a in answers if a.video == one.name] for one in shown}
    strips = [0.0 if one.path is None else STRIP for one in shown]
    sizes = [(s, ROW * len(rows[v.name]) + AXIS) for s, v in zip(strips, shown, strict=True)]
    height = sum(strip + lines for strip, lines in sizes) + 0.45 * len(shown)
    figure = Figure(figsize=(WIDTH, height))
    top = height
    for one, (strip, lines) in zip(shown, sizes, strict=True):
        top -= 0.4
        _title(figure, one, top / height)
        if one.path is not None:
            top -= strip
            place = (0.98 - LABELS) * WIDTH, STRIP
            draw_strip(_axes(figure, top, strip, height), one.path, one.duration_s, place)
        top -= lines
        _rows(_axes(figure, top + AXIS, lines - AXIS, height), one, rows[one.name])
        top -= 0.05
    with written_beside(out) as beside:
        figure.savefig(beside, format=out.suffix[1:].lower(), dpi=150)


def _axes(figure: Any, bottom: float, tall: float, height: float) -> Any:
    axes = figure.add_axes((LABELS, bottom / height, 0.98 - LABELS, tall / height))
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_yticks([])
    return axes


def _title(figure: Any, one: EncodedVideo, at: float) -> None:
    from mktn.figures.style import plain

    name = Path(one.name).name
    figure.text(LABELS, at + 0.005, plain(f"{name}, {one.duration_s:.1f} s"), fontsize=9,
                weight="bold", va="bottom")  # fmt: skip


def _rows(axes: Any, one: EncodedVideo, answers: Sequence[Answer]) -> None:
    from mktn.figures.style import plain

    axes.set_xlim(0, one.duration_s)
    axes.set_ylim(len(answers), 0)
    axes.set_xlabel("seconds", fontsize=8)
    axes.tick_params(labelsize=8)
    for row, answer in enumerate(answers):
        axes.axhline(row + 0.95, color="#dddddd", linewidth=0.5)
        axes.text(-0.01, row + 0.5, plain(_folded(answer.sentence)), ha="right", va="center",
                  fontsize=8, transform=axes.get_yaxis_transform())  # fmt: skip
        moments = answer.moments[: len(SHADES)]
        for rank in reversed(range(len(moments))):
            one_moment = moments[rank]
            thin = 0.62 if rank == 0 else 0.62 - 0.2 * rank
            axes.broken_barh(
                [(one_moment.start_s, one_moment.end_s - one_moment.start_s)],
                (row + 0.5 - thin / 2, thin), facecolor=SHADES[rank],
                edgecolor="white", linewidth=0.5,
            )  # fmt: skip
        if moments:
            best = moments[0]
            middle = (best.start_s + best.end_s) / 2
            axes.text(
                float(np.clip(middle, 0.06 * one.duration_s, 0.94 * one.duration_s)), row + 0.5,
                f"{best.start_s:.1f}\u2013{best.end_s:.1f} s", color="white", fontsize=7,
                ha="center", va="center",
                bbox={"facecolor": SHADES[0], "edgecolor": "none", "pad": 1.0},
            )  # fmt: skip


def _folded(sentence: str) -> str:
    lines = textwrap.wrap(sentence, TEXT)
    return "\n".join(lines[:2]) + ("..." if lines[2:] else "")
