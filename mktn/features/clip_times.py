"""When each row of a published feature file was seen, and whether its row count can be true.

A row i of features taken from clips of `clip` frames every `stride` frames at `fps` frames a
second covers [i*stride/fps, (i*stride + clip)/fps) seconds. How extractors treat the end of a
video differs: some leave the last part of a clip out, some pad it. So n rows say that the video
has between (n-1)*stride frames (padded to the last row) and n*stride + clip frames (one frame
short of another whole clip): a clip and a stride apart, which is little for a long video and much
for a short one.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from mktn.errors import UserError
from mktn.parquet import read_parquet

TOLERANCE = 0.05


@dataclasses.dataclass(frozen=True)
class ClipTimes:
    """Clips of `clip` frames every `stride` frames at `fps` frames a second, the first at 0."""

    clip: int
    stride: int
    fps: float

    @property
    def rows_per_s(self) -> float:
        """Rows a second that the numbers state."""
        return self.fps / self.stride

    def spans_s(self, rows: int, duration_s: float) -> np.ndarray:
        """(n,2) float32 seconds of the rows that start before the end of the video, cut there.

        n is `rows` or, where padding or rounding made rows beyond the end, fewer.
        """
        start_s = np.arange(rows) * self.stride / self.fps
        start_s = start_s[start_s < duration_s - 1e-6]
        end_s = np.minimum(start_s + self.clip / self.fps, duration_s)
        return np.stack([start_s, end_s], 1).astype(np.float32)

    def deviation(self, rows: int, duration_s: float) -> float:
        """How far the stated rate is from the nearest one that gives so many rows.

        0.2 is a fifth too fast, -0.2 a fifth too slow, 0 a rate that can be true.
        """
        frames = duration_s * self.fps
        fewest, most = (rows - 1) * self.stride, rows * self.stride + self.clip
        if frames > most:
            return frames / most - 1
        return min(frames / fewest - 1, 0.0) if fewest > 0 else 0.0

    def wrong(self, rows: int, duration_s: float) -> bool:
        """Whether the stated rate is off by more than 5 %."""
        return abs(self.deviation(rows, duration_s)) > TOLERANCE

    def both_rates(self, rows: int, duration_s: float) -> str:
        """The stated and the found rate of one video, for a person."""
        return (
            f"stated {self.rows_per_s:.3f} rows/s, found {rows / duration_s:.3f} rows/s "
            f"({rows} rows in {duration_s:.2f} s)"
        )

    def frames_of(self, rows: int) -> float:
        """The frames of a video of so many rows, in the middle of what is possible."""
        return ((2 * rows - 1) * self.stride + self.clip) / 2


def even_spans_s(rows: int, duration_s: float) -> np.ndarray:
    """(rows,2) float32 seconds: the duration in equal parts, for rows of an unknown rate."""
    edges = np.linspace(0.0, duration_s, rows + 1)
    return np.stack([edges[:-1], edges[1:]], 1).astype(np.float32)


def refuse_wrong_rate(
    times: Mapping[str, ClipTimes],
    rows: Mapping[str, int],
    durations_s: Mapping[str, float],
    where: Path,
) -> None:
    """Raise UserError when the middle video of a file has a rate that is off by more than 5 %.

    All three by video_id. A single video may be another cut of what was annotated; when half of
    them deviate, it is the numbers that are wrong, or the file is not what it is said to be. The
    line has both rates, and the fps or stride that would fit.
    """
    if not rows:
        return
    names = list(rows)
    deviations = [times[name].deviation(rows[name], durations_s[name]) for name in names]
    if abs(float(np.median(deviations))) <= TOLERANCE:
        return
    found = float(np.median([rows[name] / durations_s[name] for name in names]))
    stated = float(np.median([times[name].rows_per_s for name in names]))
    fps = float(np.median([times[n].frames_of(rows[n]) / durations_s[n] for n in names]))
    one = times[names[0]]
    stated_fps = float(np.median([times[name].fps for name in names]))
    ratio = stated_fps / fps
    # A stride is a number of frames: it is no explanation when it is not near a whole one.
    stride = max(1, round(one.stride * ratio))
    fits = abs(stride / (one.stride * ratio) - 1) <= TOLERANCE and stride != one.stride
    also = f" or a stride of {stride}" if fits else ""
    wrong = sum(abs(value) > TOLERANCE for value in deviations)
    raise UserError(
        "the rows do not fit the stated clips",
        where=where,
        found=f"{found:.3f} rows/s (the median of {len(names)} videos; {wrong} are off by more "
        f"than {TOLERANCE:.0%})",
        expected=f"{stated:.3f} rows/s (clip {one.clip}, stride {one.stride}, {stated_fps:g} fps)",
        do=f"about {fps:.3g} fps{also} would fit: state what the features were made with, or "
        "fit: duration",
    )


def read_frame_rates(path: Path, column: str) -> dict[str, tuple[float, float | None]]:
    """video_id -> fps and, where the table has it, duration in s, of the videos of a file.

    A csv (plain or .gz) or Parquet table with a column `video_id` (or `video`, `video-name`,
    `filename` without its suffix), the fps in `column` and perhaps `duration_s`. Raises UserError
    on a table without them, a video in two rows with different rates, or a rate that is none.
    """
    names = ("video_id", "video", "video-name", "filename")
    try:
        # Read as numbers, ids of digits would lose their leading zeros.
        table = (
            read_parquet(path)
            if path.suffix == ".parquet"
            else pl.read_csv(
                path, infer_schema_length=None, schema_overrides=dict.fromkeys(names, pl.String)
            )
        )
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UserError(
            "table of frame rates cannot be read", where=path, found=error, expected="csv, Parquet"
        ) from error
    name = next((name for name in names if name in table.columns), None)
    if name is None or column not in table.columns:
        raise UserError(
            "table of frame rates lacks a column", where=path, found=", ".join(table.columns),
            expected=f"video_id and {column}", do="set fps_column",
        )  # fmt: skip
    video_ids = table[name].cast(pl.String)
    if name == "filename":
        video_ids = video_ids.str.replace(r"\.[A-Za-z0-9]+$", "")
    fps = table[column].cast(pl.Float64, strict=False)
    seconds = None
    if "duration_s" in table.columns:
        seconds = table["duration_s"].cast(pl.Float64, strict=False)
        wrong = table.filter(table["duration_s"].is_not_null() & seconds.is_null())
        if wrong.height:
            raise UserError(
                "no duration", where=f"{path}, {str(wrong[name][0])!r}",
                found=wrong["duration_s"][0], expected="seconds, or nothing",
            )  # fmt: skip
    rates: dict[str, tuple[float, float | None]] = {}
    for row, (video_id, value) in enumerate(zip(video_ids, fps, strict=True)):
        duration_s = None if seconds is None else seconds[row]
        known = rates.get(video_id, (value, duration_s))
        if value is None or not 0 < value < 1e4 or known != (value, duration_s):
            raise UserError(
                "no frame rate", where=f"{path}, {video_id!r}", found=table[column][row],
                expected=f"one number above 0 in {column}",
            )  # fmt: skip
        rates[video_id] = known
    return rates
