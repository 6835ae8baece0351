"""One answer, three ways: all pairs together, one at a time, one at a time with a cached video."""

import pytest
import torch

from mktn.models import VARIANTS, build
from tests.batches import SIZES, random_batch

ANSWER = ("start_logits", "end_logits", "offsets")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_cached_video_gives_the_answer_of_an_encoded_one(variant: str) -> None:
    torch.manual_seed(0)
    model, batch = build("mktn", variant, SIZES).eval(), random_batch((3, 1, 2))
    with torch.no_grad():
        together = model(batch)
        video = model.encode_video(batch)
        assert together.keys() == model(batch, video=video).keys()
        plain = model(batch, video=model.encode_video(batch, matching=False), matching=False)
        assert not plain.keys() & {"s_avm", "s_op", "s_es", "avm_frames", "avm_words"}
        for name in plain:
            torch.testing.assert_close(plain[name], together[name])
        for v in range(3):
            mine = torch.nonzero(batch.video_index == v)[:, 0].tolist()
            alone = batch.only(mine)
            cached = model.encode_video(alone, matching=False)
            # What was cached is used: other features in the batch change nothing.
            alone.frames = torch.full_like(alone.frames, torch.nan)
            alone.patches = torch.full_like(alone.patches, torch.nan)
            single = model(alone, video=cached, matching=False)
            for name in ANSWER:
                torch.testing.assert_close(single[name], together[name][mine])


def test_a_part_of_a_batch_is_its_queries_and_their_videos() -> None:
    batch = random_batch((2, 1, 2))
    part = batch.only([4, 0])
    assert part.pair_ids == [batch.pair_ids[4], batch.pair_ids[0]]
    assert part.video_ids == ["v0", "v2"]
    assert part.video_index.tolist() == [1, 0]
    assert torch.equal(part.frames, batch.frames[[0, 2]])
    assert torch.equal(part.words, batch.words[[4, 0]])
    assert torch.equal(part.span_frames(), batch.span_frames()[[4, 0]])
    assert part.related.shape == (2, 2)
    with pytest.raises(ValueError, match="needs a query"):
        batch.only([])
