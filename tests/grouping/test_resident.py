"""Features on the device, and batches made ahead: the same batches, made elsewhere and sooner."""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mktn.features.reader import FeatureReader
from mktn.features.store import ResampledStore
from mktn.grouping import resident
from mktn.grouping.ahead import read_ahead
from mktn.grouping.batch import PairBatch
from mktn.grouping.loader import LoaderConfig, PairData
from mktn.grouping.resident import Placed, ResidentFeatures, place

CPU = torch.device("cpu")


def data_of(dataset: Path, memory_gb: float = 12.0) -> PairData:
    paths = [dataset / name for name in ("pairs.parquet", "groups.parquet", "t.zarr", "text.zarr")]
    return PairData(*paths, config=LoaderConfig(queries=5, memory_gb=memory_gb))


@pytest.mark.parametrize("loaded", [1, 3, 256])
def test_batches_of_the_device_are_those_of_memory(
    loaded: int, small_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident, "LOADED", loaded)
    data, other = data_of(small_dataset), data_of(small_dataset)
    other.placed = Placed(ResidentFeatures(other.store, CPU), ahead=True, said="")
    batches = zip(data.batches("train", epoch=0), other.batches("train", epoch=0), strict=True)
    found = list(batches)
    assert len(found) > 1
    for one, two in found:
        assert one.video_ids == two.video_ids
        assert one.frames.dtype == two.frames.dtype == torch.float32
        assert torch.equal(one.frames, two.frames)
        assert one.patches is not None
        assert two.patches is not None
        assert torch.equal(one.patches, two.patches)


def test_a_log_says_where_features_are(
    small_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ResampledStore(small_dataset / "t.zarr")
    assert place(FeatureReader(store, 1.0), CPU).said.endswith("GB of features: in memory")
    read = place(FeatureReader(store, 0.0), CPU)
    assert read.ahead
    assert read.said.endswith(
        "GB of features: more than loader.memory_gb, read from disk by batch, ahead"
    )


def test_features_go_where_there_is_room(
    small_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU of which only the free memory is real here."""
    reader = FeatureReader(ResampledStore(small_dataset / "t.zarr"), 1.0)
    needed, gpu = reader.gigabytes * 1e9, torch.device("cuda", 0)
    free = [needed / resident.SHARE + 1]
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free[0], 10**12))
    made: list[object] = []

    def features(store: object, device: torch.device) -> object:
        made.append(device)
        return made

    monkeypatch.setattr(resident, "ResidentFeatures", features)
    assert place(reader, gpu).resident is made
    assert "on cuda:0, batches are composed there" in place(reader, gpu).said
    free[0] = needed / resident.SHARE - 1
    without = place(reader, gpu)
    assert without.resident is None
    assert without.ahead
    assert "in memory, read ahead and pinned" in without.said
    free[0] = needed / resident.SHARE + 1

    def full(store: object, device: torch.device) -> object:
        raise torch.OutOfMemoryError("another process was faster")

    monkeypatch.setattr(resident, "ResidentFeatures", full)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    assert place(reader, gpu).resident is None


def test_without_a_gpu_in_use_nothing_is_pinned(
    small_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training on the CPU must not take a part of a GPU that is there."""
    data = data_of(small_dataset, 0.0)
    data.place(CPU)
    pinned: list[PairBatch] = []

    def note(batch: PairBatch) -> PairBatch:
        pinned.append(batch)
        return batch

    monkeypatch.setattr(PairBatch, "pinned", note)
    assert list(data.ahead(data.batches("val")))
    assert not pinned
    gpu, taken = torch.device("cuda", 1), []

    def take(device: torch.device) -> contextlib.AbstractContextManager[None]:
        taken.append((device, threading.current_thread().name))
        return contextlib.nullcontext()

    monkeypatch.setattr(torch.cuda, "device", take)
    data.placed = Placed(None, ahead=True, said="", pinned_for=gpu)
    assert len(list(data.ahead(data.batches("val")))) == len(pinned)
    assert taken == [(gpu, "read_ahead")]


def test_a_batch_is_made_while_another_is_computed() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(6):
            made.append(number)
            yield number

    read = read_ahead(items())
    assert next(read) == 0
    deadline = time.monotonic() + 10
    while len(made) < 4 and time.monotonic() < deadline:  # two wait and one is at the door
        time.sleep(0.01)
    assert made == [0, 1, 2, 3]
    assert list(read) == [1, 2, 3, 4, 5]


def test_an_error_is_raised_where_the_batch_is_read() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("damaged")

    read = read_ahead(items())
    assert next(read) == 1
    with pytest.raises(ValueError, match="damaged"):
        next(read)


def test_the_thread_ends_with_its_reader() -> None:
    read = read_ahead(iter(range(1000)))
    assert next(read) == 0
    read.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "read_ahead"]


def test_a_training_is_the_same_when_read_ahead(small_dataset: Path) -> None:
    data, other = data_of(small_dataset, 0.0), data_of(small_dataset)
    assert "ahead" in data.place(CPU)
    ahead = [batch.frames for batch in data.ahead(data.batches("train", epoch=1))]
    for one, two in zip(ahead, other.batches("train", epoch=1), strict=True):
        assert torch.equal(one, two.frames)
