"""`Grounder`: sentences about videos that no split has, answered jointly by a trained run.

V videos, Q sentences, T frames, C patches, L words, n moments a sentence.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mktn.engine.decode import moments_of
from mktn.engine.predict import choose_device
from mktn.errors import UserError
from mktn.features.store import VideoFeatures
from mktn.grounder import bundle, parts
from mktn.grounder.answers import Answer, EncodedVideo, moments
from mktn.grounder.batches import pair_batch
from mktn.grounder.matching import SIMILARITIES, combined
from mktn.grounder.own_video import Resampled, clip_features, resampled
from mktn.grounder.parts import Parts, Places
from mktn.grounder.text import SentenceVectors, sentence_vectors


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
        # Of the videos that were asked about last.
        self._together: tuple[tuple[EncodedVideo, ...], Any] | None = None
        self._usual: tuple[tuple[EncodedVideo, ...], dict[str, np.ndarray]] | None = None
        self._ordinary: SentenceVectors | None = None

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

    def encode(
        self,
        video: str | Path,
        duration_s: float | None = None,
        watch: Callable[[float], None] | None = None,
    ) -> EncodedVideo:
        """See a video, once for all sentences.

        duration_s: of what is annotated, where the file is longer or shorter; watch: is told the
        seconds seen so far, and ends the work where it raises. Raises UserError where the video
        cannot be used, or the run's features are not of videos.
        """
        path = Path(video)
        with self._computing():
            features, note = clip_features(self.parts, path, self.device, watch)
            frames = resampled(features, self.parts.frames, duration_s)
            return self._seen(EncodedVideo(str(video), path, frames, note))

    def encode_features(
        self, video: VideoFeatures, name: str | None = None, path: Path | None = None
    ) -> EncodedVideo:
        """As `encode`, of clip features that were made as the run's were.

        path: of the video's file, where there is one, for pictures and clips. Raises UserError on
        features of another width or without the patches that the run has.
        """
        frames = resampled(video, self.parts.frames)
        return self.encode_frames(frames, name or video.video_id, path)

    def encode_frames(
        self, frames: Resampled, name: str, path: Path | None = None
    ) -> EncodedVideo:
        """As `encode`, of the T frames of a video, as a T store of the pipeline holds them.

        Raises UserError on another T.
        """
        if len(frames.features) != self.parts.frames:
            raise UserError(
                "features of another number of frames than the run's", where=name,
                found=len(frames.features), expected=self.parts.frames,
            )  # fmt: skip
        with self._computing():
            return self._seen(EncodedVideo(name, path, frames))

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
            matching = self._matching(videos, text) if len(videos) > 1 else None
            chosen = np.zeros(len(asked), np.int64) if matching is None else matching.argmax(0)
            batch = self._batch(videos, text, chosen, in_order)
            outputs = self.network(batch, state, matching=False)
            spans, scores = moments_of(outputs, batch, n, nms)
        ranked = [moments(*one) for one in zip(spans.tolist(), scores.tolist(), strict=True)]
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
            return self._matched(videos, text)

    def ordinary(self, videos: Sequence[EncodedVideo]) -> dict[str, np.ndarray]:
        """`similarities` (V,B) with ordinary sentences, some of those of the run's training.

        Raises UserError where the run's are not known.
        """
        if not self.parts.ordinary:
            raise UserError(
                "no sentence of the run's training is known, which new ones are measured against",
                where="several videos",
                do="name the run's pairs: --pairs FILE, of a bundle when it is exported",
            )
        if self._usual is None or self._usual[0] != tuple(videos):
            if self._ordinary is None:
                self._ordinary = sentence_vectors(self.parts, self.parts.ordinary)
            with self._computing():
                self._usual = tuple(videos), self._matched(videos, self._ordinary)
        return self._usual[1]

    @contextlib.contextmanager
    def _computing(self) -> Iterator[None]:
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            with torch.inference_mode():
                yield
        finally:
            torch.set_num_threads(before)

    def _seen(self, video: EncodedVideo) -> EncodedVideo:
        """With what the model makes of it. Raises UserError on features of another width."""
        sizes = self.parts.config["sizes"]
        frames = video.frames
        here = (frames.features.shape[1], 0 if frames.patches is None else frames.patches.shape[2])
        there = (sizes["dimension"], sizes["patch_dimension"])
        if here != there:
            raise UserError(
                "features of another kind than the run's", where=video.name,
                found=f"{here[0]} wide, patches {here[1]} wide",
                expected=f"{there[0]} wide, patches {there[1]} wide",
            )  # fmt: skip
        return dataclasses.replace(video, state=self.network.encode_video(self._batch([video])))

    def _state(self, videos: Sequence[EncodedVideo]) -> Any:
        """What the model makes of these videos; of several it is kept for the next sentences."""
        if len(videos) == 1:
            return videos[0].state
        if self._together is None or self._together[0] != tuple(videos):
            self._together = tuple(videos), self.network.encode_video(self._batch(videos))
        return self._together[1]

    def _matching(self, videos: Sequence[EncodedVideo], text: SentenceVectors) -> np.ndarray:
        found = self._matched(videos, text)
        if not found:
            raise UserError(
                "this model matches no videos with sentences", where="several videos",
                found=f"{self.parts.config['model']} {self.parts.config['variant']}",
                do="give one video at a time, or a run of mktn",
            )  # fmt: skip
        return combined(found, self.ordinary(videos))

    def _matched(
        self, videos: Sequence[EncodedVideo], text: SentenceVectors
    ) -> dict[str, np.ndarray]:
        # Matching compares raw sentences with each video: which one they are paired with, and in
        # what order they stand, is not read.
        nowhere = np.zeros(len(text.sentences), np.int64)
        batch = self._batch(videos, text, nowhere)
        outputs = self.network(batch, self._state(videos), matching=True)
        return {
            name: outputs[key].float().cpu().numpy()
            for name, key in SIMILARITIES.items()
            if key in outputs
        }

    def _batch(self, *given: Any) -> Any:
        return pair_batch(self.parts, *given).to(self.device)
