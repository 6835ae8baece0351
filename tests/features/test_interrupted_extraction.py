"""A part that was interrupted with SIGKILL or SIGTERM and made again is the same to the byte."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from mktn.features.backbones import BackboneDescription, build, save
from mktn.features.preprocessing import Preprocessing
from mktn.features.store import FeatureStore
from mktn.seeds import named_rng
from tests.features.odd_files import numbered_frames, write_frames, write_sound

FRAMES = {"a": 200, "b": 20, "c": 90, "e": 40, "f": 300, "g": 61, "h": 16}
BATCH = 4


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight videos, of which one is only sound, their pairs, and weights of both backbones."""
    folder = tmp_path_factory.mktemp("source")
    (folder / "videos").mkdir()
    for name, count in FRAMES.items():
        frames = [np.roll(rgb, len(name), 0) for rgb in numbered_frames(count)]
        write_frames(folder / "videos" / f"{name}.mp4", frames, options={"preset": "ultrafast"})
    write_sound(folder / "videos" / "d.mp4")
    seconds = [*(count / 8 for count in FRAMES.values()), 1.0]
    pairs = pl.DataFrame({"video_id": [*FRAMES, "d"], "duration_s": seconds})
    pairs.write_parquet(folder / "pairs.parquet")
    for name, width in (("c3d", 2), ("i3d", 0.0625)):
        torch.manual_seed(0)
        recipe = Preprocessing(fps=8.0, resize=(40,), crop=32)
        description = BackboneDescription(name, width, 5, recipe)  # type: ignore[arg-type]
        save(build(description), description, folder / f"{name}.safetensors")
    return folder


class Command:
    """`mktn extract-video` in a process of its own."""

    def __init__(self, source: Path, log: Path) -> None:
        self.source, self.log = source, log
        self.server = subprocess.Popen(
            [sys.executable, "-m", "tests.features.forking_command"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log.open("w"), text=True,
        )  # fmt: skip
        assert self._line() == "ready"

    def _line(self) -> str:
        assert self.server.stdout is not None
        return self.server.stdout.readline().strip()

    def __call__(
        self, out: Path, name: str, workers: int, end: int = 0, after_s: float | None = None
    ) -> int:
        """Its exit status; with after_s it is sent the signal `end` by then."""
        settings = {"batch": BATCH, "decode_workers": workers, "log_every": 1}
        given = [
            "extract-video", f"--videos={self.source / 'videos'}", f"--backbone={name}",
            f"--pairs={self.source / 'pairs.parquet'}", f"--out={out}", "--part=0", "--parts=1",
            f"--weights={self.source / f'{name}.safetensors'}",
            f"--settings={json.dumps(settings)}",
        ]  # fmt: skip
        assert self.server.stdin is not None
        self.server.stdin.write(json.dumps(given) + "\n")
        self.server.stdin.flush()
        process = int(self._line())
        if after_s is not None:
            time.sleep(after_s)
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, end)
        return int(self._line())


@pytest.fixture(scope="module")
def command(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    made = Command(source, tmp_path_factory.mktemp("log") / "log.txt")
    yield made
    assert made.server.stdin is not None
    made.server.stdin.close()
    made.server.wait(30)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize(("name", "workers", "wanted"), [("c3d", 0, 12), ("i3d", 1, 8)])
def test_twenty_kills_leave_no_trace(
    name: str, workers: int, wanted: int, command: Command, tmp_path: Path
) -> None:
    whole = tmp_path / "whole" / "part-0.zarr"
    began = time.perf_counter()
    assert command(whole, name, workers) == 0
    takes_s = time.perf_counter() - began
    expected = contents(whole.parent)
    store = FeatureStore(whole.parent)
    assert store.errors == {"d": "no video stream"}
    assert len(store["a"].features) == (200 - 16) // 8 + 1
    rng = named_rng(0, "kills", name)
    kills = chains = 0
    while kills < wanted:
        out = tmp_path / f"chain{chains}" / "part-0.zarr"
        status, chains = -signal.SIGKILL, chains + 1
        while status == -signal.SIGKILL:
            status = command(
                out, name, workers, signal.SIGKILL, float(rng.uniform(0, 0.8 * takes_s))
            )
            kills += status == -signal.SIGKILL
        assert status == 0
        assert contents(out.parent) == expected
        shutil.rmtree(out.parent)
    assert "going on where a job was interrupted" in command.log.read_text()


def test_an_interrupted_job_does_only_what_is_missing(command: Command, tmp_path: Path) -> None:
    out = tmp_path / "part-0.zarr"
    began = time.perf_counter()
    assert command(out, "c3d", 1) == 0
    expected, takes_s = contents(tmp_path), time.perf_counter() - began
    # The machine may have been busier at first: then only a small share comes before the end.
    for share in (0.9, 0.7, 0.5, 0.3, 0.2):
        shutil.rmtree(out, ignore_errors=True)
        status = command(out, "c3d", 1, signal.SIGTERM, share * takes_s)
        assert status in (0, 128 + signal.SIGTERM)
        if status and not out.exists():  # not on its way out
            break
    assert status, "no job was still running at 0.2 of the time that one takes"
    assert not out.exists()
    # A decoding process that was just starting may say that it lost its parent: only what is said
    # from here on counts.
    before = len(command.log.read_text())
    assert command(out, "c3d", 1) == 0
    assert contents(tmp_path) == expected
    log = command.log.read_text()[before:]
    assert "Traceback" not in log
