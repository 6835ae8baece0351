"""Text and axes by inches, for figures whose blocks stand below one another."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from mktn.figures.style import plain

SMALLEST = 4.0  # points that can be read
WIDER = 1.08  # than outlines: letters that are drawn in few pixels stand on whole ones


def figure_of(width: float, height: float) -> Figure:
    """A figure without an engine that would move what is placed; inches."""
    figure = Figure(figsize=(width, height))
    figure.set_layout_engine("none")  # given to Figure, it would be forgotten when it is written
    return figure


def put_text(figure: Figure, x: float, top: float, text: str, size: float, **look: Any) -> None:
    """Text whose upper left corner is `x` from the left and `top` from below, inches."""
    width, height = figure.get_size_inches()
    figure.text(x / width, top / height, plain(text), fontsize=size, va="top", **look)


def put_axes(figure: Figure, x: float, bottom: float, wide: float, tall: float) -> Any:
    """Axes of a size, their lower left corner `x` and `bottom` from that of the figure, inches."""
    width, height = figure.get_size_inches()
    return figure.add_axes((x / width, bottom / height, wide / width, tall / height))


def inches(text: str, size: float) -> float:
    """How wide a text of this many points is at most."""
    properties = FontProperties(size=size)
    outlines = text_to_path.get_text_width_height_descent(text, properties, False)[0]
    return WIDER * float(outlines) / 72


def fitted(text: str, wide: float, size: float) -> float:
    """The size in points, `size` at most and 4 at least, at which a text is `wide` inches."""
    return max(SMALLEST, min(size, size * wide / max(inches(text, size), 1e-9)))


def folded(text: str, wide: float, size: float, lines: int) -> list[str]:
    """A text in lines of `wide` inches, at most `lines` of them, the last one cut by "...".

    What cannot be printed is a blank, and a word that is wider than a line is parted.
    """
    shown = "".join(c if c.isprintable() else " " for c in text)
    found = [""]
    for word in shown.split():
        joined = f"{found[-1]} {word}".lstrip()
        if inches(joined, size) <= wide:
            found[-1] = joined
            continue
        found += [""] if found[-1] else []
        for character in word:
            if inches(found[-1] + character, size) > wide:
                found.append("")
            found[-1] += character
    if len(found) > lines:
        found = found[:lines]
        while inches(f"{found[-1]} ...", size) > wide:
            found[-1] = found[-1][:-1]
        found[-1] += " ..."
    return found
