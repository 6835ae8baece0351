"""A video of the run itself is seen, read and answered as the pipeline did."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import mktn
from mktn.errors import UserError
from mktn.features.store import FeatureStore, ResampledStore
from mktn.features.text_store import TextStore
from mktn.grounder.grounder import Grounder
from mktn.grounder.own_video import clip_features
from mktn.grounder.text import sentence_vectors


@pytest.fixture(scope="module")
def pairs(pipeline: Path) -> pl.DataFrame:
    return pl.read_parquet(pipeline / "data/synthetic/pairs/charades/pairs.parquet")


def file_of(pipeline: Path, video_id: str) -> Path:
    return pipeline / f"data/synthetic/videos/charades/{video_id}.mp4"


def test_a_training_video_has_the_features_of_the_pipeline_to_the_bit(
    grounder: Grounder, pipeline: Path, pairs: pl.DataFrame
) -> None:
    parts = FeatureStore(pipeline / "data/synthetic/features/charades/c3d")
    store = ResampledStore(pipeline / "data/synthetic/features/charades/c3d-T12.zarr")
    for video_id in pairs.filter(split="train")["video_id"].unique().sort()[:2]:
        path = file_of(pipeline, video_id)
        here, _ = clip_features(grounder.parts, path, grounder.device)
        there = parts[video_id]
        np.testing.assert_array_equal(here.features, there.features)
        np.testing.assert_array_equal(here.patches, there.patches)
        np.testing.assert_array_equal(here.span_s, there.span_s)
        features, patches = store.read([video_id])
        frames = grounder.encode(path).frames
        assert frames.duration_s == store.duration_s[video_id]
        np.testing.assert_array_equal(frames.features, features[0])
        np.testing.assert_array_equal(frames.patches, patches[0])


def test_its_sentences_have_the_vectors_of_the_pipeline(
    grounder: Grounder, pipeline: Path, pairs: pl.DataFrame
) -> None:
    store = TextStore(pipeline / "data/synthetic/text/charades.zarr", pairs["pair_id"])
    for row, sentence in enumerate(pairs["sentence"]):
        one = sentence_vectors(grounder.parts, [sentence])
        np.testing.assert_array_equal(one.words[0], store.words(row))
        # A sum in a batch of one may be of another order than in the pipeline's batch.
        np.testing.assert_allclose(one.sentences[0], store.sentences[row], atol=1e-6)
    together = sentence_vectors(grounder.parts, pairs["sentence"].to_list())
    words, mask = store.padded_words(np.arange(len(pairs)))
    np.testing.assert_array_equal(together.words, words)
    np.testing.assert_array_equal(together.mask, mask)


def test_the_answers_are_those_of_predictions_parquet(
    grounder: Grounder, pipeline: Path, run_folder: Path, pairs: pl.DataFrame
) -> None:
    found = pl.read_parquet(run_folder / "predictions.parquet").filter(nms=0.5)
    test = pairs.filter(split="test")
    compared = 0
    for (video_id,), own in test.group_by("video_id"):
        own = own.sort("order")
        assert own["order"].to_list() == list(range(len(own)))
        answers = grounder.ground(
            file_of(pipeline, str(video_id)), own["sentence"].to_list(), n=5, in_order=True
        )
        for answer, pair_id in zip(answers, own["pair_id"], strict=True):
            there = found.filter(pair_id=pair_id).sort("rank")
            here = np.array([(m.start_s, m.end_s, m.score) for m in answer.moments])
            expected = there.select("start_s", "end_s", "score").to_numpy()
            np.testing.assert_allclose(here, expected, atol=1e-5)
            compared += 1
    assert compared == test.height > 5


def test_sentences_are_answered_jointly_unless_one_by_one(
    grounder: Grounder, videos: list[Path]
) -> None:
    asked = ["the red ball spins", "the blue box rolls back and forth", "a star flashes"]
    video = grounder.encode(videos[0])
    together = grounder.ground(video, asked)
    alone = [grounder.ground(video, one)[0] for one in asked]
    assert [a.sentence for a in together] == asked
    assert any(
        abs(a.moments[0].score - b.moments[0].score) > 1e-6
        for a, b in zip(together, alone, strict=True)
    )
    # Without an order it does not matter which stands first.
    turned = grounder.ground(video, asked[::-1])[::-1]
    for a, b in zip(together, turned, strict=True):
        assert [m.start_s for m in a.moments] == pytest.approx(
            [m.start_s for m in b.moments], abs=1e-3
        )
    told = grounder.ground(video, asked, in_order=True)
    assert told[0].moments != together[0].moments


def test_a_video_is_seen_once_for_all_sentences(
    grounder: Grounder, videos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = grounder.ground(videos[0], "the ball spins")
    video = grounder.encode(videos[0])

    def never(*_: object) -> None:
        raise AssertionError("seen again")

    monkeypatch.setattr("mktn.grounder.grounder.clip_features", never)
    monkeypatch.setattr(grounder.network, "encode_video", never)
    assert grounder.ground(video, "the ball spins")[0].moments == first[0].moments


def test_moments_lie_in_the_video_best_first_and_apart(
    grounder: Grounder, videos: list[Path]
) -> None:
    (answer,) = grounder.ground(videos[0], ["the red ball spins"], n=4, nms=0.3)
    assert 1 < len(answer.moments) <= 4
    scores = [m.score for m in answer.moments]
    assert scores == sorted(scores, reverse=True)
    for number, one in enumerate(answer.moments):
        assert 0 <= one.start_s < one.end_s <= answer.duration_s + 1e-6
        for other in answer.moments[:number]:
            overlap = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
            union = max(one.end_s, other.end_s) - min(one.start_s, other.start_s)
            assert overlap <= 0.3 * union + 1e-6


def test_of_several_videos_each_sentence_gets_the_one_that_fits_best(
    grounder: Grounder, videos: list[Path]
) -> None:
    asked = ["the red ball spins", "the blue box rolls", "a star flashes", "the ring floats up"]
    seen = [grounder.encode(path) for path in videos[:4]]
    answers = grounder.ground(seen, asked)
    names = [one.name for one in seen]
    for answer in answers:
        assert answer.matching is not None
        assert list(answer.matching) == names
        assert answer.video == max(answer.matching, key=answer.matching.__getitem__)
    # Once the video is chosen, sentences about it are answered as if it alone had been given.
    for name, video in zip(names, seen, strict=True):
        own = [a for a in answers if a.video == name]
        if own:
            alone = grounder.ground(video, [a.sentence for a in own])
            for a, b in zip(own, alone, strict=True):
                assert a.moments[0].start_s == pytest.approx(b.moments[0].start_s, abs=1e-3)


def test_a_model_that_matches_nothing_is_asked_about_one_video(
    grounder: Grounder, videos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mktn.grounder.grounder.SIMILARITIES", {})
    seen = [grounder.encode(path) for path in videos[:2]]
    with pytest.raises(UserError, match=r"matches no videos with sentences.*one video at a time"):
        grounder.ground(seen, "the ball spins")
    assert grounder.ground(seen[0], "the ball spins")[0].moments


def test_a_longer_duration_that_was_annotated_stretches_the_frames(
    grounder: Grounder, videos: list[Path]
) -> None:
    usual, longer = grounder.encode(videos[0]), grounder.encode(videos[0], duration_s=30.0)
    assert longer.duration_s == 30.0
    assert not np.array_equal(usual.frames.features, longer.frames.features)


def test_the_number_of_threads_of_the_program_is_left_as_it_was(
    grounder: Grounder, videos: list[Path]
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        grounder.encode(videos[0])
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_words_that_are_not_known_and_those_that_are_not_read_are_named(
    grounder: Grounder, videos: list[Path]
) -> None:
    word = next(iter(grounder.parts.words.known({"the", "a"})))
    asked = [f"{word} zebra {word}", " ".join([word] * 13)]
    video = grounder.encode(videos[0])
    known, long = grounder.ground(video, asked)
    assert known.unknown == ("zebra",)
    assert long.unknown == ()
    assert (known.cut, long.cut) == (0, 13 - 9)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ([], "no sentence"),
        ([""], "sentence 1 has no word"),
        (["a ball", " ?! "], "sentence 2 has"),
    ],
)
def test_no_sentence_is_no_question(
    grounder: Grounder, videos: list[Path], asked: list[str], says: str
) -> None:
    with pytest.raises(UserError, match=says):
        grounder.ground(videos[0], asked)


def test_the_package_is_light_until_one_grounds() -> None:
    code = "import sys, mktn; assert not {'torch', 'polars', 'av'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert mktn.Grounder is Grounder
    with pytest.raises(AttributeError, match="no attribute"):
        mktn.Nothing  # noqa: B018
