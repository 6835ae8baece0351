"""Decoding in worker processes: batches of clips through shared memory, in bounded memory.

Each worker decodes one video at a time into a few buffers of its own, one batch each, and waits
while all are full; nothing is copied between the processes. Batches come as they are decoded, a
few videos at once; a batch holds clips of one video alone, so that nothing depends on how many
workers there are. A worker that crashes, or makes no progress, is replaced and the video tried
once more; then the video is given up, and the others go on.
"""

import contextlib
import dataclasses
import multiprocessing
import multiprocessing.connection
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from mktn.errors import UserError
from mktn.features.decode_worker import decode_jobs
from mktn.features.video import Clip, Decoded, VideoError

BUFFERS = 3  # one is computed on, one is ready, one is filled
QUEUED = 2  # jobs a worker has: the next one without waiting for this process
AHEAD = 4  # videos for each worker, that may be begun before the oldest one is whole
START_S = 120.0  # what a new process may take to start, on a machine that is busy
TRIES = 2


class ClipReader(Protocol):
    """Reads a job's video as clips; pickled to the workers."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(clip, S, S, 3) of the frames of a clip."""

    def __call__(self, job: Any, seen: Decoded, /) -> Iterator[Clip]:
        """The clips of one video; raises VideoError."""


@dataclasses.dataclass(frozen=True)
class ClipBatch:
    """Clips of one video: frames (n,clip,S,S,3) uint8, lent until the next is asked for.

    video: the job's number; span_s (n,2) float64 seconds.
    """

    video: int
    frames: np.ndarray
    span_s: np.ndarray


@dataclasses.dataclass(frozen=True)
class VideoEnd:
    """The last of a video: its length as decoded; note: what was borne; error: why not, or ""."""

    video: int
    duration_s: float
    note: str
    error: str


def decode(
    read: ClipReader, jobs: Sequence[Any], batch: int, workers: int, timeout_s: float
) -> Generator[ClipBatch | VideoEnd, None, None]:
    """The clips of all jobs, `batch` at a time, and each job's end after its last batch.

    Batches of a video come in order and those of several videos may alternate; 0 workers decode
    in this process, one video after another, where a crash or a hang is not contained. timeout_s:
    how long a worker may be without decoding a frame. Memory: BUFFERS batches a worker.
    """
    if workers == 0:
        yield from _decode_here(read, jobs, batch)
        return
    team = [_Worker(read, batch) for _ in range(min(workers, len(jobs)))]
    try:
        yield from _decode_in(team, jobs, timeout_s)
    finally:
        for worker in team:
            worker.stop()


def _decode_here(
    read: ClipReader, jobs: Sequence[Any], batch: int
) -> Iterator[ClipBatch | VideoEnd]:
    frames = np.empty((batch, *read.shape), np.uint8)
    for video, job in enumerate(jobs):
        seen, error = Decoded(), ""
        spans: list[tuple[float, float]] = []
        try:
            for clip in read(job, seen):
                frames[len(spans)] = clip.frames
                spans.append((clip.start_s, clip.end_s))
                if len(spans) == batch:
                    yield ClipBatch(video, frames, np.asarray(spans))
                    spans = []
            if spans:
                yield ClipBatch(video, frames[: len(spans)], np.asarray(spans))
        except VideoError as reason:
            error = str(reason)
        yield VideoEnd(video, seen.duration_s, seen.note, error)


def _decode_in(
    team: "list[_Worker]", jobs: Sequence[Any], timeout_s: float
) -> Iterator[ClipBatch | VideoEnd]:
    waiting = deque(enumerate(jobs))
    open_videos: set[int] = set()

    def hand_out() -> None:
        # Each worker gets its first job before any gets its second.
        for queued in range(QUEUED):
            for worker in team:
                if not waiting or waiting[0][0] >= min(open_videos, default=len(jobs)) + ahead:
                    return
                if len(worker.jobs) == queued:
                    open_videos.add(waiting[0][0])
                    worker.give(*waiting.popleft())

    ahead = AHEAD * len(team)
    hand_out()
    while open_videos:
        busy = [worker for worker in team if worker.jobs]
        ready = multiprocessing.connection.wait([w.messages for w in busy], timeout=0.5)
        for worker in busy:
            event = worker.receive() if worker.messages in ready else worker.check(timeout_s)
            if isinstance(event, VideoEnd):
                open_videos.discard(event.video)
                hand_out()
                yield event
            elif event is not None:
                yield event
                worker.give_back()


class _Worker:
    """A worker process as this one sees it: its buffers, its jobs, and how it does."""

    def __init__(self, read: ClipReader, batch: int) -> None:
        # Not fork: this process has torch's threads, and a forked child may wait for ever for a
        # lock that one of them held.
        self._context = multiprocessing.get_context("spawn")
        self._read, self._shape = read, (BUFFERS, batch, *read.shape)
        # Unlinked as soon as it is mapped, so that a killed job leaves nothing in /dev/shm.
        self._memory = self._context.RawArray("B", int(np.prod(self._shape)))
        self._frames = np.frombuffer(self._memory, np.uint8).reshape(self._shape)
        self.jobs: deque[tuple[int, Any]] = deque()
        self._tries = 1
        self._skip = 0  # batches of its video that an earlier try delivered
        self._begin()

    def _begin(self) -> None:
        self._progress = self._context.RawValue("Q", 0)
        self.messages, theirs = self._context.Pipe(duplex=False)
        commands, self._commands = self._context.Pipe(duplex=False)
        self._process = self._context.Process(
            target=decode_jobs,
            args=(self._read, self._memory, self._shape, self._progress, commands, theirs),
            daemon=True,
        )
        self._process.start()
        theirs.close()  # so that the end of the process is the end of its messages
        commands.close()
        self._seen, self._since = 0, time.monotonic()
        self._buffer, self._delivered = 0, 0
        for _, job in self.jobs:
            self._send(job)

    def give(self, video: int, job: Any) -> None:
        """Queue a job."""
        self.jobs.append((video, job))
        self._send(job)

    def give_back(self) -> None:
        """The buffer of the last batch may be written again."""
        self._send(None)

    def _send(self, message: Any) -> None:
        # Where it has ended, what it still said is read before that is acted upon.
        with contextlib.suppress(OSError):
            self._commands.send(message)
        self._since = time.monotonic()

    def receive(self) -> ClipBatch | VideoEnd | None:
        """Its next message; None for one that a retry sends again."""
        try:
            message = self.messages.recv()
        except (EOFError, OSError):
            self._process.join()
            status = self._process.exitcode or 0
            how = f"signal {-status}" if status < 0 else f"exit status {status}"
            if not self._progress.value:
                raise UserError(
                    "the decoding process does not start", where="settings.decode_workers",
                    found=how, do="mend what it says above, or set 0",
                ) from None  # fmt: skip
            return self._give_up(f"the decoder crashed ({how})")
        self._since = time.monotonic()
        video = self.jobs[0][0]
        if isinstance(message, np.ndarray):
            buffer, self._buffer = self._buffer, (self._buffer + 1) % BUFFERS
            self._delivered += 1
            if self._delivered <= self._skip:
                self.give_back()
                return None
            return ClipBatch(video, self._frames[buffer, : len(message)], message)
        self.jobs.popleft()
        self._tries, self._delivered, self._skip = 1, 0, 0
        return VideoEnd(video, *message)

    def check(self, timeout_s: float) -> VideoEnd | None:
        """Give it up when it has room, work and time, and makes no progress."""
        now, progress = time.monotonic(), self._progress.value
        if progress != self._seen:
            self._seen, self._since = progress, now
        limit_s = timeout_s if progress else max(timeout_s, START_S)
        if now - self._since <= limit_s:
            return None
        return self._give_up(f"no progress in decoding for {limit_s:g} s")

    def _give_up(self, reason: str) -> VideoEnd | None:
        """End the process and start another; the end of its video if that was the last try."""
        self.stop()
        ended = None
        if self._tries == TRIES:
            video, _ = self.jobs.popleft()
            self._tries, self._skip = 1, 0
            ended = VideoEnd(video, 0.0, "", reason)
        else:
            self._tries += 1
            self._skip = max(self._skip, self._delivered)
        self._begin()
        return ended

    def stop(self) -> None:
        """End the process."""
        self._process.kill()  # it does not listen to SIGTERM
        self._process.join()
        self.messages.close()
        self._commands.close()
