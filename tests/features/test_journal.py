import multiprocessing
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from mktn.errors import UserError
from mktn.features import sharded
from mktn.features.writers import PartWriter
from mktn.seeds import named_rng

ROWS = [3, 40, 0, 130, 1, 64, 5, 70, 2, 200, 9, 64, 64, 31]  # chunks and shards have 64 rows
ATTRIBUTES = {"backbone": "c3d", "fps": 8.0}


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(sharded, "SHARD_BYTES", 1)


def rows_of(index):
    rng, n = named_rng(0, "journal", index), ROWS[index]
    span_s = np.stack([np.arange(n), np.arange(n) + 2.0], 1).astype(np.float32)
    features = rng.standard_normal((n, 6)).astype(np.float16)
    return features, rng.standard_normal((n, 4, 3)).astype(np.float16), span_s


def write(path, resumable, attributes=ATTRIBUTES, stop_at=None, pause_s=0.0, stamps=None):
    """Write the videos that are not done; gives the names of those it was asked for."""
    asked = []
    writer = PartWriter(
        path,
        0,
        6,
        4,
        3,
        attributes=attributes,
        resumable=resumable,
        identity={"videos": "all"},
        stamps=stamps,
    )
    with writer:
        done = writer.done
        for index, rows in enumerate(ROWS):
            name = f"v{index}"
            if name in done:
                continue
            if index == stop_at:
                raise RuntimeError("stopped")
            asked.append(name)
            time.sleep(pause_s)
            if rows:
                writer.append(name, *rows_of(index), duration_s=rows + 1.0)
            else:
                writer.fail(name, "no video stream")
    return asked, writer.note


def write_small_shards(path, resumable, began):
    sharded.SHARD_BYTES = 1  # of another process than the fixture's
    began.set()
    write(path, resumable, pause_s=0.002)


def contents(folder):
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def whole(tmp_path):
    write(tmp_path / "whole.zarr", "no")
    return contents(tmp_path / "whole.zarr")


def test_every_video_is_kept_and_none_is_made_twice(tmp_path, whole):
    path, asked = tmp_path / "part-0.zarr", []
    for stop_at in (1, 2, 3, 4, 9, 10, 13):
        with pytest.raises(RuntimeError, match="stopped"):
            write(path, "videos", stop_at=stop_at)
        assert not path.exists()
    asked, note = write(path, "videos")
    assert asked == ["v13"]
    assert "interrupted" in note
    assert contents(path) == whole
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_whole_shards_are_kept(tmp_path, whole):
    path = tmp_path / "part-0.zarr"
    with pytest.raises(RuntimeError, match="stopped"):
        write(path, "shards", stop_at=10)
    asked, _ = write(path, "shards")
    # v9 ends at row 515: its last rows were in memory, those up to 512 in whole shards.
    assert asked == ["v9", "v10", "v11", "v12", "v13"]
    assert contents(path) == whole


@pytest.mark.parametrize("resumable", ["videos", "shards"])
def test_killed_at_random_moments_the_part_is_the_same(tmp_path, whole, resumable):
    draw, path, kills = random.Random(f"kills {resumable}"), tmp_path / "part-0.zarr", 0
    # A server that has written nothing yet: the threads that write do not survive a fork.
    fork = multiprocessing.get_context("forkserver")
    fork.set_forkserver_preload(["mktn.features.writers", "tests.features.test_journal"])
    for round_ in range(40):
        began = fork.Event()
        child = fork.Process(target=write_small_shards, args=(path, resumable, began))
        child.start()
        assert began.wait(60)
        time.sleep(draw.uniform(0.005, 0.09))
        child.kill()
        child.join()
        if child.exitcode != 0:
            assert child.exitcode == -signal.SIGKILL
            kills += 1
            assert not path.exists() or contents(path) == whole
            continue
        assert contents(path) == whole
        if kills >= 20:
            break
        path.rename(tmp_path / f"finished-{round_}")
    else:
        write(path, resumable)
    assert contents(path) == whole
    assert kills >= 10


def test_another_identity_starts_again(tmp_path):
    path = tmp_path / "part-0.zarr"
    with pytest.raises(RuntimeError, match="stopped"):
        write(path, "videos", stop_at=9)
    asked, note = write(path, "videos", attributes={**ATTRIBUTES, "fps": 16.0})
    assert len(asked) == len(ROWS)
    assert "another attributes" in note


def test_a_torn_file_of_the_tail_costs_that_video_only(tmp_path, whole):
    path = tmp_path / "part-0.zarr"
    with pytest.raises(RuntimeError, match="stopped"):
        write(path, "videos", stop_at=3)
    last = sorted((tmp_path / ".part-0.zarr.resume" / "tail").iterdir())[-2]
    last.write_bytes(last.read_bytes()[:-40])
    asked, _ = write(path, "videos")
    assert asked[:2] == ["v1", "v2"]
    assert contents(path) == whole


def test_a_part_has_one_writer_at_a_time(tmp_path):
    path = Path(tmp_path / "part-0.zarr")
    with PartWriter(path, 0, 6, 4, 3, resumable="videos") as writer:
        with (
            pytest.raises(UserError, match="another process is writing this part"),
            PartWriter(path, 0, 6, 4, 3, resumable="videos"),
        ):
            pass
        writer.append("v0", *rows_of(0), duration_s=4.0)
    assert path.is_dir()


def test_from_a_video_whose_file_has_changed_all_are_made_again(tmp_path, whole):
    path = tmp_path / "part-0.zarr"
    stamps = {f"v{index}": "as it was" for index in range(len(ROWS))}
    for stop_at in (6, 12):
        with pytest.raises(RuntimeError, match="stopped"):
            write(path, "videos", stop_at=stop_at, stamps=stamps)
    # v9 is whole on disk by now, v11 in the tail.
    for changed in ("v11", "v9"):
        stamps[changed] = "mended"
        with pytest.raises(RuntimeError, match="stopped"):
            write(path, "videos", stop_at=12, stamps=stamps)
    stamps["v3"] = "mended"
    asked, _ = write(path, "videos", stamps=stamps)
    assert asked[0] == "v3"
    assert contents(path) == whole


def test_what_is_lost_of_an_interrupted_job_is_never_zeros(tmp_path, whole):
    path = tmp_path / "part-0.zarr"
    with pytest.raises(RuntimeError, match="stopped"):
        write(path, "videos", stop_at=9)
    store = tmp_path / ".part-0.zarr.resume" / "store" / "features" / "c"
    shards = sorted((p for p in store.rglob("*") if p.is_file()), key=lambda p: int(p.parent.name))
    shards[-1].unlink()
    asked, note = write(path, "videos")
    assert len(asked) == len(ROWS)
    assert "damaged" in note
    assert contents(path) == whole


def test_a_shard_that_changed_since_it_was_written_is_not_gone_on_from(tmp_path, whole):
    path = tmp_path / "part-0.zarr"
    with pytest.raises(RuntimeError, match="stopped"):
        write(path, "videos", stop_at=10)
    store = tmp_path / ".part-0.zarr.resume" / "store"
    shard = min(p for p in (store / "features" / "c").rglob("*") if p.is_file())
    content = bytearray(shard.read_bytes())
    content[100] ^= 1  # in a chunk, whose numbers no codec checks
    shard.write_bytes(content)
    asked, note = write(path, "videos")
    assert len(asked) == len(ROWS)
    assert note == "started again: features/c/0/0 of the interrupted job is damaged"
    assert contents(path) == whole
