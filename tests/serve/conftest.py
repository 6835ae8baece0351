"""Three small videos, and a service whose answers are made up: seeing them is real, a trained run
is in tests/grounder/test_serve_page.py and tests/browser/test_serve.py."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mktn.errors import UserError
from mktn.features.pictures import pictures
from mktn.features.video import Decoded, VideoError
from mktn.grounder.answers import Answer, EncodedVideo, Moment
from mktn.grounder.own_video import Resampled
from mktn.serve.service import Service
from mktn.serve.uploads import Uploads
from mktn.serve.videos import Shelf
from tests.features.odd_files import numbered_frames, write_frames

CONFIG = {
    "source": "synthetic", "dataset": "charades", "model": "mktn", "variant": "full", "seed": 0,
    "features": {"origin": "imported"}, "text": {},
}  # fmt: skip


class StandIn:
    """Watches a video as `Grounder.encode` does, and answers with thirds of it."""

    def __init__(self) -> None:
        self.parts = SimpleNamespace(config=CONFIG, max_words=9)
        self.seen: list[Path] = []

    def encode(self, path: Path, watch: Callable[[float], None]) -> EncodedVideo:
        self.seen.append(path)
        decoded = Decoded()
        try:
            for picture in pictures(path, decoded):
                watch(picture.end_s)
        except VideoError as error:
            raise UserError("video cannot be used", where=path, found=error) from error
        return EncodedVideo(str(path), path, Resampled(np.zeros((2, 2)), None, decoded.duration_s))

    def ground(self, video: EncodedVideo, sentences: Sequence[str], *, n: int) -> list[Answer]:
        third = video.duration_s / 3
        moments = tuple(Moment(k * third, (k + 1) * third, 1 / (k + 1)) for k in range(min(n, 3)))
        return [Answer(said, video.name, video.duration_s, moments, ()) for said in sentences]


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three files of some seconds."""
    folder = tmp_path_factory.mktemp("videos")
    for count, name in enumerate(("a.mp4", "b.mp4", "c.mp4"), start=2):
        write_frames(folder / name, numbered_frames(20 * count))
    return sorted(folder.iterdir())


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Uploads]:
    """A place for uploads of a megabyte at most."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    made = Uploads(10**6)
    yield made
    made.close()
    assert not list(temporary.iterdir())


@pytest.fixture
def service(videos: list[Path], uploads: Uploads) -> Iterator[Service]:
    """It answers about the videos."""
    grounder: Any = StandIn()
    made = Service(grounder, Shelf(videos[0].parent), uploads)
    yield made
    made.close()
