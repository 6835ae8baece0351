"""IA-Net's windows: where they stand, what scores and moves them, and that answers are moments."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from mktn.datasets import read_pairs
from mktn.errors import UserError
from mktn.losses.windows import window_iou
from mktn.models import build
from mktn.models.config import IANetConfig
from mktn.models.localizer import SegmentLocalizer, video_aware_sentence, window_spans

ACTIVITYNET = ((16, 32, 64, 96, 128, 160, 192), 0.5, 200)
TACOS = ((8, 16, 32, 64, 128), 0.125, 200)
CHARADES = ((16, 24, 32, 40), 0.125, 64)
SIZES, WIDTH = (2, 4, 7), 6
WINDOWS = window_spans(SIZES, 0.5, 10)


def config(**values: object) -> IANetConfig:
    data = {"frames": 64, "dimension": 4, "patch_dimension": 0, "word_dimension": 3}
    return IANetConfig(**{**data, "sentence_dimension": 5, "width": 8, **values})


@pytest.mark.parametrize(
    ("windows", "stride", "frames", "counts"),
    [
        (*ACTIVITYNET, [24, 12, 6, 4, 3, 2, 2]),
        (*TACOS, [193, 93, 43, 18, 6]),
        (*CHARADES, [25, 15, 9, 6]),
    ],
)
def test_windows_of_the_paper_cover_the_video(
    windows: tuple[int, ...], stride: float, frames: int, counts: list[int]
) -> None:
    spans = window_spans(windows, stride, frames)
    assert torch.bincount(spans[:, 2]).tolist() == counts
    assert len({tuple(span) for span in spans.tolist()}) == len(spans)
    for number, size in enumerate(windows):
        start, end = spans[spans[:, 2] == number, :2].T
        assert (end - start == size).all()
        assert start[0] == 0
        assert end[-1] == frames
        steps = start.diff()
        assert (steps[:-1] == size * stride).all()
        assert (steps <= size * stride).all()  # so each frame is in a window of each size


@pytest.mark.parametrize(
    ("windows", "window_frames", "frames", "expected"),
    [
        (CHARADES[0], 64, 64, (16, 24, 32, 40)),
        (CHARADES[0], 64, 24, (6, 9, 12, 15)),
        (ACTIVITYNET[0], 200, 32, (3, 5, 10, 15, 20, 26, 31)),
        (ACTIVITYNET[0], 200, 64, (5, 10, 20, 31, 41, 51, 61)),
        (TACOS[0], 200, 72, (3, 6, 12, 23, 46)),
        (TACOS[0], 200, 128, (5, 10, 20, 41, 82)),
    ],
)
def test_windows_are_scaled_to_the_frames_of_the_videos(
    windows, window_frames, frames, expected
) -> None:
    sizes = config(windows=windows, window_frames=window_frames, frames=frames)
    assert sizes.window_sizes() == expected
    assert build("ianet", "full", sizes).localizer.windows[:, 1].max() == frames


@pytest.mark.parametrize(
    "values",
    [{"windows": [16, 24, 32, 65]}, {"windows": [24, 16]}, {"windows": []}, {"frames": 5}],
)
def test_windows_that_do_not_fit_are_the_users_mistake(values: dict[str, object]) -> None:
    sizes = {**dataclasses.asdict(config()), **values}
    with pytest.raises(UserError, match="ascending lengths are needed, none above the video's"):
        build("ianet", "full", sizes)


@pytest.mark.parametrize(
    ("dataset", "options", "setting", "share"),
    [
        ("activitynet", {}, ACTIVITYNET, 0.938),
        ("charades", {}, CHARADES, 0.977),
        ("tacos", {}, TACOS, 0.817),
        ("tacos", {"version": "tall"}, TACOS, 0.388),
    ],
)
def test_the_share_of_test_moments_that_have_a_positive_window(
    shared_data: Path, dataset: str, options: dict[str, str], setting: tuple, share: float
) -> None:
    windows = window_spans(*setting)[:, :2].float()
    pairs, _ = read_pairs(dataset, shared_data, **options)
    test = pairs.filter(split="test")
    spans_s = np.stack([test["start_s"], test["end_s"]], axis=1)
    spans = spans_s / test["duration_s"].to_numpy()[:, None] * setting[2]
    best = window_iou(windows[None], torch.from_numpy(spans).float()).amax(dim=1)
    assert (best > 0.45).float().mean().item() == pytest.approx(share, abs=1e-3)


def localizer() -> SegmentLocalizer:
    torch.manual_seed(2)
    return SegmentLocalizer(WIDTH, 0.0, WINDOWS, SIZES).eval()


def located(real: tuple[int, ...] = (10, 6, 1)) -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    frames, words = torch.randn(len(real), 10, WIDTH), torch.randn(len(real), 4, WIDTH)
    mask = torch.arange(10) < torch.tensor(real)[:, None]
    word_mask = torch.arange(4) < torch.tensor([4, 2, 3])[: len(real), None]
    with torch.no_grad():
        outputs = localizer()(frames, mask, words, word_mask)
        aware = video_aware_sentence(frames, words, word_mask)
    return {**outputs, "frames": frames, "words": words, "aware": aware}


def test_each_frame_has_the_words_weighed_by_their_cosine_to_it() -> None:
    found = located()
    for pair, real_words in enumerate((4, 2, 3)):
        for t in range(10):
            words = found["words"][pair, :real_words]
            cosine = functional.cosine_similarity(found["frames"][pair, t][None], words)
            expected = (cosine.softmax(dim=0)[:, None] * words).sum(dim=0)
            torch.testing.assert_close(found["aware"][pair, t], expected)


def test_a_window_is_scored_and_moved_from_its_middle_frame() -> None:
    found, layers, real = located(), localizer(), (10, 6, 1)
    fused = torch.cat([found["frames"], found["aware"]], dim=-1)
    for pair, frames in enumerate(real):
        for w, (start, end, number) in enumerate(WINDOWS.tolist()):
            exists = end <= frames or w == 0
            assert (found["confidence"][pair, w] >= 0) == exists
            if not exists:
                assert found["confidence"][pair, w] == -1
                assert found["moments"][pair, w].tolist() == [0, 1]
                continue
            middle = min((start + end) // 2, frames - 1)
            with torch.no_grad():
                logit = layers.score(fused[pair, middle])[number]
                moved = layers.offset(fused[pair, middle])[2 * number : 2 * number + 2]
            end = min(end, frames)
            offset = moved * SIZES[number]  # frames
            torch.testing.assert_close(found["window_logits"][pair, w], logit)
            torch.testing.assert_close(found["confidence"][pair, w], logit.sigmoid())
            torch.testing.assert_close(found["window_offsets"][pair, w], offset)
            assert found["windows"][pair, w].tolist() == [start, end]
            a, b = start + float(offset[0]), end + float(offset[1])
            a = min(max(a, 0), frames - 1)
            expected = torch.tensor([a, max(min(b, frames), a + 1)]) / frames
            torch.testing.assert_close(found["moments"][pair, w], expected)


def test_a_video_shorter_than_every_window_has_one_candidate_all_of_it() -> None:
    found = located((1,))
    assert (found["confidence"][0] >= 0).sum() == 1
    assert found["windows"][0, 0].tolist() == [0, 1]
    assert found["moments"][0, 0].tolist() == [0, 1]


@pytest.mark.parametrize("moved", [-9.0, 9.0])
def test_whatever_the_offsets_are_the_moments_are_inside_the_video(moved: float) -> None:
    layers = localizer()
    last = layers.offset[-1]
    torch.nn.init.zeros_(last.weight)
    last.bias.data = torch.tensor([moved, -moved] * len(SIZES))
    mask = torch.ones(2, 10, dtype=torch.bool)
    mask[1, 7:] = False
    words = torch.randn(2, 4, WIDTH)
    moments = layers(torch.randn(2, 10, WIDTH), mask, words, torch.ones(2, 4).bool())["moments"]
    assert (moments >= 0).all()
    assert (moments <= 1).all()
    assert (moments[..., 0] < moments[..., 1]).all()
