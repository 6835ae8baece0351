"""How much of the slower of decoding and computing `mktn extract-video` keeps, end to end.

Three phases over the same videos, one after another in one run, by turns, several times:
decode-only, with as many worker processes as the whole has; model-only, the backbone's forward
pass with as many threads, over inputs that are ready in memory; and end to end, as the command
does it, from the files to a written part, the start of the processes included.
"""

import contextlib
import dataclasses
import functools
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from mktn.seeds import named_rng, named_seed

# name -> backbone and width: decoding and computing of the same order, then computing far slower
CASES: Mapping[str, tuple[str, float]] = {"balanced": ("c3d", 5), "model-bound": ("c3d", 12)}


@dataclasses.dataclass(frozen=True)
class ExtractionSettings:
    """videos: a folder of files, or none to render `count` of seconds_s at height x width.

    threads of torch and decode_workers together should be the cores there are. Backbones are
    C3D at the published preprocessing, narrowed to `CASES`, with random weights.
    """

    videos: str = ""
    cases: tuple[str, ...] = tuple(CASES)
    count: int = 10
    seconds_s: float = 20.0
    fps: int = 30
    height: int = 480
    width: int = 848
    threads: int = 1
    decode_workers: int = 1
    batch: int = 16
    repeats: int = 3
    device: Literal["cpu", "cuda"] = "cpu"
    seed: int = 0

    def __post_init__(self) -> None:
        unknown = set(self.cases) - set(CASES)
        if unknown:
            raise ValueError(f"cases {sorted(unknown)}: expected some of {', '.join(CASES)}")
        if min(self.count, self.repeats, self.decode_workers, self.threads, self.batch) < 1:
            raise ValueError("count, repeats, decode_workers, threads and batch are at least 1")


def summary(row: dict[str, Any]) -> str:
    """A row in words."""
    return (
        f"{row['case']:>11}: decode only {row['decode_only_clips_per_s']:.1f}, "
        f"model only {row['model_only_clips_per_s']:.1f}, "
        f"end to end {row['end_to_end_clips_per_s']:.1f} clips/s: "
        f"{row['share_of_slower']:.2f} of the slower"
    )


def run(settings: ExtractionSettings) -> Iterator[dict[str, Any]]:
    """One row a case, of medians over the repeats."""
    torch.set_num_threads(settings.threads)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(settings.videos) if settings.videos else Path(made) / "videos"
        if not settings.videos:
            folder.mkdir()
            render(folder, settings)
        video_ids = sorted({path.stem for path in folder.iterdir()})
        for case in settings.cases:
            yield measure(case, folder, video_ids, Path(made), settings)


def measure(
    case: str, folder: Path, video_ids: list[str], out: Path, settings: ExtractionSettings
) -> dict[str, Any]:
    """Clips/s of the three phases, and end to end as a share of the slower of the other two."""
    from mktn.features.backbones import BackboneDescription, build
    from mktn.features.decoding import ClipBatch, decode
    from mktn.features.extract import ExtractSettings, extract_part
    from mktn.features.inference import Inference
    from mktn.features.preprocessing import Preprocessing
    from mktn.features.recipes import published_recipe
    from mktn.features.video import duration_s
    from mktn.features.video_files import VideoReader, find_videos

    name, width = CASES[case]
    recipe: Preprocessing = published_recipe(name, 487, "")["preprocessing"]
    description = BackboneDescription(name, width, 487, recipe)  # type: ignore[arg-type]
    torch.manual_seed(named_seed(settings.seed, "bench", "extraction"))
    backbone = build(description).eval()
    device = torch.device(settings.device)
    inference = Inference(backbone, recipe, device, "float32", settings.batch)
    files = find_videos(folder, video_ids)
    annotated_s = {name: duration_s(path) for name, (path,) in zip(video_ids, files, strict=True)}

    def decode_only() -> int:
        events = decode(VideoReader(recipe), files, settings.batch, settings.decode_workers, 60.0)
        return sum(len(event.frames) for event in events if isinstance(event, ClipBatch))

    rng = named_rng(settings.seed, "bench", "extraction", "clips")
    shape = (settings.batch, recipe.clip, recipe.crop, recipe.crop, 3)
    ready = recipe.normalise(torch.from_numpy(rng.integers(0, 256, shape, np.uint8)).to(device))
    ready = ready.contiguous(memory_format=torch.channels_last_3d)

    def model_only(clips: int) -> int:
        batches = -(-clips // settings.batch)
        for _ in range(batches):
            inference.forward(ready)[0].cpu()
        return batches * settings.batch

    def end_to_end() -> int:
        told = ExtractSettings(
            batch=settings.batch, threads=settings.threads, log_every=10**9,
            decode_workers=settings.decode_workers, device=settings.device,
        )  # fmt: skip
        with contextlib.redirect_stdout(None):
            return extract_part(
                folder,
                annotated_s,
                backbone,
                description,
                "random",
                out / "part-0.zarr",
                0,
                1,
                told,
            )[0]

    model_only(1)
    rates: dict[str, list[float]] = {"decode_only": [], "model_only": [], "end_to_end": []}
    for _ in range(settings.repeats):
        rates["decode_only"].append(_rate(decode_only)[1])
        clips, whole = _rate(end_to_end)
        rates["model_only"].append(_rate(functools.partial(model_only, clips))[1])
        rates["end_to_end"].append(whole)
    ratios = [
        whole / min(decoded, computed)
        for decoded, computed, whole in zip(*rates.values(), strict=True)
    ]
    return {
        "case": case,
        **{f"{phase}_clips_per_s": round(statistics.median(v), 2) for phase, v in rates.items()},
        "share_of_slower": round(statistics.median(ratios), 3),
        "share_min": round(min(ratios), 3),
        "share_max": round(max(ratios), 3),
        "clips": clips,
        "backbone": f"{name}, width {width:g}, {recipe.crop} pixels",
        "threads": settings.threads,
        "decode_workers": settings.decode_workers,
        "batch": settings.batch,
        "device": settings.device,
        "cores": len(os.sched_getaffinity(0)),
        "torch": torch.__version__,
    }


def _rate(work: Any) -> tuple[int, float]:
    """How many clips `work` says it did, and how many a second."""
    began = time.perf_counter()
    clips = work()
    return clips, clips / (time.perf_counter() - began)


def render(folder: Path, settings: ExtractionSettings) -> None:
    """H.264 files of soft moving texture with grain; two different ones, by turns."""
    import av

    rng = named_rng(settings.seed, "bench", "extraction", "videos")
    height, width = settings.height, settings.width
    texture = rng.integers(0, 256, (height // 8 + 1, width // 8 + 65, 3), np.uint8)
    large = np.kron(texture, np.ones((8, 8, 1), np.uint8))
    grain = rng.integers(0, 12, (height, width + 64, 3), np.uint8)
    for number in range(settings.count):
        path = folder / f"v{number}.mp4"
        if number >= 2:
            os.link(folder / f"v{number % 2}.mp4", path)
            continue
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=settings.fps)
            stream.height, stream.width = height, width
            stream.pix_fmt = "yuv420p"
            stream.options = {"threads": "1", "preset": "veryfast"}
            for frame in range(round(settings.seconds_s * settings.fps)):
                left, shake = (2 + number) * frame % 512, int(rng.integers(64))
                rgb = large[:height, left : left + width] // 2
                rgb = rgb + grain[:, shake : shake + width]
                container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
            container.mux(stream.encode())
