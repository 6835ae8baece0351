"""`Grounder`: sentences about videos that no split has, answered jointly by a trained run.

V videos, Q sentences, T frames, C patches, L words, n moments a sentence.
"""

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mktn.engine.decode import moments_of
from mktn.engine.predict import choose_device
from mktn.errors import UserError
from mktn.features.store import VideoFeatures
from mktn.grounder import bundle, parts
from mktn.grounder.matching import SIMILARITIES, combined
from mktn.grounder.own_video import Resampled, clip_features, resampled
from mktn.grounder.parts import Parts, Places
from mktn.grounder.text import SentenceVectors, sentence_vectors
from mktn.grouping.batch import PairBatch


@dataclasses.dataclass(frozen=True)
class Moment:
    """[start_s, end_s] seconds of a video, and the model's score, larger is better."""

    start_s: float
    end_s: float
    score: float


@dataclasses.dataclass(frozen=True)
class Answer:
    """What is said of one sentence.

    video: its name; moments: best first, after NMS; unknown: words without a vector of their own;
    cut: words at its end that are not read; matching: of several videos, how well each fits the
    sentence, the larger the better, in no unit.
    """

    sentence: str
    video: str
    duration_s: float
    moments: tuple[Moment, ...]
    unknown: tuple[str, ...] = ()
    cut: int = 0
    matching: dict[str, float] | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class EncodedVideo:
    """A video as it is answered about, to be used again: nothing of it depends on a sentence.

    name: the path as it was given; frames: what training would read of it; note: what of the file
    was borne; state: what the model made of it.
    """

    name: str
    path: Path | None
    frames: Resampled
    note: str = ""
    state: Any = None

    @property
    def duration_s(self) -> float:
        """Seconds."""
        return self.frames.duration_s


class Grounder:
    """A trained run that answers sentences about videos of one's own.

        grounder = mktn.Grounder.load("runs/synthetic/charades/mktn/full/seed0")
        for answer in grounder.ground("kitchen.mp4", ["the red ball spins", "the box rolls"]):
            print(answer.sentence, answer.moments[0])

    device: auto, cpu or cuda. threads: of torch while it computes; features depend on it in the
    last bits, so it is the pipeline's 1 unless one asks for more.
    """

    def __init__(self, found: Parts, device: str = "auto", threads: int = 1) -> None:
        self.parts = found
        self.device = choose_device(device)
        self.threads = threads
        self.network: Any = found.network.to(self.device).eval()
        self.hidden = found.config.get("loader", {}).get("hidden")
        self._together: tuple[tuple[EncodedVideo, ...], Any] | None = None

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        device: str = "auto",
        threads: int = 1,
        places: Places | None = None,
        batch: int = parts.BATCH,
    ) -> "Grounder":
        """A Grounder of a run's folder, or of a bundle that `mktn export` wrote.

        places: where the parts of a run are that do not stand where the pipeline puts them;
        batch: `extract.batch` of the run's features. A bundle knows both. Raises UserError where
        it is neither, or a part of it is missing, damaged, or another than the run's.
        """
        path = Path(path)
        if not path.is_dir():
            raise UserError("no such folder", where=path, expected="a trained run, or a bundle")
        found = bundle.read(path) if bundle.is_bundle(path) else parts.of_run(path, places, batch)
        return cls(found, device, threads)

    def encode(self, video: str | Path, duration_s: float | None = None) -> EncodedVideo:
        """See a video, once for all sentences.

        duration_s: of what is annotated, where the file is longer or shorter. Raises UserError
        where the video cannot be used, or the run's features are not of videos.
        """
        path = Path(video)
        with self._computing():
            features, note = clip_features(self.parts, path, self.device)
            return self._encoded(str(video), path, features, duration_s, note)

    def encode_features(
        self, video: VideoFeatures, name: str | None = None, path: Path | None = None
    ) -> EncodedVideo:
        """As `encode`, of clip features that were made as the run's were.

        path: of the video's file, where there is one, for pictures and clips. Raises UserError on
        features of another width or without the patches that the run has.
        """
        sizes = self.parts.config["sizes"]
        here = (video.features.shape[1], 0 if video.patches is None else video.patches.shape[2])
        there = (sizes["dimension"], sizes["patch_dimension"])
        if here != there:
            raise UserError(
                "features of another kind than the run's", where=name or video.video_id,
                found=f"{here[0]} wide, patches {here[1]} wide",
                expected=f"{there[0]} wide, patches {there[1]} wide",
            )  # fmt: skip
        with self._computing():
            return self._encoded(name or video.video_id, path, video, None, "")

    def ground(
        self,
        video: str | Path | EncodedVideo | Sequence[str | Path | EncodedVideo],
        sentences: str | Sequence[str],
        *,
        n: int = 5,
        nms: float = 0.5,
        in_order: bool = False,
    ) -> list[Answer]:
        """The n best moments of each sentence, all sentences answered together.

        video: a path, what `encode` gave, or several of them: then each sentence is answered in
        the video that fits it best. nms: of two moments whose IoU is larger the better one stays.
        in_order: the sentences tell of each video in the order of what is seen, as annotators
        wrote the training's; otherwise the model is told no order.

        Raises UserError without a sentence, on one without a word, on a video that cannot be
        used, and on several videos where the model matches none.
        """
        given = [video] if isinstance(video, str | Path | EncodedVideo) else list(video)
        if not given:
            raise UserError("no video is given", expected="one or more")
        if n < 1 or not 0 < nms <= 1:
            raise UserError(
                "value refused", where="n, nms", found=f"{n}, {nms}",
                expected="n >= 1, 0 < nms <= 1",
            )  # fmt: skip
        asked = [sentences] if isinstance(sentences, str) else list(sentences)
        # Before the videos: seeing one takes seconds, reading a sentence none.
        text = sentence_vectors(self.parts, asked)
        videos = [v if isinstance(v, EncodedVideo) else self.encode(v) for v in given]
        names = [one.name for one in videos]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise UserError("video given twice", where=twice)
        with self._computing():
            state = self._state(videos)
            matching = self._matching(videos, text, state) if len(videos) > 1 else None
            chosen = np.zeros(len(asked), np.int64) if matching is None else matching.argmax(0)
            batch = self._batch(videos, text, chosen, in_order)
            outputs = self.network(batch, state, matching=False)
            spans, scores = moments_of(outputs, batch, n, nms)
        ranked = [_moments(*one) for one in zip(spans.tolist(), scores.tolist(), strict=True)]
        return [
            Answer(
                sentence,
                names[v],
                videos[v].duration_s,
                ranked[q],
                tuple(text.unknown[q]),
                text.cut[q],
                None
                if matching is None
                else dict(zip(names, matching[:, q].tolist(), strict=True)),
            )
            for q, (sentence, v) in enumerate(zip(asked, chosen.tolist(), strict=True))
        ]

    def similarities(
        self, videos: Sequence[EncodedVideo], sentences: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """S, S_op and S_es (V,Q) of the paper, by these names, as far as the model has them."""
        text = sentence_vectors(self.parts, sentences)
        with self._computing():
            return self._matched(videos, text, self._state(videos))

    @contextlib.contextmanager
    def _computing(self) -> Iterator[None]:
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            with torch.inference_mode():
                yield
        finally:
            torch.set_num_threads(before)

    def _encoded(
        self,
        name: str,
        path: Path | None,
        features: VideoFeatures,
        duration_s: float | None,
        note: str,
    ) -> EncodedVideo:
        frames = resampled(features, self.parts.frames, duration_s)
        one = EncodedVideo(name, path, frames, note)
        return dataclasses.replace(one, state=self.network.encode_video(self._batch([one])))

    def _state(self, videos: Sequence[EncodedVideo]) -> Any:
        """What the model makes of these videos; of several it is kept for the next sentences."""
        if len(videos) == 1:
            return videos[0].state
        if self._together is None or self._together[0] != tuple(videos):
            self._together = tuple(videos), self.network.encode_video(self._batch(videos))
        return self._together[1]

    def _matching(
        self, videos: Sequence[EncodedVideo], text: SentenceVectors, state: Any
    ) -> np.ndarray:
        found = self._matched(videos, text, state)
        if not found:
            raise UserError(
                "this model matches no videos with sentences", where="several videos",
                found=f"{self.parts.config['model']} {self.parts.config['variant']}",
                do="give one video at a time, or a run of mktn",
            )  # fmt: skip
        return combined(found)

    def _matched(
        self, videos: Sequence[EncodedVideo], text: SentenceVectors, state: Any
    ) -> dict[str, np.ndarray]:
        # Matching compares raw sentences with each video: which one they are paired with, and in
        # what order they stand, is not read.
        nowhere = np.zeros(len(text.sentences), np.int64)
        outputs = self.network(self._batch(videos, text, nowhere), state, matching=True)
        return {
            name: outputs[key].float().cpu().numpy()
            for name, key in SIMILARITIES.items()
            if key in outputs
        }

    def _batch(
        self,
        videos: Sequence[EncodedVideo],
        text: SentenceVectors | None = None,
        chosen: np.ndarray | None = None,
        in_order: bool = False,
    ) -> PairBatch:
        """As the loader makes it: sentence q is about video chosen[q]; without text none is."""
        sizes = self.parts.config["sizes"]
        held = [one.frames for one in videos]
        frames = torch.from_numpy(np.stack([one.features for one in held])).float()
        with_patches = [one.patches for one in held if one.patches is not None]
        patches = torch.from_numpy(np.stack(with_patches)).float() if with_patches else None
        if text is None or chosen is None:
            words = torch.zeros(0, 1, sizes["word_dimension"])
            mask = torch.zeros(0, 1, dtype=torch.bool)
            sentences, chosen = torch.zeros(0, sizes["sentence_dimension"]), np.zeros(0, np.int64)
        else:
            words, mask = torch.from_numpy(text.words), torch.from_numpy(text.mask)
            sentences = torch.from_numpy(text.sentences)
        # The place of a sentence among those of its own video.
        places = [int((chosen[:q] == v).sum()) if in_order else -1 for q, v in enumerate(chosen)]
        batch = PairBatch(
            frames=frames,
            frame_mask=torch.ones(frames.shape[:2], dtype=torch.bool),
            patches=patches,
            words=words,
            word_mask=mask,
            sentences=sentences,
            video_index=torch.from_numpy(chosen),
            order=torch.tensor(places, dtype=torch.int64),
            duration_s=torch.tensor([one.duration_s for one in held], dtype=torch.float32),
            video_ids=[one.name for one in videos],
        )
        return (batch.without(self.hidden) if self.hidden else batch).to(self.device)


def _moments(spans_s: list[list[float]], scores: list[float]) -> tuple[Moment, ...]:
    """Without those that are absent."""
    return tuple(
        Moment(start_s, end_s, score)
        for (start_s, end_s), score in zip(spans_s, scores, strict=True)
        if not math.isnan(start_s)
    )
