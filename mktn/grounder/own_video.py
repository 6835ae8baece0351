"""A new video to T frames, by the steps of `mktn extract-video` and `mktn resample`.

n clips, T frames, D global feature, C patches, D_p patch feature.
"""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from mktn.errors import UserError
from mktn.features.decoding import decode
from mktn.features.inference import Inference, extracted
from mktn.features.resample import overlap_mean
from mktn.features.store import VideoFeatures
from mktn.features.video import Clip, Decoded
from mktn.features.video_files import VideoReader
from mktn.grounder.parts import Parts


@dataclasses.dataclass(frozen=True)
class Resampled:
    """features (T,D) and patches (T,C,D_p) or None, float16, of duration_s seconds."""

    features: np.ndarray
    patches: np.ndarray | None
    duration_s: float


@dataclasses.dataclass(frozen=True)
class _Watched:
    """A reader that tells up to which second it has come."""

    reader: VideoReader
    watch: Callable[[float], None]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return self.reader.shape

    def __call__(self, files: tuple[Path, ...], seen: Decoded) -> Iterator[Clip]:
        counts, reached_s = seen.advance, 0.0

        def advance() -> None:
            counts()
            self.watch(reached_s)

        # With each frame: a clip may need any number of them, of a file whose clock stands all.
        seen.advance = advance  # type: ignore[method-assign]
        for clip in self.reader(files, seen):
            reached_s = clip.end_s
            self.watch(reached_s)
            yield clip


def clip_features(
    parts: Parts, path: Path, device: torch.device, watch: Callable[[float], None] | None = None
) -> tuple[VideoFeatures, str]:
    """The clip features of a video, as a part of the pipeline holds them, and what was borne.

    watch: is told the seconds seen so far, clip by clip; what it raises ends the work. Raises
    UserError where the parts have no backbone, or the video cannot be used.
    """
    if parts.backbone is None:
        raise UserError(
            parts.without, where=path,
            do="give features of this video, made as the run's: --features",
        )  # fmt: skip
    of = parts.backbone
    recipe = of.description.preprocessing
    dtype = parts.config["features"].get("dtype", "float32")
    inference = Inference(of.network, recipe, device, dtype, of.batch)
    # In this process: one video, and nothing that others wait for.
    reader = VideoReader(recipe)
    events = decode(_Watched(reader, watch) if watch else reader, [(path,)], of.batch, 0, 60.0)
    ((_, found),) = extracted(events, inference)
    if found.error:
        raise UserError("video cannot be used", where=path, found=found.error)
    return VideoFeatures(
        path.stem, found.features, found.patches, found.span_s, found.duration_s
    ), found.note


def resampled(video: VideoFeatures, frames: int, duration_s: float | None = None) -> Resampled:
    """The T frames that training would read of it, rounded as the pipeline's stores round.

    duration_s: of what was annotated, where that differs from what was decoded.
    """
    length_s = video.duration_s if duration_s is None else duration_s
    held = [video.features, *([] if video.patches is None else [video.patches])]
    means = [
        overlap_mean(part, video.span_s, length_s, frames).astype(np.float16) for part in held
    ]
    return Resampled(means[0], means[1] if len(means) > 1 else None, length_s)
