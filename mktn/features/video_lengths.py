"""How long the videos of a folder are, by decoding them: what extraction will find as well."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from mktn.features.decoding import VideoEnd, decode
from mktn.features.pictures import Decoded, pictures
from mktn.features.video import Clip
from mktn.features.video_files import find_videos


@dataclasses.dataclass(frozen=True)
class LengthReader:
    """Decodes the one file of a video and gives no clip: what is seen of it is its length."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of a clip, which must have one."""
        return 1, 1, 1, 3

    def __call__(self, files: tuple[Path, ...], seen: Decoded) -> Iterator[Clip]:
        """No clip. Raises VideoError."""
        for _ in pictures(files[0], seen):
            pass
        return iter(())


def video_lengths(
    folder: Path,
    video_ids: Sequence[str],
    undated: Sequence[str],
    workers: int,
    timeout_s: float,
) -> tuple[dict[str, float], dict[str, str]]:
    """`(video_id -> seconds, video_id -> why its file cannot be used)`.

    All of `video_ids` must have one file in the folder; those of `undated` are decoded, by
    `workers` processes (0: in this one), a video that makes no progress for timeout_s given up.
    """
    lengths: dict[str, float] = {}
    broken: dict[str, str] = {}
    files = dict(zip(video_ids, find_videos(folder, video_ids), strict=True))
    for video_id, paths in files.items():
        if len(paths) != 1:
            names = ", ".join(path.name for path in paths)
            broken[video_id] = f"several files, keep one: {names}" if paths else "no such file"
    todo = [video_id for video_id in undated if video_id not in broken]
    events = decode(LengthReader(), [files[v] for v in todo], 1, workers, timeout_s)
    bar = tqdm(total=len(todo), desc="measure", unit="video", disable=None)
    with contextlib.closing(events), bar:
        for event in events:
            if isinstance(event, VideoEnd):
                if event.error:
                    broken[todo[event.video]] = event.error
                else:
                    lengths[todo[event.video]] = event.duration_s
                bar.update()
    return lengths, broken
