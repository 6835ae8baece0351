"""Ragged random batches for the tests of models and losses."""

import torch

from mktn.grouping.batch import PairBatch
from mktn.models import ModelConfig

SIZES = ModelConfig(
    frames=12,
    dimension=10,
    patch_dimension=7,
    word_dimension=9,
    sentence_dimension=11,
    width=16,
    heads=2,
    dropout=0.0,
    objects=3,
    phrases=2,
    activities=2,
)


def random_batch(queries: tuple[int, ...] = (3, 1, 2), seed: int = 0, words: int = 6) -> PairBatch:
    """A batch of len(queries) videos with that many queries each, padded frames and words."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    videos, total = len(queries), sum(queries)
    frames = torch.randint(8, SIZES.frames + 1, (videos,), generator=generator)
    frames[0] = SIZES.frames
    lengths = torch.randint(2, words + 1, (total,), generator=generator)
    lengths[0] = words
    duration_s = 10 + 20 * torch.rand(videos, generator=generator)
    video_index = torch.repeat_interleave(torch.arange(videos), torch.tensor(queries))
    ends = torch.rand(total, 2, generator=generator).sort(dim=1).values
    ends[:, 1] = (ends[:, 1] + 0.05).clamp(max=1)
    return PairBatch(
        frames=normal(videos, SIZES.frames, SIZES.dimension),
        frame_mask=torch.arange(SIZES.frames) < frames[:, None],
        patches=normal(videos, SIZES.frames, 4, SIZES.patch_dimension),
        words=normal(total, words, SIZES.word_dimension),
        word_mask=torch.arange(words) < lengths[:, None],
        sentences=normal(total, SIZES.sentence_dimension),
        video_index=video_index,
        order=torch.cat([torch.arange(n) for n in queries]),
        duration_s=duration_s,
        span_s=ends * duration_s[video_index, None],
        text_index=torch.arange(total),
        related=torch.zeros(total, total, dtype=torch.bool),
        video_ids=[f"v{i}" for i in range(videos)],
        pair_ids=[f"train/v{int(v)}#{i}" for i, v in enumerate(video_index)],
    )
