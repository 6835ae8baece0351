"""What answering many pairs together saves: queries a second, three ways, in one process.

V videos, Q queries, m queries a video. `grouped` is a batch of whole videos with all their
queries; `encoded again` is one pair at a time, its video encoded for each; `cached` is one pair
at a time with the video encoded once: `multi_pair`, `origin` and `cached` of `mktn efficiency`,
here on random batches of any number of queries a video, and in training too.
"""

import dataclasses
import itertools
import statistics
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from mktn.engine.answering import Answering, Workload
from mktn.engine.criterion import Criterion, LossConfig
from mktn.engine.predict import choose_device
from mktn.engine.turns import Taken, in_turn, speed_ratio
from mktn.grouping.batch import PairBatch
from mktn.models import VARIANTS, ModelConfig, build
from mktn.seeds import named_seed

# Name here -> mode of mktn.engine.answering.
MODES = {"grouped": "multi_pair", "encoded again": "origin", "cached": "cached"}


@dataclasses.dataclass(frozen=True)
class MultipairSettings:
    """Sizes of simulated Charades-STA, and how long to measure."""

    queries_per_video: tuple[int, ...] = (1, 3, 4, 8, 16, 20)
    queries: int = 56  # the query budget of a grouped batch, as in training
    repeats: int = 7  # of every mode, taken in turn; the median is reported
    seed: int = 0
    threads: int = 1
    device: str = "auto"
    frames: int = 64
    dimension: int = 1024
    patches: int = 4
    words: int = 11
    word_dimension: int = 300
    sentence_dimension: int = 256
    width: int = 128
    heads: int = 4

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if name not in ("queries_per_video", "seed", "device") and value < 1:
                raise ValueError(f"{name} {value}: expected at least 1")
        if not self.queries_per_video or min(self.queries_per_video) < 1:
            raise ValueError(f"queries_per_video {self.queries_per_video}: expected 1 or more")


def random_batch(settings: MultipairSettings, per_video: int) -> PairBatch:
    """As many videos as the budget holds (at least one), with `per_video` queries each."""
    videos = max(1, settings.queries // per_video)
    total, frames = videos * per_video, settings.frames
    generator = torch.Generator().manual_seed(named_seed(settings.seed, "bench", per_video))

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    lengths = torch.randint(2, settings.words + 1, (total,), generator=generator)
    lengths[0] = settings.words
    return PairBatch(
        frames=normal(videos, frames, settings.dimension),
        frame_mask=torch.ones(videos, frames, dtype=torch.bool),
        patches=normal(videos, frames, settings.patches, settings.dimension),
        words=normal(total, settings.words, settings.word_dimension),
        word_mask=torch.arange(settings.words) < lengths[:, None],
        sentences=normal(total, settings.sentence_dimension),
        video_index=torch.arange(videos).repeat_interleave(per_video),
        order=torch.arange(per_video).repeat(videos),
        duration_s=torch.full((videos,), 30.0),
        span_s=torch.tensor([[5.0, 15.0]]).repeat(total, 1),
        text_index=torch.arange(total),
    )


def run(settings: MultipairSettings) -> Iterator[dict[str, Any]]:
    """One row for each phase, number of queries a video and mode, and what they were run on."""
    torch.set_num_threads(settings.threads)
    device = choose_device(settings.device)
    about = {
        "frames": settings.frames,
        "width": settings.width,
        "threads": settings.threads,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "dtype": "float32",
        "torch": torch.__version__,
    }
    for row in _measured(settings, device):
        yield {**row, **about}


def summary(row: dict[str, Any]) -> str:
    """A row in words."""
    return (
        f"{row['phase']:>9}, {row['queries_per_video']:>2} queries a video, "
        f"{row['mode']:<13}: {row['queries_per_s']:8.1f} queries/s, "
        f"{row['ratio_to_encoded_again']:.2f} x encoded again, "
        f"{row['ratio_to_cached']:.2f} x cached"
    )


def _measured(settings: MultipairSettings, device: torch.device) -> Iterator[dict[str, Any]]:
    torch.manual_seed(named_seed(settings.seed, "bench", "weights"))
    sizes = ModelConfig(
        frames=settings.frames,
        dimension=settings.dimension,
        patch_dimension=settings.dimension,
        word_dimension=settings.word_dimension,
        sentence_dimension=settings.sentence_dimension,
        width=settings.width,
        heads=settings.heads,
    )
    network: Any = build("mktn", "full", sizes).to(device)
    criterion = Criterion(LossConfig(), VARIANTS["full"])
    optimizer = torch.optim.AdamW(network.parameters(), 1e-6)

    def loss(batch: PairBatch, **options: Any) -> Tensor:
        return criterion(network(batch, **options), batch, 0.5)["total"]

    # One update for the same queries in every mode: only what is shared differs.
    def train(work: Workload, mode: str) -> None:
        optimizer.zero_grad(set_to_none=True)
        if mode == "multi_pair":
            loss(work.whole[0]).backward()
        elif mode == "origin":
            for pair in itertools.chain(*work.videos):
                loss(pair).backward()
        else:
            for queries in work.videos:
                video = network.encode_video(queries[0])
                torch.stack([loss(pair, video=video) for pair in queries]).sum().backward()
        optimizer.step()

    for per_video in settings.queries_per_video:
        work = Workload.of(random_batch(settings, per_video).to(device))
        infer = Answering(network, work, 5, 0.5).run
        for phase, answer in (("inference", infer), ("training", partial(train, work))):
            network.train(phase == "training")
            works = {name: partial(answer, mode) for name, mode in MODES.items()}
            for warm_up in works.values():
                warm_up()
            taken = in_turn(works, settings.repeats, device)
            yield from _rows(phase, per_video, work, taken)


def _rows(
    phase: str, per_video: int, work: Workload, taken: dict[str, list[Taken]]
) -> Iterator[dict[str, Any]]:
    for name, mine in taken.items():
        seconds = statistics.median(one.wall_s for one in mine)
        yield {
            "phase": phase,
            "queries_per_video": per_video,
            "mode": name,
            "queries_per_s": round(work.queries / seconds, 2),
            "ratio_to_encoded_again": round(speed_ratio(taken["encoded again"], mine).value, 3),
            "ratio_to_cached": round(speed_ratio(taken["cached"], mine).value, 3),
            "videos": len(work.videos),
            "queries": work.queries,
            "repeats": len(mine),
        }
