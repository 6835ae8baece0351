"""The worker process of `mktn.features.decoding`; it starts quickly, as it loads no torch."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import deque
from typing import Any

import numpy as np

from mktn.features.video import Decoded, VideoError


class _Counted(Decoded):
    """Counts decoded frames where the other process sees it."""

    def __init__(self, progress: Any) -> None:
        super().__init__()
        self._progress = progress

    def advance(self) -> None:
        super().advance()
        self._progress.value += 1


class _Commands:
    """What the other process sends: a job, or None for a buffer that is free again."""

    def __init__(self, connection: Any, buffers: int) -> None:
        self._connection, self.free = connection, buffers
        self._jobs: deque[Any] = deque()

    def _receive(self) -> None:
        command = self._connection.recv()
        if command is None:
            self.free += 1
        else:
            self._jobs.append(command)

    def next_job(self) -> Any:
        while not self._jobs:
            self._receive()
        return self._jobs.popleft()

    def take_buffer(self) -> None:
        while self.free == 0:
            self._receive()
        self.free -= 1


def decode_jobs(
    read: Any, memory: Any, shape: tuple[int, ...], progress: Any, commands: Any, messages: Any
) -> None:
    """Decode the jobs that come through `commands` into the buffers of `memory`, in turn.

    memory holds uint8 of shape (buffers, batch, clip, S, S, 3). A message is either the spans
    (n,2) of a batch in the next buffer, or (duration_s, note, error) at the end of a video.
    """
    # An interrupt or the end of a job goes to the whole process group: the other process decides.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    progress.value = 1
    frames = np.frombuffer(memory, np.uint8).reshape(shape)
    buffers, batch = shape[:2]
    inbox, buffer = _Commands(commands, buffers), 0
    try:
        while True:
            job = inbox.next_job()
            seen, error = _Counted(progress), ""
            spans: list[tuple[float, float]] = []
            try:
                for clip in read(job, seen):
                    if not spans:
                        inbox.take_buffer()
                    frames[buffer, len(spans)] = clip.frames
                    spans.append((clip.start_s, clip.end_s))
                    if len(spans) == batch:
                        messages.send(np.asarray(spans))
                        spans, buffer = [], (buffer + 1) % buffers
            except VideoError as reason:
                error = str(reason)
            if spans and not error:
                messages.send(np.asarray(spans))
                buffer = (buffer + 1) % buffers
            elif spans:
                inbox.free += 1  # the batch that was begun is not sent
            messages.send((seen.duration_s, seen.note, error))
    except (EOFError, BrokenPipeError):
        return  # the other process has ended


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)
