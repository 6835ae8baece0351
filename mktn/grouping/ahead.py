"""Batches that are made in a thread while those before them are computed."""

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

import torch

from mktn.grouping.batch import PairBatch

Item = TypeVar("Item")
DEPTH = 2  # batches that wait, beside the one that is made
POLL_S = 0.1  # how long a thread whose reader has gone may go on


def pinned(batches: Iterable[PairBatch], gpu: torch.device) -> Generator[PairBatch]:
    """These batches in memory that this GPU copies from by itself."""
    # A thread begins on the first GPU, wherever its process computes, and would take a part of it.
    with torch.cuda.device(gpu):
        for batch in batches:
            yield batch.pinned()


def read_ahead(items: Iterable[Item], depth: int = DEPTH) -> Generator[Item]:
    """The same items in the same order; what making them raises is raised where they are read.

    The thread ends when all are read, or when the reader closes this iterator.
    """
    waiting: queue.Queue[tuple[list[Item], BaseException | None]] = queue.Queue(depth)
    gone = threading.Event()

    def put(made: list[Item], error: BaseException | None = None) -> bool:
        while not gone.is_set():
            try:
                waiting.put((made, error), timeout=POLL_S)
            except queue.Full:
                continue
            return True
        return False

    def make() -> None:
        try:
            for item in items:
                if not put([item]):
                    return
        except BaseException as error:
            put([], error)
            return
        finally:
            # What the items hold, they let go in the thread that took it.
            if isinstance(items, Generator):
                items.close()
        put([], StopIteration())

    thread = threading.Thread(target=make, name="read_ahead", daemon=True)
    thread.start()
    try:
        while True:
            made, error = waiting.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield from made
    finally:
        gone.set()
        thread.join()
