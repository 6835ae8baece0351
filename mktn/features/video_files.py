"""The files of the videos, and how a decoding process reads one."""

import contextlib
import dataclasses
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from mktn.datasets.video_ids import VIDEO_SUFFIXES
from mktn.features.preprocessing import Preprocessing
from mktn.features.video import Clip, Decoded, VideoError, read_clips

SUFFIXES = VIDEO_SUFFIXES

# A video that is this much longer or shorter than what was annotated is another cut of it. Of the
# files that the makers list, 10 of ActivityNet's 14,926 are, and none of Charades-STA's 6,670.
OTHER_CUT_SHARE, OTHER_CUT_S = 0.05, 1.0


def other_cut(decoded_s: float, annotated_s: float) -> str:
    """Why a video cannot be the one that was annotated; "" where it can. Both in seconds."""
    if abs(decoded_s - annotated_s) <= OTHER_CUT_SHARE * annotated_s + OTHER_CUT_S:
        return ""
    return f"another cut: {decoded_s:.2f} s where {annotated_s:.2f} s were annotated"


def stamp(files: Iterable[Path]) -> str:
    """Names, sizes and times of change: another where a file was mended or replaced."""
    seen = []
    for path in files:
        with contextlib.suppress(OSError):  # a link to nothing
            stat = path.stat()
            seen.append(f"{path.name}:{stat.st_size}:{stat.st_mtime_ns}")
    return " ".join(seen)


def find_videos(directory: Path, video_ids: Iterable[str]) -> list[tuple[Path, ...]]:
    """The files of each video: those named by its id and a known suffix, sorted.

    The folder is read once: asking for each name would be slow on a network disk.
    """
    found: dict[str, list[Path]] = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            stem, suffix = os.path.splitext(entry.name)
            if suffix.lower() in SUFFIXES:
                found.setdefault(stem, []).append(Path(entry.path))
    return [tuple(sorted(found.get(video_id, []))) for video_id in video_ids]


@dataclasses.dataclass(frozen=True)
class VideoReader:
    """Reads the one file of a video as clips, resized and cropped as the recipe says."""

    recipe: Preprocessing

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(clip, S, S, 3) of the frames of a clip."""
        return self.recipe.clip, self.recipe.crop, self.recipe.crop, 3

    def __call__(self, files: tuple[Path, ...], seen: Decoded) -> Iterator[Clip]:
        """Clips with frames (clip,S,S,3) uint8. Raises VideoError, also where files is not one."""
        if len(files) != 1:
            names = ", ".join(path.name for path in files)
            raise VideoError(f"several files, keep one: {names}" if files else "no such file")
        recipe = self.recipe
        for clip in read_clips(
            files[0], recipe.fps, recipe.clip, recipe.stride, recipe.frame_size, seen
        ):
            yield dataclasses.replace(clip, frames=recipe.crop_frames(clip.frames))
