"""A picture of the answers: frames of each video above its seconds, a lane a moment.

The moments of a sentence stand below one another, best on top, as on the page of `mktn serve`:
in one row those that overlap would hide one another.
"""

import importlib.util
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mktn.errors import UserError
from mktn.figures.strip import draw_strip
from mktn.files import written_beside
from mktn.grounder.answers import Answer, EncodedVideo, Moment

WIDTH, STRIP, AXIS = 11.0, 1.0, 0.55  # inches
LANE, APART, LEAST = 0.19, 0.13, 0.42  # inches: a moment, between sentences, of a sentence
LABELS, SECONDS = 0.28, 0.11  # shares of the width, left of the lanes and right of them
_LANES = 0.98 - LABELS - SECONDS
KINDS = (".png", ".svg", ".pdf")
SHADES = ("#1b4f72", "#7fb3d5")  # of the best, of the others; they differ in grey as well
MOST = 10  # moments of a sentence that are drawn: a picture of hundreds is read by nobody
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
    sizes = [
        (strip, sum(map(_tall, rows[one.name])) + AXIS)
        for strip, one in zip(strips, shown, strict=True)
    ]
    height = sum(strip + lines for strip, lines in sizes) + 0.45 * len(shown)
    figure = Figure(figsize=(WIDTH, height))
    top = height
    for one, (strip, lines) in zip(shown, sizes, strict=True):
        top -= 0.4
        _title(figure, one, top / height)
        if one.path is not None:
            top -= strip
            place = _LANES * WIDTH, STRIP
            draw_strip(_axes(figure, top, strip, height), one.path, one.duration_s, place)
        top -= lines
        _rows(_axes(figure, top + AXIS, lines - AXIS, height), one, rows[one.name])
        top -= 0.05
    with written_beside(out) as beside:
        figure.savefig(beside, format=out.suffix[1:].lower(), dpi=150)


def _axes(figure: Any, bottom: float, tall: float, height: float) -> Any:
    axes = figure.add_axes((LABELS, bottom / height, _LANES, tall / height))
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_yticks([])
    return axes


def _title(figure: Any, one: EncodedVideo, at: float) -> None:
    from mktn.figures.style import plain

    name = Path(one.name).name
    figure.text(LABELS, at + 0.005, plain(f"{name}, {one.duration_s:.1f} s"), fontsize=9,
                weight="bold", va="bottom")  # fmt: skip


def _tall(answer: Answer) -> float:
    """Inches of a sentence and its moments."""
    return max(LEAST, LANE * len(answer.moments[:MOST])) + APART


def _rows(axes: Any, one: EncodedVideo, answers: Sequence[Answer]) -> None:
    from mktn.figures.style import plain

    axes.set_xlim(0, one.duration_s)
    axes.set_ylim(sum(map(_tall, answers)), 0)  # inches
    axes.set_xlabel("seconds", fontsize=8)
    axes.tick_params(labelsize=8)
    top = 0.0
    for answer in answers:
        tall = _tall(answer)
        axes.axhline(top + tall, color="#bbbbbb", linewidth=0.5)
        axes.text(-0.01, top + tall / 2, plain(_said(answer)), ha="right", va="center",
                  fontsize=8, transform=axes.get_yaxis_transform())  # fmt: skip
        moments = answer.moments[:MOST]
        first = top + (tall - LANE * len(moments)) / 2
        for rank, moment in enumerate(moments):
            _lane(axes, moment, rank, first + LANE * (rank + 0.5))
        top += tall


def _lane(axes: Any, moment: Moment, rank: int, middle: float) -> None:
    """A track as wide as the video, the moment on it, and its seconds right of it."""
    axes.axhline(middle, color="#eeeeee", linewidth=1.0, zorder=0)
    axes.broken_barh(
        [(moment.start_s, moment.end_s - moment.start_s)], (middle - 0.36 * LANE, 0.72 * LANE),
        facecolor=SHADES[rank > 0], edgecolor=SHADES[rank > 0], linewidth=0.5,
    )  # fmt: skip
    # Beside the bars, so that no text reads as a longer moment.
    axes.text(
        1.01, middle, f"{rank + 1}  {moment.start_s:.1f}\u2013{moment.end_s:.1f} s", va="center",
        fontsize=8, weight="bold" if rank == 0 else "normal",
        color="black" if rank == 0 else "#444444", transform=axes.get_yaxis_transform(),
    )  # fmt: skip


def _said(answer: Answer) -> str:
    """The sentence, in two lines at most, and where not all of its moments stand there, that."""
    lines = textwrap.wrap(answer.sentence, TEXT)
    said = "\n".join(lines[:2]) + ("..." if lines[2:] else "")
    count = len(answer.moments)
    return said + (f"\nthe best {MOST} of {count} moments" if count > MOST else "")
