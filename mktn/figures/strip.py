"""Frames of a video beside one another, above a timeline of its seconds."""

from itertools import islice
from pathlib import Path
from typing import Any

from mktn.errors import UserError
from mktn.features.video import VideoError, read_frames, sample_frames

PIXELS = 120  # height of a frame
FEWEST, MOST = 3, 16  # frames


def draw_strip(
    axes: Any,
    path: Path,
    duration_s: float,
    size: tuple[float, float],
    pixels: int = PIXELS,
    interpolation: str | None = None,
) -> list[float]:
    """Fill the axes with frames of [0, duration_s], each at the second where it begins: these.

    size: width and height of the axes, inches; pixels: the height of a frame. There are as many
    as stand beside one another unstretched, 3 to 16; a very wide or tall one is cut. Raises
    UserError where the video cannot be read.
    """
    try:
        height, width = next(read_frames(path)).rgb.shape[:2]
        place = size[0] / size[1]  # of the strip, in its heights
        count = min(max(FEWEST, round(place * height / width)), MOST)
        step_s = duration_s / count
        small = pixels, max(1, round(pixels * width / height))
        seen = sample_frames(path, 1 / step_s, lambda *_: small)
        frames = [rgb for _, rgb, _ in islice(seen, count)]
    except VideoError as error:
        raise UserError("video cannot be used", where=path, found=error) from error
    wide = max(1, round(pixels * place / count))
    for k, rgb in enumerate(frames):
        spare = max(0, rgb.shape[1] - wide) // 2
        part = rgb[:, spare : rgb.shape[1] - spare]
        extent = (k * step_s, (k + 1) * step_s, 0, 1)
        axes.imshow(part, extent=extent, aspect="auto", interpolation=interpolation)
    axes.set_xlim(0, duration_s)
    axes.set_ylim(0, 1)
    axes.axis("off")
    return [k * step_s for k in range(len(frames))]
