"""Knowledge transfer around a model of four parts."""

from typing import Any

import torch
from torch import Tensor, nn

from mktn.grouping.batch import PairBatch
from mktn.models.base import Pluggable, Text
from mktn.models.config import PluggedConfig
from mktn.models.plugged import Plugged, plugged
from mktn.models.variants import VARIANTS, PluggedVariant
from tests.batches import SIZES, random_batch

CONFIG = PluggedConfig(**vars(SIZES))
FULL = PluggedVariant(VARIANTS["full"])


class Halves(Pluggable):
    """The first or the second half of the video, by two dot products."""

    def __init__(self, config: PluggedConfig) -> None:
        super().__init__()
        self.video = nn.Linear(config.dimension, config.width)
        self.text = nn.Linear(config.word_dimension, config.width)
        self.register_buffer("moments", torch.tensor([[0.0, 0.5], [0.5, 1.0]]))

    def encode_frames(self, batch: PairBatch) -> Tensor:
        return self.video(batch.frames)

    def encode_sentences(self, batch: PairBatch) -> tuple[Tensor, Tensor]:
        words = self.text(batch.words) * batch.word_mask[..., None]
        return words, words.mean(dim=1)

    def of_video(self, frames: Tensor, frame_mask: Tensor) -> Tensor:
        frames = frames * frame_mask[..., None]
        half = frames.shape[1] // 2
        return torch.stack([frames[:, :half].mean(1), frames[:, half:].mean(1)], dim=1)

    def ground(self, video: Any, text: Text, batch: PairBatch) -> dict[str, Tensor]:
        own = video[batch.video_index]  # (Q,2,d)
        scores = (own * text.sentences[:, None]).sum(-1) + text.words.sum(dim=(1, 2))[:, None]
        return {"moments": self.moments, "confidence": scores.softmax(dim=-1)}


def test_without_transfer_the_model_is_itself() -> None:
    model = Halves(CONFIG)
    assert plugged(model, CONFIG, PluggedVariant()) is model
    assert isinstance(plugged(model, CONFIG, FULL), Plugged)


def test_what_is_encoded_once_gives_the_same_answer() -> None:
    torch.manual_seed(0)
    batch = random_batch()
    for model in (Halves(CONFIG), Plugged(Halves(CONFIG), CONFIG, FULL)):
        whole = model.eval()(batch, matching=False)
        video = model.encode_video(batch, matching=False)
        cached = model(batch, video, matching=False)
        assert torch.equal(whole["confidence"], cached["confidence"])
        assert not {"s_avm", "s_op", "s_es"} & whole.keys()


def test_the_transfer_changes_what_the_model_sees_and_reaches_every_parameter() -> None:
    torch.manual_seed(0)
    model, batch = Halves(CONFIG), random_batch()
    alone = model(batch)["confidence"]
    network = Plugged(model, CONFIG, FULL)
    outputs = network(batch)
    assert {"csm_span", "s_avm", "s_op", "s_es"} <= outputs.keys()
    assert not torch.allclose(outputs["confidence"], alone)
    weights = torch.randn(len(batch.video_index), 2)
    loss = (outputs["confidence"] * weights).sum()
    loss = loss + sum((outputs[n] ** 2).sum() for n in ("csm_span", "s_avm", "s_op", "s_es"))
    loss.backward()
    without = [name for name, p in network.named_parameters() if p.grad is None]
    assert not without, without


def test_a_model_that_reads_no_words_is_given_none() -> None:
    class Deaf(Halves):
        reads_words = False

        def ground(self, video: Any, text: Text, batch: PairBatch) -> dict[str, Tensor]:
            assert torch.equal(text.words, text.raw_words)
            return super().ground(video, text, batch)

    network = Plugged(Deaf(CONFIG), CONFIG, FULL)
    assert "csm_span" in network(random_batch())
    assert not any("token" in name for name, _ in network.named_parameters())


def test_without_spans_nothing_predicts_one() -> None:
    torch.manual_seed(0)
    network = Plugged(Halves(CONFIG), CONFIG, PluggedVariant(VARIANTS["full"], span=False))
    assert "csm_span" not in network(random_batch())
    assert not any("csm.span" in name for name, _ in network.named_parameters())


def test_an_answer_does_not_depend_on_other_videos_of_the_batch() -> None:
    torch.manual_seed(0)
    batch = random_batch((3, 1, 2))
    network = Plugged(Halves(CONFIG), CONFIG, FULL).eval()
    whole = network(batch, matching=False)["confidence"]
    own = network(batch.only([0, 1, 2]), matching=False)["confidence"]
    assert torch.allclose(whole[:3], own, atol=1e-6)


def test_what_the_transfer_adds_to_small_features_is_small() -> None:
    """Put in the place of a sentence some tenths in size, it would be all that is seen."""
    torch.manual_seed(0)
    batch, seen = random_batch(), {}

    class Quiet(Halves):
        def encode_sentences(self, batch: PairBatch) -> tuple[Tensor, Tensor]:
            words, sentences = super().encode_sentences(batch)
            return 0.1 * words, 0.1 * sentences

        def ground(self, video: Any, text: Text, batch: PairBatch) -> dict[str, Tensor]:
            seen["added"] = (text.sentences - text.raw_sentences).norm(dim=-1)
            assert torch.equal(text.words[:, :-1], text.raw_words)
            return super().ground(video, text, batch)

    Plugged(Quiet(CONFIG), CONFIG, FULL).eval()(batch)
    # z has a norm of some sqrt(d) and starts with a weight of a tenth.
    assert (seen["added"] > 0).all()
    assert (seen["added"] < 0.5 * CONFIG.width**0.5).all()


def test_features_that_are_dropped_are_dropped_for_the_patches_too() -> None:
    torch.manual_seed(0)
    config = PluggedConfig(**{**vars(SIZES), "feature_dropout": 0.9})
    network, batch = Plugged(Halves(config), config, FULL), random_batch()
    frames = network.model.encode_frames(batch)
    one, other = (network.train().patches(frames, batch) for _ in range(2))
    assert not torch.equal(one, other)
    assert torch.equal(network.eval().patches(frames, batch), network.patches(frames, batch))
